"""Row and column of each spot on the lattice that its section lies on, from positions alone."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy.spatial import cKDTree

from eosin.geometry.spacing import nearest_spacing


def lattice_positions(xy_um: np.ndarray, starts: np.ndarray | None = None) -> np.ndarray:
    """Row and column of each spot on the lattice that its section lies on, from positions alone.

    Square and hexagonal lattices of any pitch are found, turned by up to 20 degrees and jittered with an
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
        [s 2] int64, (row, column). Spots at the same place have the same row and column.
    """
    bounds = [0, len(xy_um)] if starts is None else [int(row) for row in starts]
    cells = np.zeros((len(xy_um), 2), dtype=np.int64)
    for a, b in pairwise(bounds):
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
        cells = np.floor((xy - xy.min(0)) / nearest_spacing(places) + 0.5)[:, ::-1].astype(np.int64)
        return cells[:, ::-1] if swapped else cells
    cells = lattice.cells(xy)
    return cells[:, ::-1] if swapped else cells


def _fold(angle: float, period: float) -> float:
    """The angle, radians, shifted by whole periods to within half a period of 0."""
    return float(angle - period * np.round(angle / period))


def _first_guess(places: np.ndarray) -> tuple[float, float, bool]:
    """Pitch (unit of `places`), angle of a row (radians), and whether neighbours stand in six directions, not four."""
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
    """Points `origin + column * steps[0] + row * steps[1]` for whole `column` and `row`.

    `slant` is how far each row lies to the right of the row above, in columns: 0 if square, 0.5 if hexagonal.
    """

    origin: np.ndarray  # [2]
    steps: np.ndarray  # [2 2]
    slant: float

    @classmethod
    def grown(cls, places: np.ndarray, pitch: float, angle: float, *, hexagonal: bool) -> _Lattice | None:
        """Fit by least squares, to neighbours first and then in a circle that grows.

        A small error of pitch or angle then never adds up to a whole cell. None where the places lie on no lattice.
        """
        along, across = np.array([np.cos(angle), np.sin(angle)]), np.array([-np.sin(angle), np.cos(angle)])
        down = 0.5 * along + np.sqrt(0.75) * across if hexagonal else across
        middle = places[np.argmin(np.hypot(*(places - np.median(places, axis=0)).T))]
        lattice = cls(middle, pitch * np.stack([along, down]), 0.5 if hexagonal else 0.0)
        tree, sampled = cKDTree(places), places[:: max(1, len(places) // 1000)]
        for n_near in (9, 25, 49):
            near = tree.query(sampled, k=min(n_near, len(places)))[1][:, 1:]
            lattice = lattice.fitted_to_offsets((places[near] - sampled[:, None]).reshape(-1, 2))
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
        """The lattice fitted to places [s 2] by least squares; a direction that they do not span stays as it is."""
        index = self.index(places)
        design = np.column_stack([np.ones(len(places)), index])
        change = np.linalg.lstsq(design, places - self.at(index), rcond=1e-9)[0]
        return _Lattice(self.origin + change[0], self.steps + change[1:], self.slant)

    def fitted_to_offsets(self, offset: np.ndarray) -> _Lattice:
        """The lattice with its steps fitted to offsets between spots [n 2], for which the origin does not matter."""
        index = _Lattice(np.zeros(2), self.steps, self.slant).index(offset)
        change = np.linalg.lstsq(index, offset - index @ self.steps, rcond=1e-9)[0]
        return _Lattice(self.origin, self.steps + change, self.slant)

    def index(self, xy: np.ndarray) -> np.ndarray:
        """[s 2] whole steps (along, down) to the lattice point of each position."""
        along, down = np.linalg.solve(self.steps.T, (xy - self.origin).T)
        row = np.round(down)
        return np.column_stack([np.round(along + self.slant * (down - row)), row])

    def at(self, index: np.ndarray) -> np.ndarray:
        """Positions [s 2] of lattice points given by whole steps (along, down) [s 2]."""
        return self.origin + index @ self.steps

    def cells(self, xy: np.ndarray) -> np.ndarray:
        """(row, column) [s 2] of the lattice point nearest to each position, both counted from 0."""
        along, row = self.index(xy).astype(np.int64).T
        row = row - row.min()
        column = along + (row // 2 if self.slant else 0)
        return np.column_stack([row, column - column.min()])
