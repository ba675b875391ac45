"""Noise of very many spots put into a table in blocks: the numbers are those of one call for the whole table."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from eosin.row_blocks import row_blocks
from eosin.storage.scratch import let_go

_AT_ONCE = 1 << 20
"""Numbers of one block; a multiple of 16, of which torch makes normal numbers together."""


def put_normal(table: np.ndarray, rng: torch.Generator) -> None:
    """Standard normal numbers [...], the same as `torch.randn` of that shape gives at once.

    torch makes 16 numbers together, and the last 16 of a tensor anew where its size is no multiple of that. So blocks
    are multiples of 16, and the last one is not shorter.
    """
    flat = table.reshape(-1)
    starts = list(range(0, max(len(flat) - 15, 1), _AT_ONCE))
    for start, stop in zip(starts, [*starts[1:], len(flat)]):
        flat[start:stop] = torch.randn(stop - start, generator=rng).numpy()
        let_go(table)


def in_place(table: np.ndarray, change: Callable[[Tensor], Tensor]) -> None:
    """Put what `change` makes of its rows [r g] into a table [n s g], block by block in order."""
    rows = table.reshape(-1, table.shape[-1])
    for block in row_blocks(len(rows), budget=_AT_ONCE, per_row=table.shape[-1]):
        rows[block] = change(torch.from_numpy(rows[block])).numpy()
        let_go(table)
