"""Predictions mixed with those of neighbouring spots, and the spots at which the share of that is judged."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from eosin.geometry import Neighbours
from eosin.geometry.patches import patches
from eosin.row_blocks import row_blocks
from eosin.types import Batch

_NUMBERS_AT_ONCE = 2**22
_MOST_SPOTS, _FEWEST_SPOTS, _MOST_NUMBERS = 100_000, 20_000, 20_000_000


@dataclass(frozen=True)
class JudgedSpots:
    """Spots by which something is chosen, and what must be predicted for that.

    Attributes
    ----------
    needed
        Rows [p], growing: the judged spots and their neighbours.
    judged
        [j] which of them are judged, as places in `needed`.
    around
        Neighbours [j n] of the judged ones, as places in `needed`; None where nothing is smoothed.
    """

    needed: np.ndarray
    judged: np.ndarray
    around: Neighbours | None

    @classmethod
    def of(cls, rows: np.ndarray, around: Neighbours | None) -> JudgedSpots:
        """To judge some rows of a batch, whose spots have neighbours."""
        if around is None:
            return cls(rows, np.arange(len(rows)), None)
        index, valid = around.index[rows], around.valid[rows]
        needed = np.union1d(rows, index[valid])
        index = np.where(valid, index, rows[:, None])
        return cls(needed, np.searchsorted(needed, rows), Neighbours(np.searchsorted(needed, index), valid))

    @property
    def rows(self) -> np.ndarray:
        """[j] the judged rows."""
        return self.needed[self.judged]

    def smoothed(self, plain: np.ndarray, mix: float | np.ndarray) -> np.ndarray:
        """[j g] the judged spots' values, smoothed, of those of all needed ones [p g]."""
        return smoothed(plain, self.judged, self.around, mix)


def rows_to_judge(batch: Batch, n_genes: int) -> np.ndarray:
    """Rows by which penalties, error bars and other numbers of all spots are chosen: all, or pieces of very many.

    At most 100,000, the fewer the more genes there are, down to 20,000. Pieces are connected and lie in all sections;
    means over so many spots hardly move with more of them.
    """
    most = min(_MOST_SPOTS, max(_FEWEST_SPOTS, _MOST_NUMBERS // n_genes))
    return patches(batch.xy_um, most, starts=batch.starts)


def smoothed(
    plain: np.ndarray, rows: np.ndarray | None, around: Neighbours | None, mix: float | np.ndarray
) -> np.ndarray:
    """1 - mix of each spot's values plus mix of its neighbours' mean; a spot without any stays as it is.

    Parameters
    ----------
    plain
        Values [s g].
    rows
        [r] the spots that are wanted; None: all of them.
    around
        Neighbours [r n] of these, as rows of `plain`; None leaves everything as it is.
    mix
        The share, or one for each of them [r].
    """
    n = len(plain) if rows is None else len(rows)
    if around is None or not np.any(mix):
        return plain if rows is None else plain[rows]
    result = np.empty((n, plain.shape[1]), dtype=plain.dtype)
    shares = np.broadcast_to(np.asarray(mix, dtype=plain.dtype), n)
    for block in row_blocks(n, budget=_NUMBERS_AT_ONCE, per_row=plain.shape[1]):
        own = plain[block] if rows is None else plain[rows[block]]
        total, valid = np.zeros_like(own), around.valid[block]
        for index, there in zip(around.index[block].T, valid.T):
            total += plain[index] * there[:, None]
        count, share = valid.sum(1)[:, None], shares[block, None]
        mean = total / np.maximum(count, 1).astype(plain.dtype)
        result[block] = np.where(count > 0, (1 - share) * own + share * mean, own)
    return result
