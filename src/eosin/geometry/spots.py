"""Geometry of spots: neighbours, local frames, cells of the lattice. Linear in spots, nothing all-pairs."""

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


@dataclass(frozen=True)
class LocalFrames:
    """Neighbour offsets seen in each spot's own axes.

    Attributes
    ----------
    along
        [s n 2] float32: coordinates of the centred offsets along the minor and the major axis of the
        neighbourhood. The signs are arbitrary: an invariant function must average over the four sign pairs.
    distance
        [s n] float32: length of the offset itself (not centred).
    degenerate
        [s] bool: the neighbourhood has no preferred axis.
    """

    along: np.ndarray
    distance: np.ndarray
    degenerate: np.ndarray


def local_frames(xy_um: np.ndarray, near: Neighbours, *, unit_um: float = 1.0, min_gap: float = 0.01) -> LocalFrames:
    """Principal axes of each neighbourhood in closed form, and the offsets along them (STFlow, equation 5).

    A neighbourhood whose two eigenvalues agree (relative gap below `min_gap`: every interior spot of a square
    lattice with k = 8, of a hexagonal one with k = 6) has no principal axes: any choice would depend on rounding
    and break the invariance. There each centred offset takes its own direction as axis, so that its coordinates
    are (0, its length): a choice that rotates and mirrors with the tissue.

    Parameters
    ----------
    unit_um
        Length that counts as 1 in the result.
    min_gap
        Smallest (major - minor) / (major + minor) at which axes are trusted; 0 trusts all.
    """
    offset = (xy_um[near.index] - xy_um[:, None]) / unit_um  # [s n 2]
    distance = np.hypot(offset[..., 0], offset[..., 1])
    weight = near.valid[..., None].astype(offset.dtype)
    count = np.maximum(weight.sum(1, keepdims=True), 1)
    centred = (offset - (offset * weight).sum(1, keepdims=True) / count) * weight
    xx, yy = (centred[..., 0] ** 2).sum(1), (centred[..., 1] ** 2).sum(1)
    xy = (centred[..., 0] * centred[..., 1]).sum(1)
    total, gap = xx + yy, np.hypot(xx - yy, 2 * xy)  # sum and difference of the eigenvalues
    degenerate = gap <= min_gap * total
    angle = 0.5 * np.arctan2(2 * xy, xx - yy)[:, None]  # of the major axis
    cos, sin = np.cos(angle), np.sin(angle)
    major = centred[..., 0] * cos + centred[..., 1] * sin
    minor = centred[..., 1] * cos - centred[..., 0] * sin
    length = np.hypot(centred[..., 0], centred[..., 1])
    flat = degenerate[:, None]
    along = np.stack([np.where(flat, 0.0, minor), np.where(flat, length, major)], axis=-1)
    return LocalFrames(along.astype(np.float32), distance.astype(np.float32), degenerate)


def nearest_spacing_um(xy_um: np.ndarray) -> float:
    """Median distance to the nearest other spot; NaN for fewer than two spots."""
    if len(xy_um) < 2:
        return float("nan")
    return float(np.median(cKDTree(xy_um).query(xy_um, k=2)[0][:, 1]))


def lattice_positions(xy_um: np.ndarray, starts: np.ndarray | None = None) -> np.ndarray:
    """Row and column of each spot on the lattice that its section lies on, from positions alone.

    Square and hexagonal lattices are found whatever their pitch, turned by up to 20 degrees and jittered with an
    sd of up to an eighth of the pitch. Rows count downwards and columns to the right, both from 0 in every part. On
    a hexagonal lattice every second row is half a pitch further right and its columns count alone, so that all
    cells are filled (Visium's `array_row` and `array_col // 2`); where lines of spots run downwards instead, rows
    and columns change roles. Positions without a lattice are cut into squares of the median nearest distance,
    which several spots may share.

    Parameters
    ----------
    xy_um
        Positions [s 2].
    starts
        [b+1] first row of each section in a concatenation; one section if absent.

    Returns
    -------
    np.ndarray
        [s 2] int64, (row, column). Spots at the same place have the same.
    """
    starts = np.array([0, len(xy_um)]) if starts is None else np.asarray(starts)
    cells = np.zeros((len(xy_um), 2), dtype=np.int64)
    for a, b in pairwise(starts):
        cells[a:b] = _cells(np.asarray(xy_um[a:b], dtype=np.float64))
    return cells


_MOST_TURNED = np.radians(20)  # a hexagonal lattice turned further than this is taken for one of vertical lines
_MOST_OFF = 0.27  # median distance to the lattice, in pitches, of what still counts as regular; pure chance has 0.4


