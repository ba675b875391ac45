"""Mean and standard deviation of columns, in blocks of rows: no copy of the whole table is made."""

from __future__ import annotations

import numpy as np

from eosin.row_blocks import row_blocks

NUMBERS_AT_ONCE = 2**22
"""Numbers in one block of rows: 32 MiB."""


def mean_and_sd(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and sd [c] of the columns of a table [s c] of one row or more, float64; the table may lie on disk."""
    n, n_columns = x.shape
    blocks = list(row_blocks(n, budget=NUMBERS_AT_ONCE, per_row=n_columns))
    totals, squares = np.zeros(n_columns), np.zeros(n_columns)
    for rows in blocks:
        totals += x[rows].sum(0, dtype=np.float64)
    mean = totals / n
    for rows in blocks:
        squares += np.square(x[rows] - mean).sum(0)
    return mean, np.sqrt(squares / n)
