"""The nearest other spots of each spot, never across sections; linear in spots, nothing all-pairs."""

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
        [s n] bool: False where a section has fewer than n + 1 spots (or, with ties, where none is tied).
    """

    index: np.ndarray
    valid: np.ndarray


def neighbours(
    xy_um: np.ndarray, k: int, *, starts: np.ndarray | None = None, include_ties: bool = False
) -> Neighbours:
    """The `k` nearest other spots of each spot, never across sections.

    On a regular lattice the k-th distance is shared by several spots. Which of them count is decided by their
    direction from the spot (angle from the x axis), not by their order in the file; `include_ties=True` takes
    them all instead, which keeps exact rotation invariance on lattices at the price of more neighbours.

    Parameters
    ----------
    xy_um
        Positions [s 2]; spots at the same place are neighbours of one another.
    k
        Neighbours wanted; a section of n spots has at most n - 1.
    starts
        [b+1] first row of each section in a concatenation; one section if absent.

    Returns
    -------
    Neighbours
        n = k without ties; with ties the largest number that any spot needs.
    """
    if k < 1:
        raise EosinError(f"{k} neighbours are asked for", fix="ask for at least 1")
    starts = np.array([0, len(xy_um)]) if starts is None else np.asarray(starts)
    parts = [_nearest(xy_um[a:b], k, int(a), include_ties=include_ties) for a, b in pairwise(starts)]
    width = max((index.shape[1] for index, _ in parts), default=k)
    own = np.arange(len(xy_um))[:, None]
    index = np.repeat(own, width, axis=1)
    valid = np.zeros_like(index, dtype=bool)
    for (a, b), (part, ok) in zip(pairwise(starts), parts):
        index[a:b, : part.shape[1]] = np.where(ok, part, own[a:b])
        valid[a:b, : part.shape[1]] = ok
    return Neighbours(index, valid)


def _nearest(xy: np.ndarray, k: int, start: int, *, include_ties: bool) -> tuple[np.ndarray, np.ndarray]:
    """Neighbours within one section, as rows of the concatenation: index [s n] and validity."""
    n = len(xy)
    if n < 2:
        return np.zeros((n, k), dtype=np.int64), np.zeros((n, k), dtype=bool)
    tree = cKDTree(xy)
    wanted = min(k, n - 1)
    asked = min(n, wanted + 2)  # itself, and one more to see whether the last distance is shared
    while True:
        distance, index = tree.query(xy, k=asked, workers=-1)
        distance = np.where(index == np.arange(n)[:, None], -1.0, distance)  # itself first, also among duplicates
        lost_self = distance.min(1) >= 0  # more duplicates than were asked for: drop the last instead
        distance[lost_self, -1] = -1.0
        order = np.argsort(distance, axis=1, kind="stable")
        distance, index = np.take_along_axis(distance, order, 1)[:, 1:], np.take_along_axis(index, order, 1)[:, 1:]
        cut = distance[:, wanted - 1 : wanted] * (1 + _TIE)
        open_end = (distance[:, -1:] <= cut).any() and asked < n and asked < 8 * k + 64
        if not open_end:
            break
        asked = min(n, 2 * asked)
    return _settle_ties(xy, distance, index + start, start, wanted, k, include_ties=include_ties)


def _settle_ties(
    xy: np.ndarray,
    distance: np.ndarray,
    index: np.ndarray,
    start: int,
    wanted: int,
    k: int,
    *,
    include_ties: bool,
) -> tuple[np.ndarray, np.ndarray]:
    cut = distance[:, wanted - 1 : wanted]
    inside = distance <= cut * (1 + _TIE)
    if include_ties:
        width = max(k, int(inside.sum(1).max()))
        index, inside = index[:, :width], inside[:, :width]
    else:
        tied = (inside.sum(1) > wanted).nonzero()[0]
        if tied.size:
            offset = xy[index[tied] - start] - xy[tied][:, None]
            angle = np.round(np.arctan2(offset[..., 1], offset[..., 0]), 6)
            at_cut = np.abs(distance[tied] - cut[tied]) <= cut[tied] * _TIE
            rank = np.where(at_cut, cut[tied], distance[tied])  # equal distances become equal numbers
            rank = np.where(inside[tied], rank, np.inf)
            order = np.lexsort((np.where(at_cut, angle, 0.0), rank), axis=1)
            index[tied] = np.take_along_axis(index[tied], order, 1)
        index, inside = index[:, :wanted], np.ones((len(xy), wanted), dtype=bool)
    short = k - index.shape[1]
    if short > 0:
        index = np.pad(index, ((0, 0), (0, short)))
        inside = np.pad(inside, ((0, 0), (0, short)))
    return index, inside
