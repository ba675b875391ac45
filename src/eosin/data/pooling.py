"""Counts of molecules, cells or small bins added up in squares of a given width: pseudo-spots."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from eosin.errors import EosinError

_REACH = 1 << 20
"""Squares are numbered from minus this to this along each axis."""
_MAX_GENES = 1 << 21
_PENDING = 1 << 22
"""Additions that wait before they are sorted in: 4 M, 64 MB."""


def squares_at(xy_um: np.ndarray, width_um: float) -> np.ndarray:
    """The square [m 2] (column, row) that each position [m 2] lies in; square (0, 0) begins at the origin."""
    squares = np.floor(np.asarray(xy_um, dtype=np.float64) / width_um)
    if not np.isfinite(squares).all():
        raise EosinError("a position is not a finite number")
    if squares.size and np.abs(squares).max() >= _REACH:
        raise EosinError(f"a position of {np.abs(xy_um).max():.3g} µm is far off any slide", fix="give positions in µm")
    return squares.astype(np.int64)


def centres_um(squares: np.ndarray, width_um: float) -> np.ndarray:
    """Centres [s 2] of squares [s 2], µm."""
    return (squares + 0.5) * width_um


def square_ids(squares: np.ndarray, width_um: float) -> tuple[str, ...]:
    """`100um-{row}x{column}`: the width is in the name, so that features of other squares never fit by chance."""
    return tuple(f"{width_um:g}um-{row}x{column}" for column, row in squares)


class Pool:
    """Adds counts by square and gene, in pieces; memory grows with the result, not with what is added.

    Use: `add` any number of times, then `finish`.
    """

    def __init__(self) -> None:
        self._keys = np.zeros(0, dtype=np.int64)  # row, column and gene in one number, sorted
        self._sums = np.zeros(0, dtype=np.float64)
        self._pending: list[tuple[np.ndarray, np.ndarray]] = []
        self._n_pending = 0

    def add(self, squares: np.ndarray, genes: np.ndarray, counts: np.ndarray | None = None) -> None:
        """Add `counts` [m] (one each by default) of `genes` [m] (numbers) in `squares` [m 2]."""
        if not len(genes):
            return
        squares = squares.astype(np.int64, copy=False)
        if genes.max() >= _MAX_GENES:
            raise EosinError(f"{genes.max() + 1} genes are too many", fix="give fewer than two million")
        where = (squares[:, 1] + _REACH) * (2 * _REACH) + (squares[:, 0] + _REACH)
        ones = np.ones(len(genes)) if counts is None else np.asarray(counts, dtype=np.float64)
        self._pending.append(_summed(where * _MAX_GENES + genes, ones))
        self._n_pending += len(self._pending[-1][0])
        if self._n_pending > max(_PENDING, len(self._keys)):
            self._sort_in()

    def add_rows(self, squares: np.ndarray, block: sparse.csr_matrix) -> None:
        """Add rows of counts [b g], each of which lies in one of `squares` [b 2].

        They are first added up within the block: a square of many bins then costs a few additions, not thousands.
        """
        where = squares[:, 1].astype(np.int64) * (2 * _REACH) + squares[:, 0]
        distinct, first, place = np.unique(where, return_index=True, return_inverse=True)
        ends = np.arange(len(where) + 1, dtype=np.int32)
        to_square = sparse.csr_matrix((np.ones(len(where)), place.astype(np.int32), ends), (len(where), len(distinct)))
        summed = sparse.coo_matrix(to_square.T @ block)
        self.add(squares[first[summed.row]], summed.col.astype(np.int64), summed.data)

    def finish(self, n_genes: int) -> tuple[np.ndarray, sparse.csr_matrix]:
        """The squares [s 2] that hold something, row by row, and their counts [s g]."""
        self._sort_in()
        where = self._keys // _MAX_GENES
        begins = _begins(where)  # sorted by square, then by gene: these are the rows of the matrix
        places, ends = where[begins], np.append(begins, len(where))
        del where
        columns = (self._keys % _MAX_GENES).astype(np.int32)
        self._keys = np.zeros(0, dtype=np.int64)
        counts = sparse.csr_matrix((self._sums, columns, ends), shape=(len(places), n_genes))
        squares = np.stack([places % (2 * _REACH), places // (2 * _REACH)], 1) - _REACH
        return squares, counts

    def _sort_in(self) -> None:
        if not self._pending:
            return
        keys, sums = zip((self._keys, self._sums), *self._pending)
        self._pending, self._n_pending = [], 0
        self._keys, self._sums = _summed(np.concatenate(keys), np.concatenate(sums))


def _summed(keys: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distinct keys, ascending, and the sum of the values of each."""
    order = np.argsort(keys, kind="stable")  # quick on keys of which long runs are sorted
    keys, values = keys[order], values[order]
    del order
    begins = _begins(keys)
    return keys[begins], np.add.reduceat(values, begins) if len(begins) else values


def _begins(ordered: np.ndarray) -> np.ndarray:
    """Where each run of equal numbers begins."""
    return np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]])) if len(ordered) else np.zeros(0, int)


def check_width(bin_um: float) -> float:
    """Refuse a width of squares that is none."""
    if not (np.isfinite(bin_um) and 1 <= bin_um <= 10_000):
        raise EosinError(f"squares of {bin_um:g} µm are impossible", fix="give --bin-um between 1 and 10000")
    return float(bin_um)
