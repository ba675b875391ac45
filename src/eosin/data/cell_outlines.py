"""Outlines of cells as 10x's platforms write them, brought into the order of a matrix: one outline a cell."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from eosin.types import Outlines


@dataclass(frozen=True)
class Rings:
    """Closed lines, of which a cell may have several, or none.

    Attributes
    ----------
    lines
        The rings (r), one after another.
    owner
        [r] int64: the row of the cell that each is of.
    """

    lines: Outlines
    owner: np.ndarray

    @classmethod
    def of_corners(cls, corners: np.ndarray, owner: np.ndarray, part: np.ndarray | None = None) -> Rings:
        """The rings of a table of corners: those of one cell and one part that follow one another.

        Parameters
        ----------
        corners
            [c 2]; the first may stand again at the end of a ring.
        owner
            [c] the row of the cell of each; -1 for none, whose corners are left out.
        part
            [c] numbers that part the rings of one cell.
        """
        keys = np.asarray(owner, dtype=np.int64)
        if part is not None:
            part_number = np.unique(part, return_inverse=True)[1]
            keys = np.where(keys < 0, -1, keys * (int(part_number.max(initial=0)) + 1) + part_number)
        kept = slice(None)
        if np.any(keys < 0) or np.any(keys[1:] < keys[:-1]):
            kept = np.argsort(keys, kind="stable")
            kept = kept[keys[kept] >= 0]
        corners, keys, owner = corners[kept], keys[kept], owner[kept]
        begins = np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]])) if len(keys) else np.zeros(0, int)
        return cls._closed(corners, np.append(begins, len(keys)), np.asarray(owner[begins], dtype=np.int64))

    @classmethod
    def _closed(cls, corners: np.ndarray, starts: np.ndarray, owner: np.ndarray) -> Rings:
        """Rings without the corner that closes them, and without those of fewer than three corners."""
        sizes = np.diff(starts)
        last = starts[1:] - 1
        again = (sizes > 1) & (corners[last] == corners[starts[:-1]]).all(1) if len(sizes) else np.zeros(0, bool)
        sizes = sizes - again
        kept = np.ones(len(corners), dtype=bool)
        kept[last[again]] = False
        kept &= np.repeat(sizes >= 3, np.diff(starts))
        sizes, owner = sizes[sizes >= 3], owner[sizes >= 3]
        return cls(Outlines(corners[kept], np.concatenate([[0], np.cumsum(sizes)])), owner)

    def largest(self, n_cells: int) -> tuple[Outlines, int]:
        """The largest ring of each cell (none for one without), and how many cells have several."""
        if np.array_equal(self.owner, np.arange(n_cells)):
            return self.lines, 0
        areas, _ = self.lines.moments()
        order = np.lexsort((-areas, self.owner))
        first = np.concatenate([[True], np.diff(self.owner[order]) > 0]) if len(order) else np.zeros(0, dtype=bool)
        chosen, n_several = order[first], int((np.bincount(self.owner, minlength=n_cells) > 1).sum())
        rings, sizes = self.lines.take(chosen), np.zeros(n_cells, dtype=np.int64)
        sizes[self.owner[chosen]] = np.diff(rings.starts)
        return Outlines(rings.corners_um, np.concatenate([[0], np.cumsum(sizes)])), n_several
