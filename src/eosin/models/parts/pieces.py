"""A section cut into pieces that fit in memory, each with the spots around it that its prediction looks at.

A model says how far it looks: in *hops* from a spot to its nearest ones, one for each layer and pass. A piece is some
*own* spots and all that these many hops reach. The neighbours of every spot that an own spot depends on are then the
same in the piece as in the whole section, and so is the prediction of own spots; that of spots at a piece's edge is
not, and is not used.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from eosin.geometry.nearest import OneSection
from eosin.row_blocks import row_blocks
from eosin.storage.scratch import hand_back_freed, let_go, scratch_table
from eosin.types import Batch

_DEEP = 4
"""Hops from which on pieces are compact, so that little lies around them; else strips in the order of the file."""
_IN_ORDER = 0.9
_BYTES_AT_ONCE = 1 << 24


@dataclass(frozen=True)
class Hop:
    """One look around: from a spot to its nearest ones, as `eosin.geometry.neighbours` finds them.

    Attributes
    ----------
    n_neighbours, include_ties, reach_um
        As there.
    """

    n_neighbours: int
    include_ties: bool = False
    reach_um: float | None = None


@dataclass(frozen=True)
class Piece:
    """Some spots of a section and those around them.

    Attributes
    ----------
    batch
        These spots, as one part.
    rows
        [r] growing: which rows of the section they are.
    is_own
        [r] bool: those that the piece is for.
    """

    batch: Batch
    rows: np.ndarray
    is_own: np.ndarray

    @property
    def own(self) -> np.ndarray:
        """Rows of the section that the piece is for."""
        return self.rows[self.is_own]


class Pieces:
    """One section, a piece at a time.

    Parameters
    ----------
    batch
        The section; its features may lie on disk.
    most_spots
        Own spots of a piece at most.
    folder
        Where large tables in between are kept, see `scratch_table`.
    """

    def __init__(self, batch: Batch, most_spots: int, folder: str | Path | None = None):
        if len(batch.starts) != 2:
            raise ValueError(f"{len(batch.starts) - 1} sections cannot be cut as one")
        self.batch, self.most_spots, self.folder = batch, max(1, most_spots), folder

    def __len__(self) -> int:
        """Spots of the section."""
        return len(self.batch)

    @cached_property
    def _section(self) -> OneSection:
        return OneSection(self.batch.xy_um)

    def around(self, hops: Sequence[Hop]) -> Iterator[Piece]:
        """All pieces, each with the spots that so many hops reach; every spot is once among the own ones."""
        for own in self._cut(compact=len(hops) >= _DEEP):
            inside = self._reached(own, hops)
            rows = np.flatnonzero(inside)
            inside[:] = False
            inside[own] = True
            yield Piece(self.batch.regions([rows]), rows, inside[rows])
            hand_back_freed()

    def table(self, *shape: int) -> np.ndarray:
        """A float32 table of this shape, in memory or in a file without a name."""
        return scratch_table(shape, self.folder)

    def gathered(self, make: Callable[[Piece], np.ndarray], width: int, hops: Sequence[Hop]) -> np.ndarray:
        """[s w] float32: what `make` gives for all spots [r w] of each piece, of its own ones."""
        table = self.table(len(self), width)
        for piece in self.around(hops):
            table[piece.own] = make(piece)[piece.is_own]
            let_go(table)
        return table

    def _reached(self, own: np.ndarray, hops: Sequence[Hop]) -> np.ndarray:
        """Which spots so many hops from some spots reach, bool [s]."""
        inside = np.zeros(len(self), dtype=bool)
        inside[own] = True
        looked: dict[Hop, np.ndarray] = {}  # from where each kind of hop has been made
        for hop in hops:
            done = looked.setdefault(hop, np.zeros(len(self), dtype=bool))
            start = np.flatnonzero(inside & ~done)
            done[start] = True
            for block in row_blocks(len(start), budget=_BYTES_AT_ONCE, per_row=64 * (hop.n_neighbours + 2)):
                found = self._section.neighbours(
                    start[block], hop.n_neighbours, include_ties=hop.include_ties, reach_um=hop.reach_um
                )
                inside[found.index[found.valid]] = True
        return inside

    def _cut(self, *, compact: bool) -> Iterator[np.ndarray]:
        """Rows of each piece, growing: strips along one axis, or compact pieces cut across the longer side of each."""
        xy = self.batch.xy_um
        axis = None if compact else _axis_of_file(xy)
        waiting = [(np.arange(len(xy)), -(-len(xy) // self.most_spots))]
        while waiting:
            rows, n_pieces = waiting.pop()
            if n_pieces <= 1:
                yield np.sort(rows)
                continue
            along = int(np.argmax(np.ptp(xy[rows], axis=0))) if axis is None else axis
            order = rows[np.argsort(xy[rows, along], kind="stable")]
            n_first = n_pieces // 2
            at = len(rows) * n_first // n_pieces
            waiting += [(order[at:], n_pieces - n_first), (order[:at], n_first)]


def _axis_of_file(xy: np.ndarray) -> int:
    """The axis along which the spots are stored, so that a strip's features lie together; else the longer one."""
    extent = np.ptp(xy, axis=0) if len(xy) else np.ones(2)
    if len(xy) > 2 and (extent > 0).all():
        along = np.abs([np.corrcoef(np.arange(len(xy)), xy[:, axis])[0, 1] for axis in (0, 1)])
        if along.max() > _IN_ORDER:
            return int(np.argmax(along))
    return int(np.argmax(extent))
