"""Work by chunks of rows, so that memory does not grow with the slide."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint


def by_rows(function: Callable[[slice], Tensor], n_rows: int, chunk: int) -> Tensor:
    """A function of some spots, [k c ...], for all of them, a chunk at a time: [k s ...].

    With gradients, what a chunk computes is forgotten and computed again on the way back, if there is more than one.
    """
    if n_rows <= chunk:
        return function(slice(0, n_rows))
    rows = [slice(a, min(a + chunk, n_rows)) for a in range(0, n_rows, chunk)]
    if torch.is_grad_enabled():
        return torch.cat([checkpoint(function, r, use_reentrant=False) for r in rows], 1)  # pyright: ignore
    return torch.cat([function(r) for r in rows], 1)
