"""Batches of windows on several cores: each thread its own rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from eosin.parallel import each
from eosin.row_blocks import row_blocks

_ROWS = 8
"""Windows per piece: their maps stay in the cache of one core (measured: 4 to 8 are best, 32 cost 15 % more)."""


def over_rows(function: Callable[..., Tensor], tensors: Sequence[Tensor]) -> Tensor:
    """`function(*tensors)` [b m], computed in pieces of a few rows on all of torch's threads."""
    if tensors[0].device.type != "cpu":
        return function(*tensors)
    blocks = row_blocks(len(tensors[0]), budget=_ROWS)
    return torch.cat(each(lambda rows: function(*(x[rows] for x in tensors)), blocks))
