"""The nearest other spots of each spot, never across sections, by k-d tree: no table of all pairs is made."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy.spatial import cKDTree

from eosin.errors import EosinError

_TIE = 1e-6  # distances that agree to this fraction are the same distance: they differ by rounding only


@dataclass(frozen=True)
class Neighbours:
    """The nearest other spots of each spot.

    Attributes
    ----------
    index
        [s n] int64: row of the neighbour; where `valid` is False it is the spot itself.
    valid
        [s n] bool: False where a section has fewer than n + 1 spots (or, with ties, where none is tied; with a reach,
        where the next one is too far away).
    """

    index: np.ndarray
    valid: np.ndarray


def neighbours(
    xy_um: np.ndarray,
    k: int,
    *,
    starts: np.ndarray | None = None,
    include_ties: bool = False,
    reach_um: float | None = None,
) -> Neighbours:
    """The `k` nearest other spots of each spot, never across sections.

    On a regular lattice the k-th distance is shared by several spots. Which of them count is decided by their
    direction from the spot (angle from the x axis), not by their order in the file; `include_ties=True` takes
    them all instead, which keeps exact rotation invariance on lattices at the price of more neighbours.

    Parameters
    ----------
    xy_um
        Positions [s 2], µm; spots at the same place are neighbours of one another.
    k
        Neighbours wanted; a section of n spots has at most n - 1.
    starts
        [b+1] first row of each section in a concatenation; one section if absent.
    reach_um
        A spot further away than this, µm, is no neighbour; None: however far. Of the spots within, the `k` nearest
        count, so that `k` bounds the memory.

    Returns
    -------
    Neighbours
        n = k without ties; with ties the largest number that any spot needs.

    Raises
    ------
    EosinError
        `k` is below 1.
    """
    if k < 1:
        raise EosinError(f"{k} neighbours are asked for", fix="ask for at least 1")
    bounds = [0, len(xy_um)] if starts is None else [int(row) for row in starts]
    parts = [_nearest(xy_um[a:b], None, k, a, include_ties=include_ties) for a, b in pairwise(bounds)]
    width = max((index.shape[1] for index, _ in parts), default=k)
    own = np.arange(len(xy_um))[:, None]
    index = np.repeat(own, width, axis=1)
    valid = np.zeros_like(index, dtype=bool)
    for (a, b), (part_index, part_valid) in zip(pairwise(bounds), parts):
        index[a:b, : part_index.shape[1]] = np.where(part_valid, part_index, own[a:b])
        valid[a:b, : part_index.shape[1]] = part_valid
    return Neighbours(index, valid) if reach_um is None else _within(xy_um, index, valid, reach_um)


class OneSection:
    """One section, of some spots of which neighbours are asked for: the same ones as `neighbours` finds for all.

    Parameters
    ----------
    xy_um
        Positions [s 2] of all spots, µm.
    """

    def __init__(self, xy_um: np.ndarray):
        self.xy_um = np.ascontiguousarray(xy_um, dtype=np.float64)
        self._tree = cKDTree(self.xy_um)

    def neighbours(
        self, rows: np.ndarray, k: int, *, include_ties: bool = False, reach_um: float | None = None
    ) -> Neighbours:
        """The neighbours of some spots, as `neighbours` has them: index [r n], rows of the section, and validity."""
        index, valid = _nearest(self.xy_um, rows, k, 0, include_ties=include_ties, tree=self._tree)
        own = rows[:, None]
        if reach_um is not None:
            valid = valid & (_distance(self.xy_um, own, index) <= reach_um * (1 + _TIE))
        return Neighbours(np.where(valid, index, own), valid)


def _within(xy_um: np.ndarray, index: np.ndarray, valid: np.ndarray, reach_um: float) -> Neighbours:
    """Those neighbours that are no further away than `reach_um`, but for rounding."""
    own = np.arange(len(xy_um))[:, None]
    valid = valid & (_distance(xy_um, own, index) <= reach_um * (1 + _TIE))
    return Neighbours(np.where(valid, index, own), valid)


def _distance(xy_um: np.ndarray, own: np.ndarray, index: np.ndarray) -> np.ndarray:
    """[r n] between spots `own` [r 1] and others [r n]."""
    return np.hypot(*np.moveaxis(xy_um[index] - xy_um[own], -1, 0))


def _nearest(
    xy: np.ndarray,
    rows: np.ndarray | None,
    k: int,
    start: int,
    *,
    include_ties: bool,
    tree: cKDTree | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Neighbours within one section, as rows of the concatenation: index [s n] and validity; or those of some rows."""
    own = np.arange(len(xy)) if rows is None else rows
    n, n_asked, at = len(xy), len(own), xy if rows is None else xy[rows]
    if n < 2:
        return np.zeros((n_asked, k), dtype=np.int64), np.zeros((n_asked, k), dtype=bool)
    search = cKDTree(xy) if tree is None else tree
    n_wanted = min(k, n - 1)
    n_queried = min(n, n_wanted + 2)  # itself, and one more to see whether the last distance is shared
    while True:
        distance, index = search.query(at, k=n_queried, workers=-1)
        distance = np.where(index == own[:, None], -1.0, distance)  # itself first, also among duplicates
        without_self = distance.min(1) >= 0  # more duplicates than were queried: drop the last instead
        distance[without_self, -1] = -1.0
        order = np.argsort(distance, axis=1, kind="stable")
        distance, index = np.take_along_axis(distance, order, 1)[:, 1:], np.take_along_axis(index, order, 1)[:, 1:]
        cut = distance[:, n_wanted - 1 : n_wanted] * (1 + _TIE)
        more_ties = (distance[:, -1:] <= cut).any() and n_queried < n and n_queried < 8 * k + 64
        if not more_ties:
            break
        n_queried = min(n, 2 * n_queried)
    inside = distance <= cut
    if include_ties:
        width = max(k, int(inside.sum(1).max()))
        index, valid = index[:, :width], inside[:, :width]
    else:
        index = _break_ties(xy, at, distance, index, inside, n_wanted)
        valid = np.ones((n_asked, n_wanted), dtype=bool)
    n_lacking = max(0, k - index.shape[1])
    return np.pad(index + start, ((0, 0), (0, n_lacking))), np.pad(valid, ((0, 0), (0, n_lacking)))


def _break_ties(
    xy: np.ndarray, at: np.ndarray, distance: np.ndarray, index: np.ndarray, inside: np.ndarray, n_wanted: int
) -> np.ndarray:
    """The `n_wanted` nearest [s n_wanted]; of those that share the last distance, the first by angle from the x axis.

    Spots at one place share the angle too: there the first by their rows count, so that the choice does not depend on
    which other spots the section has.

    Parameters
    ----------
    at
        Positions [s 2] of the spots whose neighbours these are.
    distance, index
        Candidates by growing distance [s n].
    inside
        bool [s n]: no further away than the last wanted one, but for rounding.
    """
    tied = (inside.sum(1) > n_wanted).nonzero()[0]
    if tied.size:
        cut = distance[tied, n_wanted - 1 : n_wanted]
        offset = xy[index[tied]] - at[tied][:, None]
        angle = np.round(np.arctan2(offset[..., 1], offset[..., 0]), 6)
        at_cut = np.abs(distance[tied] - cut) <= cut * _TIE
        rank = np.where(at_cut, cut, distance[tied])  # equal distances become equal numbers
        rank = np.where(inside[tied], rank, np.inf)
        order = np.lexsort((index[tied], np.where(at_cut, angle, 0.0), rank), axis=1)
        index[tied] = np.take_along_axis(index[tied], order, 1)
    return index[:, :n_wanted]
