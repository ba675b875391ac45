"""Rows of a table in an HDF5 file, read where they are asked for and checked as they are read."""

from __future__ import annotations

import threading
from collections import OrderedDict
from pathlib import Path

import numpy as np

from eosin.errors import EosinError
from eosin.storage.lazy_rows import LazyRows

_PAGE_BYTES = 4 << 20
_KEPT_BYTES = 256 << 20
"""Pages that stay in memory, of all files together."""


class DiskRows(LazyRows):
    """A table [s f] of an HDF5 file, as float32.

    Parameters
    ----------
    path
        The file. It is opened for every reading, and must stay as it is.
    dataset
        Name of the table in it.

    Raises
    ------
    EosinError
        When rows are read: the file is gone, was changed since, is damaged (checksums), or the rows hold NaN or
        infinity.
    """

    def __init__(self, path: str | Path, dataset: str):
        import h5py

        self.path, self.dataset = Path(path), dataset
        with h5py.File(self.path, "r") as file:
            table = file[dataset]
            assert isinstance(table, h5py.Dataset)
            self.shape = int(table.shape[0]), int(table.shape[1])
            row_bytes = max(1, table.dtype.itemsize * self.shape[1])
            in_chunk = table.chunks[0] if table.chunks else 1
        # Whole chunks: HDF5 reads and checks a chunk as a whole, however little of it is wanted.
        self.page_rows = in_chunk * max(1, _PAGE_BYTES // (row_bytes * in_chunk))
        self.state = self._state()

    def rows(self, index: np.ndarray) -> np.ndarray:
        """The rows, page by page."""
        found = np.empty((len(index), self.shape[1]), dtype=np.float32)
        page_of_row = index // self.page_rows
        numbers = np.unique(page_of_row)
        for number in numbers:
            own = slice(None) if len(numbers) == 1 else page_of_row == number
            found[own] = self._page(int(number))[index[own] - number * self.page_rows]
        # A sum is finite only where all of its parts are; the other way round it may be too large.
        if not np.isfinite(found.sum(dtype=np.float64)) and not np.isfinite(found).all():
            raise EosinError("features hold NaN or infinity", file=self.path, fix="delete it and encode again")
        return found

    def _page(self, number: int) -> np.ndarray:
        """Some following rows in the file's own type, kept for the next reading of rows near by."""
        if self._state() != self.state:
            raise EosinError("was changed while it was in use", file=self.path, fix="start again")
        key = str(self.path), self.dataset, *self.state, number
        page = _KEPT.get(key)
        if page is None:
            page = self._read(slice(number * self.page_rows, (number + 1) * self.page_rows))
            _KEPT.put(key, page)
        return page

    def _read(self, rows: slice) -> np.ndarray:
        import h5py

        try:
            with h5py.File(self.path, "r") as file:
                table = file[self.dataset]
                assert isinstance(table, h5py.Dataset)
                return table[rows]
        except (OSError, RuntimeError, KeyError, ValueError) as error:
            fix = "delete it and encode again"
            raise EosinError(f"not readable as a feature file ({error})", file=self.path, fix=fix) from error

    def _state(self) -> tuple[int, int]:
        """Size and time of the file's last change."""
        try:
            facts = self.path.stat()
        except OSError as error:
            raise EosinError("is not there any more", file=self.path, fix="put it back") from error
        return facts.st_size, facts.st_mtime_ns


class _Pages:
    """Pages in memory, of which those that were not used for longest are let go."""

    def __init__(self, most_bytes: int):
        self.most_bytes, self.n_bytes = most_bytes, 0
        self.pages: OrderedDict[tuple, np.ndarray] = OrderedDict()
        self.lock = threading.Lock()

    def get(self, key: tuple) -> np.ndarray | None:
        with self.lock:
            if key in self.pages:
                self.pages.move_to_end(key)
            return self.pages.get(key)

    def put(self, key: tuple, page: np.ndarray) -> None:
        with self.lock:
            if key not in self.pages:
                self.pages[key], self.n_bytes = page, self.n_bytes + page.nbytes
            while self.n_bytes > self.most_bytes and len(self.pages) > 1:
                self.n_bytes -= self.pages.popitem(last=False)[1].nbytes


_KEPT = _Pages(_KEPT_BYTES)
