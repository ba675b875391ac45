"""The stroma of a synthetic section: collagen fibres, fat, vessels, and the cells between them."""

from __future__ import annotations

import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree

from eosin.simulation.tissue_field import GRID_UM, Field, resize, sample, step, window_around
from eosin.simulation.tissue_layout import Nuclei


def fibre_flow(field: Field, n: int, turn: float) -> tuple[np.ndarray, np.ndarray]:
    """A height (µm) whose level lines are the fibres, and the fibres' angle (radians), both [n n] on the coarse grid.

    `turn` is their mean direction, radians.
    """
    y, x = np.mgrid[0:n, 0:n] * GRID_UM
    across = x * np.sin(turn) + y * np.cos(turn) + 70 * field(520.0) + 12 * field(150.0)
    down, right = np.gradient(across)
    return across, np.arctan2(right, -down)


def draw_fibres(
    rng: np.random.Generator, across: np.ndarray, shape: tuple[int, int], mpp: float, field: Field
) -> tuple[np.ndarray, np.ndarray]:
    """Texture of collagen and clefts between its bundles, each [h w]: noise stretched along level lines of `across`."""
    y, x = np.mgrid[0 : shape[0], 0 : shape[1]].astype(np.float32) * np.float32(mpp)
    along = x + y
    strand = np.zeros(shape, np.float32)
    for width_um, length_um, gain in ((2.6, 55.0, 0.55), (8.0, 140.0, 0.75)):
        noise = rng.standard_normal((512, 512)).astype(np.float32)
        at = np.stack([across / np.float32(width_um), along / np.float32(length_um)])
        layer = ndimage.map_coordinates(noise, at, order=1, mode="grid-wrap")
        strand += np.float32(gain) * layer
    loose = resize(0.5 + 0.5 * np.tanh(field(260.0)), shape)  # some stroma is dense, some torn
    return strand, step(layer - 1.55 + 0.5 * loose, 0.18)


def draw_fat(rng: np.random.Generator, fatty: np.ndarray, shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Fat cells (whole Voronoi cells, rounded) where `fatty` [n n] is positive, and their membranes, each [h w]."""
    n, spacing = len(fatty), 52.0
    side = int(np.ceil(n * GRID_UM / spacing)) + 2
    row, column = np.mgrid[-1:side, -1:side]
    centres = np.stack([column + 0.5 * (row % 2), row * 0.9], -1).reshape(-1, 2) * spacing
    centres = centres + rng.normal(0, 7.5, centres.shape)
    chosen = sample(fatty, centres) > 0
    gap, zone = np.full(fatty.shape, -9.0), np.zeros(fatty.shape)
    near = np.nonzero(ndimage.maximum_filter(fatty, round(2 * spacing / GRID_UM)) > 0)
    if near[0].size and chosen.any():
        at = (np.stack([near[1], near[0]], 1) + 0.5) * GRID_UM
        distance, index = cKDTree(centres).query(at, k=2)
        inside = chosen[index[:, 0]]
        edge = (distance[:, 1] - distance[:, 0]) / 2
        gap[near] = np.where(inside, np.minimum(edge, 33 - distance[:, 0]), -edge)
        zone[near] = inside
    fat = step(resize(gap, shape) - 1.3, 0.8)
    return fat, np.clip(resize(zone, shape) - fat, 0, 1)


def draw_vessels(
    rng: np.random.Generator, where: np.ndarray, shape: tuple[int, int], mpp: float
) -> tuple[np.ndarray, Nuclei]:
    """Small vessels where `where` [n n] holds: share of area of the lumen [h w], and nuclei of the endothelium."""
    vessel = np.zeros(shape, np.float32)
    rows, columns = np.nonzero(where)
    linings = [Nuclei.none()]
    for pick in rng.integers(max(rows.size, 1), size=min(rows.size, round(where.size * GRID_UM**2 / 2.2e5))):
        centre = np.array([columns[pick], rows[pick]]) * GRID_UM
        a, turn = rng.uniform(9, 24), rng.uniform(0, np.pi)
        b = a * rng.uniform(0.45, 0.9)
        window, x, y = window_around(centre, a + 4, shape, mpp)
        u, v = _rotated(x - centre[0], y - centre[1], turn)
        vessel[window] = np.maximum(vessel[window], step((1 - np.hypot(u / a, v / b)) * b, 0.8))
        theta = (np.arange(int(0.32 * (a + b)) + 2) + rng.random()) * 2 * np.pi / (int(0.32 * (a + b)) + 2)
        u, v = _rotated((a + 1.8) * np.cos(theta), (b + 1.8) * np.sin(theta), -turn)
        along = np.arctan2(b * np.cos(theta), -a * np.sin(theta)) + turn
        axes = np.full((theta.size, 2), (5.0, 1.5))
        linings.append(Nuclei(centre + np.stack([u, v], 1), axes, along, np.full(theta.size, 4)))
    return vessel, Nuclei.joined(linings)


def scatter_cells(rng: np.random.Generator, room: np.ndarray, inflamed: np.ndarray, angle: np.ndarray) -> Nuclei:
    """Fibroblasts along the fibres, and immune cells, single and in aggregates.

    Parameters
    ----------
    room
        Share of each cell of the coarse grid where nuclei may lie [n n].
    inflamed
        A field [n n], sd 1; immune cells aggregate where it is above about 1.
    angle
        Direction of the fibres [n n], radians.
    """
    crowd = 1 / (1 + np.exp(-6 * (inflamed - 1.15)))
    immune, _ = _poisson_points(rng, room * (0.00028 + 0.017 * crowd))
    fibroblast, cell = _poisson_points(rng, room * 0.0013 * (1 - crowd))
    small = np.repeat(rng.normal(2.9, 0.25, (len(immune), 1)).clip(2.2, 3.8), 2, 1)
    small[:, 0] *= rng.uniform(1.0, 1.2, len(immune))
    slim = np.stack([rng.uniform(5.5, 9.5, len(fibroblast)), rng.uniform(1.3, 2.0, len(fibroblast))], 1)
    turn = angle[cell] + rng.normal(0, 0.18, len(fibroblast))
    return Nuclei.joined(
        [
            Nuclei(immune, small, rng.uniform(0, np.pi, len(immune)), np.full(len(immune), 2)),
            Nuclei(fibroblast, slim, turn, np.full(len(fibroblast), 3)),
        ]
    )


def infiltrate(rng: np.random.Generator, wall: np.ndarray) -> Nuclei:
    """A few immune cells in the epithelium; `wall` [n n] is the share of it in each cell of the coarse grid."""
    xy, _ = _poisson_points(rng, wall * 0.00022)
    return Nuclei(xy, np.full((len(xy), 2), 2.6), np.zeros(len(xy)), np.full(len(xy), 2))


def _poisson_points(rng: np.random.Generator, rate: np.ndarray) -> tuple[np.ndarray, tuple[np.ndarray, np.ndarray]]:
    """Points [m 2] (µm) of a Poisson process with `rate` per µm² [n n], and the grid cell (rows, columns) of each."""
    count = rng.poisson(np.maximum(rate, 0) * GRID_UM**2)
    rows, columns = (np.repeat(i, count[np.nonzero(count)]) for i in np.nonzero(count))
    return (np.stack([columns, rows], 1) + rng.random((rows.size, 2))) * GRID_UM, (rows, columns)


def _rotated(x: np.ndarray, y: np.ndarray, angle: float) -> tuple[np.ndarray, np.ndarray]:
    """Coordinates in axes that are turned by `angle` (radians)."""
    return x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
