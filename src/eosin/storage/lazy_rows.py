"""Tables of numbers that are not in memory: rows are made or read where they are asked for.

`table[rows]` gives a NumPy array, for a slice, a row, or an array of rows or flags; `numpy.asarray(table)` all of it.
Whoever must hold little memory asks for some rows at a time.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np

from eosin.row_blocks import row_blocks

_BYTES_AT_ONCE = 1 << 26


class LazyRows(ABC):
    """A table [s f] float32 of which rows are asked for.

    Attributes
    ----------
    shape
        Rows and columns.
    dtype, ndim
        float32, and 2: as an array has them.
    """

    dtype, ndim = np.dtype(np.float32), 2
    shape: tuple[int, int]

    @abstractmethod
    def rows(self, index: np.ndarray) -> np.ndarray:
        """[r f] float32, a new array: the rows of an int64 index [r] of numbers from 0 to s - 1, in its order."""

    def __len__(self) -> int:
        return self.shape[0]

    @property
    def nbytes(self) -> int:
        """Bytes that all rows would take in memory."""
        return self.shape[0] * self.shape[1] * self.dtype.itemsize

    def __getitem__(self, key: Any) -> np.ndarray:
        if isinstance(key, tuple):
            picked, *rest = key
            return self[picked][(slice(None), *rest)]
        if isinstance(key, int | np.integer):
            return self.rows(np.arange(len(self))[[int(key)]])[0]
        return self.rows(np.arange(len(self))[key])  # numpy knows slices, flags, negative numbers and what is outside

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        if copy is False:
            raise ValueError("the rows are not in memory: a copy is needed")
        whole = np.empty(self.shape, dtype or self.dtype)
        for block in self.blocks():
            whole[block] = self[block]
        return whole

    def blocks(self) -> list[slice]:
        """Slices that cover all rows, each of some 64 MiB."""
        return list(row_blocks(len(self), budget=_BYTES_AT_ONCE, per_row=self.shape[1] * self.dtype.itemsize))

    def chosen(self, index: np.ndarray | slice | None = None, columns: slice = slice(None)) -> LazyRows:
        """Some rows and columns of it, which are not read yet."""
        rows = np.arange(len(self)) if index is None else np.arange(len(self))[index]
        return _Chosen(self, rows, columns)


class _Chosen(LazyRows):
    """Some rows and columns of another table."""

    def __init__(self, whole: LazyRows, index: np.ndarray, columns: slice):
        self.whole, self.index, self.columns = whole, index, columns
        self.shape = len(index), len(range(whole.shape[1])[columns])

    def rows(self, index: np.ndarray) -> np.ndarray:
        found = self.whole.rows(self.index[index])
        return found if found.shape[1] == self.shape[1] else np.ascontiguousarray(found[:, self.columns])


class BesideRows(LazyRows):
    """Tables of the same rows, one beside another; arrays in memory may be among them."""

    def __init__(self, parts: Sequence[LazyRows | np.ndarray]):
        if len({len(part) for part in parts}) != 1:
            raise ValueError(f"tables of {[len(part) for part in parts]} rows cannot stand beside one another")
        self.parts = list(parts)
        self.shape = len(parts[0]), sum(part.shape[1] for part in parts)

    def rows(self, index: np.ndarray) -> np.ndarray:
        """The rows of every part."""
        found = [part.rows(index) if isinstance(part, LazyRows) else part[index] for part in self.parts]
        return np.concatenate(found, axis=1, dtype=self.dtype)


class StackedRows(LazyRows):
    """Tables of equal width, one below another; arrays in memory may be among them."""

    def __init__(self, parts: Sequence[LazyRows | np.ndarray]):
        widths = {part.shape[1] for part in parts}
        if len(widths) != 1:
            raise ValueError(f"tables of {sorted(widths)} columns cannot be stacked")
        self.parts = list(parts)
        self.starts = np.cumsum([0, *(len(part) for part in parts)])
        self.shape = int(self.starts[-1]), widths.pop()

    def rows(self, index: np.ndarray) -> np.ndarray:
        """The rows, part by part."""
        found = np.empty((len(index), self.shape[1]), dtype=self.dtype)
        part_of_row = np.searchsorted(self.starts, index, side="right") - 1
        for number in np.unique(part_of_row):
            own = part_of_row == number
            inside, part = index[own] - self.starts[number], self.parts[number]
            found[own] = part.rows(inside) if isinstance(part, LazyRows) else part[inside]
        return found
