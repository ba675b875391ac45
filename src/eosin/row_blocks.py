"""Rows in blocks of bounded size, so that memory does not grow with the number of spots, genes or draws.

This is for plain arrays and for inference. Where gradients must flow, use `eosin.models.parts.chunks.by_rows`.
"""

from __future__ import annotations

from collections.abc import Iterator


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
