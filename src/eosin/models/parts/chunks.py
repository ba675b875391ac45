"""Tensor work by chunks of rows, with gradients: memory does not grow with the slide, nor in training with the region.

For arrays and for inference only, `eosin.row_blocks` is enough.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from eosin.row_blocks import row_blocks


def by_rows(function: Callable[[slice], Tensor], n_rows: int, chunk: int) -> Tensor:
    """Compute [k s ...] for all spots s, a chunk of spots at a time.

    With gradients and more than one chunk, the inner values of a chunk are not kept: the backward pass computes them
    again.

    Parameters
    ----------
    function
        Rows of spots -> [k c ...] for these c spots.
    n_rows
        Number of spots.
    chunk
        The most spots at a time.
    """
    if n_rows <= chunk:
        return function(slice(0, n_rows))
    blocks = row_blocks(n_rows, budget=chunk)
    if torch.is_grad_enabled():
        return torch.cat([checkpoint(function, rows, use_reentrant=False) for rows in blocks], 1)  # pyright: ignore
    return torch.cat([function(rows) for rows in blocks], 1)
