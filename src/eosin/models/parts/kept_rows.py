"""Rows of a table that costs much to make: made when they are first asked for, and kept while there is room."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

MOST_BYTES = 192 << 20
"""What one table may keep: 25,000 rows of 2,000 numbers."""


class KeptRows:
    """Rows [n c] float32 of some table.

    Parameters
    ----------
    make
        Gives rows [r c] float32 by their numbers [r].
    n_rows, width
        Shape of the whole table.
    """

    def __init__(self, make: Callable[[np.ndarray], np.ndarray], n_rows: int, width: int):
        self._make, self._width = make, width
        self._place = np.full(n_rows, -1, dtype=np.int64)  # of each row that is kept
        self._kept = np.empty((min(n_rows, MOST_BYTES // (4 * max(1, width))), width), dtype=np.float32)
        self._n_kept = 0

    @property
    def all_fit(self) -> bool:
        """Whether there is room for the whole table."""
        return len(self._kept) == len(self._place)

    def has(self, index: np.ndarray) -> bool:
        """Whether all of these rows are kept."""
        return bool((self._place[index] >= 0).all())

    def rows(self, index: np.ndarray) -> np.ndarray:
        """[r c] some rows; those that were not known yet are kept, as many as there is room for."""
        place = self._place[index]
        if (place >= 0).all():
            return self._kept[place]
        result = np.empty((len(index), self._width), dtype=np.float32)
        known = place >= 0
        result[known] = self._kept[place[known]]
        missing = np.unique(index[~known])
        made = self._make(missing)
        result[~known] = made[np.searchsorted(missing, index[~known])]
        some = slice(self._n_kept, min(self._n_kept + len(missing), len(self._kept)))
        n_new = some.stop - some.start
        self._kept[some] = made[:n_new]
        self._place[missing[:n_new]] = np.arange(some.start, some.stop)
        self._n_kept = some.stop
        return result

    def passing(self, index: np.ndarray) -> np.ndarray:
        """[r c] the same of rows that are asked for once, one after the other: kept only if all fit."""
        return self.rows(index) if self.all_fit else self._make(index)
