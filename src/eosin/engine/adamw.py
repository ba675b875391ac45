"""AdamW of torch without its preparations for `torch.compile`, which nothing here uses."""

from __future__ import annotations

from inspect import unwrap

import torch
from torch.optim import Optimizer


class AdamW(torch.optim.AdamW):
    """`torch.optim.AdamW`, to the bit.

    torch wraps the methods below so that its compiler leaves them alone. The wrappers load the compiler, compiled or
    not: 3 s of a core in every process that trains, and each cell of a grid is one.
    """

    add_param_group = unwrap(Optimizer.add_param_group)
    load_state_dict = unwrap(Optimizer.load_state_dict)
    state_dict = unwrap(Optimizer.state_dict)
    zero_grad = unwrap(Optimizer.zero_grad)
    step = torch.no_grad()(unwrap(torch.optim.AdamW.step))  # what the wrapper of `step` does besides
