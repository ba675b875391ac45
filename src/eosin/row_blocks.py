"""Rows in blocks of bounded size, so that memory does not grow with the number of spots, genes or draws.

This is for plain arrays and for inference. Where gradients must flow, use `eosin.models.parts.chunks.by_rows`.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np


def row_blocks(n_rows: int, *, budget: int, per_row: int = 1) -> Iterator[slice]:
    """Slices that cover rows 0 to `n_rows` in order, each row once; none where there are no rows.

    Parameters
    ----------
    n_rows
        Number of rows; columns or draws can be counted the same way.
    budget
        The most that one block may take, in any unit: rows, numbers, bytes.
    per_row
        What one row takes, in the same unit. A row that alone exceeds the budget gets a block of its own.
    """
    size = max(1, budget // max(1, per_row))
    return (slice(start, min(start + size, n_rows)) for start in range(0, n_rows, size))


def even_rows(n_rows: int, most: int) -> np.ndarray:
    """At most `most` of rows 0 to `n_rows`, growing, as evenly as whole numbers lie: all where there are no more."""
    return np.arange(n_rows) if n_rows <= most else np.linspace(0, n_rows - 1, most).astype(np.int64)