def _cells(xy: np.ndarray) -> np.ndarray:
    """(row, column) of the spots of one section [s 2]."""
    places = np.unique(np.round(xy, 3), axis=0)
    if len(places) < 2:
        return np.zeros((len(xy), 2), dtype=np.int64)
    pitch, angle, hexagonal = _first_guess(places)
    swapped = hexagonal and abs(angle) > _MOST_TURNED
    if swapped:
        xy, places = xy[:, ::-1], places[:, ::-1]
        angle = _fold(np.pi / 2 - angle, np.pi / 3)
    lattice = _Lattice.grown(places, pitch, angle, hexagonal=hexagonal)
    if lattice is None:
        cells = np.floor((xy - xy.min(0)) / nearest_spacing_um(places) + 0.5)[:, ::-1].astype(np.int64)
        return cells[:, ::-1] if swapped else cells
    cells = lattice.cells(xy)
    return cells[:, ::-1] if swapped else cells


def _fold(angle: float, period: float) -> float:
    """The same direction within half a period of 0."""
    return float(angle - period * np.round(angle / period))


def _first_guess(places: np.ndarray) -> tuple[float, float, bool]:
    """Pitch, angle of a row, and whether neighbours stand in six directions rather than in four."""
    tree = cKDTree(places)
    pitch = float(np.median(tree.query(places, k=min(3, len(places)))[0][:, 1:]))
    pairs = tree.query_pairs(1.35 * pitch, output_type="ndarray")  # a square's diagonal stays outside
    offset = places[pairs[:, 1]] - places[pairs[:, 0]]
    direction = np.arctan2(offset[:, 1], offset[:, 0])
    four, six = np.exp(4j * direction).mean(), np.exp(6j * direction).mean()
    hexagonal = bool(abs(six) > abs(four) + 1e-6)
    folds, order = (6, six) if hexagonal else (4, four)
    return pitch, float(np.angle(order)) / folds, hexagonal


@dataclass(frozen=True)
class _Lattice:
    """origin + column * steps[0] + row * steps[1]; `slant` is the share of a column that a row moves to the right."""

    origin: np.ndarray  # [2]
    steps: np.ndarray  # [2 2]
    slant: float

    @classmethod
    def grown(cls, places: np.ndarray, pitch: float, angle: float, *, hexagonal: bool) -> _Lattice | None:
        """Fit by least squares, to neighbours first and then in a circle that grows.

        So a small error of pitch or angle never adds up to a cell. None where the places do not lie on a lattice.
        """
        along, across = np.array([np.cos(angle), np.sin(angle)]), np.array([-np.sin(angle), np.cos(angle)])
        down = 0.5 * along + np.sqrt(0.75) * across if hexagonal else across
        middle = places[np.argmin(np.hypot(*(places - np.median(places, axis=0)).T))]
        lattice = cls(middle, pitch * np.stack([along, down]), 0.5 if hexagonal else 0.0)
        tree, some = cKDTree(places), places[:: max(1, len(places) // 1000)]
        for n_near in (9, 25, 49):
            near = tree.query(some, k=min(n_near, len(places)))[1][:, 1:]
            lattice = lattice.fitted_to_offsets((places[near] - some[:, None]).reshape(-1, 2))
        distance = np.hypot(*(places - middle).T)
        radius = 3.5 * pitch
        while True:
            lattice = lattice.fitted(places[distance <= radius])
            if radius >= distance.max():
                break
            radius *= 1.6
        index = lattice.index(places)
        off = np.hypot(*(places - lattice.at(index)).T) / pitch
        area = abs(np.linalg.det(lattice.steps)) / pitch**2
        regular = np.median(off) < _MOST_OFF and 0.4 < area < 2.0
        crowded = len(np.unique(index, axis=0)) < 0.8 * len(places)
        return lattice if regular and not crowded else None

    def fitted(self, places: np.ndarray) -> _Lattice:
        """Corrected by the places' mean deviations; a direction that they do not span stays as it is."""
        index = self.index(places)
        design = np.column_stack([np.ones(len(places)), index])
        change = np.linalg.lstsq(design, places - self.at(index), rcond=1e-9)[0]
        return _Lattice(self.origin + change[0], self.steps + change[1:], self.slant)

    def fitted_to_offsets(self, offset: np.ndarray) -> _Lattice:
        """Its steps corrected by offsets between spots [n 2], which need no origin."""
        index = _Lattice(np.zeros(2), self.steps, self.slant).index(offset)
        change = np.linalg.lstsq(index, offset - index @ self.steps, rcond=1e-9)[0]
        return _Lattice(self.origin, self.steps + change, self.slant)

    def index(self, xy: np.ndarray) -> np.ndarray:
        """[s 2] whole steps (along, down) to the lattice point of each position."""
        along, down = np.linalg.solve(self.steps.T, (xy - self.origin).T)
        row = np.round(down)
        return np.column_stack([np.round(along + self.slant * (down - row)), row])

    def at(self, index: np.ndarray) -> np.ndarray:
        return self.origin + index @ self.steps

    def cells(self, xy: np.ndarray) -> np.ndarray:
        """[s 2] (row, column), from 0."""
        along, row = self.index(xy).astype(np.int64).T
        row = row - row.min()
        column = along + (row // 2 if self.slant else 0)
        return np.column_stack([row, column - column.min()])
