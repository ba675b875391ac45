"""Where a synthetic section's glands, fibres, fat, vessels and nuclei lie, in µm; `tissue_image` paints it.

The layout comes first so that the genes of `synthetic` can depend on what the picture shows and on nothing else of it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree

from eosin.simulation.tissue_field import GRID_UM, resize, sample, shrink, smooth_field, step, texture

KINDS = ("epithelium", "tumour", "immune", "fibroblast", "endothelium")
MORPHOLOGY = ("gland", "nuclei", "immune", "fibre", "fat")

Field = Callable[[float], np.ndarray]


@dataclass(frozen=True)
class Nuclei:
    """Every nucleus [n]: centre (x, y) µm, half axes µm, angle of the long axis, kind as index into `KINDS`."""

    xy_um: np.ndarray
    axes_um: np.ndarray
    angle: np.ndarray
    kind: np.ndarray

    def take(self, rows: np.ndarray) -> Nuclei:
        return Nuclei(self.xy_um[rows], self.axes_um[rows], self.angle[rows], self.kind[rows])


@dataclass(frozen=True)
class Tissue:
    """One section as drawn: maps at image resolution [h w], shares of area in [0, 1], and the nuclei.

    `strand` is the texture of collagen (sd about 1), `cleft` the cracks between its bundles, `depth` runs from 0 at a
    gland's edge to 1 at its lumen, `membrane` is what remains of fat cells.
    """

    mpp: float
    tissue: np.ndarray
    gland: np.ndarray
    lumen: np.ndarray
    depth: np.ndarray
    fat: np.ndarray
    membrane: np.ndarray
    vessel: np.ndarray
    cleft: np.ndarray
    strand: np.ndarray
    nuclei: Nuclei

    @property
    def fibre(self) -> np.ndarray:
        """Stroma: tissue that is neither gland, fat nor vessel."""
        return self.tissue * (1 - self.gland) * (1 - self.fat) * (1 - self.vessel)

    def morphology(self, xy_um: np.ndarray, window_um: float) -> np.ndarray:
        """What the picture shows around each point [s m], columns as `MORPHOLOGY`.

        Area shares for gland, fibre and fat; nuclei and immune cells per 1000 µm². The window is a Gaussian whose
        standard deviation is a quarter of `window_um`, so that it counts about what a disc of that width holds.
        """
        areas = [shrink(area, self.mpp) for area in (self.gland * (1 - self.lumen), self.fibre, self.fat)]
        shape = areas[0].shape
        maps = {"gland": areas[0], "fibre": areas[1], "fat": areas[2]}
        maps["nuclei"] = _density(self.nuclei.xy_um, shape)
        maps["immune"] = _density(self.nuclei.xy_um[self.nuclei.kind == KINDS.index("immune")], shape)
        return np.stack(
            [sample(ndimage.gaussian_filter(maps[m], window_um / 4 / GRID_UM), xy_um) for m in MORPHOLOGY], 1
        )


@dataclass(frozen=True)
class _Gland:
    xy_um: np.ndarray
    radius_um: float
    wobble: np.ndarray  # amplitudes and phases of the second and third harmonic
    lumen: float  # share of the radius; 0 is a solid nest

    def rho(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Distance from the centre in units of the gland's own radius in that direction."""
        x, y = x - self.xy_um[0], y - self.xy_um[1]
        return np.hypot(x, y) / self.radius(np.arctan2(y, x))

    def radius(self, theta: np.ndarray) -> np.ndarray:
        a2, a3, p2, p3 = self.wobble
        return self.radius_um * (1 + a2 * np.cos(2 * theta + p2) + a3 * np.cos(3 * theta + p3))


def draw_tissue(rng: np.random.Generator, size_um: float, mpp: float, grade: float) -> Tissue:
    """Draw one square section `size_um` wide: outline, compartments, glands, fibres, fat, vessels, nuclei.

    `grade` runs from 0 (open round glands, even nuclei) to 1 (solid nests, large uneven nuclei).
    """
    n_px, n = round(size_um / mpp), round(size_um / GRID_UM)
    shape = (n_px, n_px)

    def field(length_um: float) -> np.ndarray:
        return smooth_field(rng, (n, n), length_um / GRID_UM)

    inside = _outline(n, field)
    epithelium, inflamed, fatty = field(680.0) - 0.05, field(300.0), field(480.0) - 0.7
    fatty = np.where(epithelium > 0.05, -1.0, fatty)
    tissue = step(resize(inside, shape) + 0.005 * texture(rng, shape, 22 / mpp), 0.0022)
    across, angle = _fibre_flow(field, n, rng.uniform(0, np.pi))
    strand, cleft = _draw_fibres(rng, resize(across, shape), shape, mpp, field)
    glands = _place_glands(rng, (epithelium > 0.05) & (inside > 0.06), grade)
    gland, lumen, depth = _draw_glands(glands, shape, mpp)
    fat, membrane = _draw_fat(rng, fatty, shape)
    vessel, lining = _draw_vessels(rng, (inside > 0.1) & (epithelium < -0.15) & (fatty < -0.1), shape, mpp)
    fat, vessel, gland = fat * (1 - gland) * tissue, vessel * (1 - gland), gland * tissue
    room = shrink(tissue * (1 - gland) * (1 - vessel) * (1 - np.maximum(fat, 0)), mpp)
    parts = [_line_glands(rng, gland, grade) for gland in glands]
    parts += [lining, _scatter(rng, room, inflamed, angle), _infiltrate(rng, shrink(gland * (1 - lumen), mpp))]
    nuclei = _keep_apart(_join(parts), tissue * (1 - gland * lumen) * (1 - fat), mpp)
    return Tissue(mpp, tissue, gland, lumen, depth, fat, membrane * (1 - gland), vessel, cleft, strand, nuclei)


def _outline(n: int, field: Field) -> np.ndarray:
    """Signed height [n n], positive inside a ragged rounded square."""
    y, x = np.mgrid[-1 : 1 : n * 1j, -1 : 1 : n * 1j]
    ragged = 0.88 - (x**4 + y**4) ** 0.25 + 0.05 * field(700.0) + 0.022 * field(160.0)
    return np.minimum(ragged, 0.96 - np.maximum(np.abs(x), np.abs(y)))  # a rim of bare glass all round


def _fibre_flow(field: Field, n: int, turn: float) -> tuple[np.ndarray, np.ndarray]:
    """A height (µm) whose level lines are the fibres, and their angle, both [n n]."""
    y, x = np.mgrid[0:n, 0:n] * GRID_UM
    across = x * np.sin(turn) + y * np.cos(turn) + 70 * field(520.0) + 12 * field(150.0)
    down, right = np.gradient(across)
    return across, np.arctan2(right, -down)


def _draw_fibres(
    rng: np.random.Generator, across: np.ndarray, shape: tuple[int, int], mpp: float, field: Field
) -> tuple[np.ndarray, np.ndarray]:
    """Collagen texture and the clefts between its bundles [h w]: noise read along the level lines of `across`."""
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


def _place_glands(rng: np.random.Generator, where: np.ndarray, grade: float) -> list[_Gland]:
    """Throw glands of random size into `where` [n n]; one that would touch an earlier one is dropped."""
    rows, columns = np.nonzero(where)
    if not rows.size:
        return []
    pick = rng.integers(rows.size, size=max(1, rows.size * int(GRID_UM**2) // 450))
    centres = (np.stack([columns, rows], 1)[pick] + rng.random((pick.size, 2))) * GRID_UM
    radii = np.sort(rng.lognormal(np.log(30 + 7 * grade), 0.28, pick.size).clip(15, 70))[::-1]
    kept = np.zeros(pick.size, bool)
    for i in range(pick.size):  # large ones first, small ones fill the gaps
        gap = np.hypot(*(centres[:i][kept[:i]] - centres[i]).T) - radii[:i][kept[:i]] - radii[i]
        kept[i] = gap.min(initial=9.0) > 3.0
    glands = []
    for centre, radius in zip(centres[kept], radii[kept]):
        wobble = np.concatenate([rng.uniform(0, [0.16, 0.08]), rng.uniform(0, 2 * np.pi, 2)])
        solid = rng.random() < 0.12 + 0.75 * grade
        glands.append(_Gland(centre, radius, wobble, 0.0 if solid else max(0.18, 1 - rng.uniform(17, 24) / radius)))
    return glands


def _draw_glands(glands: list[_Gland], shape: tuple[int, int], mpp: float) -> tuple[np.ndarray, ...]:
    """Area maps of glands and lumina and the depth within the gland's wall, each [h w]."""
    gland, lumen, depth = (np.zeros(shape, np.float32) for _ in range(3))
    for one in glands:
        window, x, y = _window(one.xy_um, 1.3 * one.radius_um, shape, mpp)
        rho = one.rho(x, y)
        gland[window] = np.maximum(gland[window], step((1 - rho) * one.radius_um, 1.0))
        if one.lumen:
            ragged = one.lumen * (1 + 0.07 * np.cos(9 * np.arctan2(y - one.xy_um[1], x - one.xy_um[0])))
            lumen[window] = np.maximum(lumen[window], step((ragged - rho) * one.radius_um, 1.2))
        depth[window] = np.maximum(depth[window], np.clip((1 - rho) / (1 - one.lumen), 0, 1))
    return gland, lumen, depth


def _line_glands(rng: np.random.Generator, gland: _Gland, grade: float) -> Nuclei:
    """Nuclei in rings along a gland's wall, or all over a solid nest."""
    spacing = 7.6 + 2.0 * grade + 1.6 * bool(not gland.lumen)
    inner = 6.0 if not gland.lumen else gland.lumen * gland.radius_um + 6.5
    depths = np.arange(gland.radius_um - 5.5, inner, -(8.5 + 2 * grade)) if inner < gland.radius_um - 5.5 else []
    rings = []
    for ring, depth in enumerate(depths):
        n = max(3, int(2 * np.pi * depth / (spacing * (1 + 0.5 * bool(ring and gland.lumen)))))
        theta = (np.arange(n) + rng.random() + rng.normal(0, 0.13, n)) * 2 * np.pi / n
        r = gland.radius(theta) * depth / gland.radius_um + rng.normal(0, 0.7 + bool(not gland.lumen), n)
        rings.append((theta, r))
    theta, r = (np.concatenate(part) for part in zip(*rings)) if rings else (np.zeros(0), np.zeros(0))
    tumour = rng.random(theta.size) < (0.85 if not gland.lumen else 0.6 * grade)
    size = rng.normal(1, 0.10 + 0.12 * tumour * (0.5 + grade), theta.size).clip(0.6, 1.7) * (1 + 0.22 * tumour)
    axes = np.stack([4.4 * size, 3.0 * size * (1 + 0.12 * tumour)], 1)
    angle = np.where(tumour, rng.uniform(0, np.pi, theta.size), theta + rng.normal(0, 0.2, theta.size))
    xy = gland.xy_um + r[:, None] * np.stack([np.cos(theta), np.sin(theta)], 1)
    return Nuclei(xy, axes, angle, np.where(tumour, 1, 0))


def _draw_fat(rng: np.random.Generator, fatty: np.ndarray, shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Fat cells as rounded empty Voronoi cells, whole ones only, and the membranes between them, each [h w]."""
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


def _draw_vessels(
    rng: np.random.Generator, where: np.ndarray, shape: tuple[int, int], mpp: float
) -> tuple[np.ndarray, Nuclei]:
    """Small vessels in the stroma: the area of their lumen [h w] and the nuclei of their lining."""
    vessel = np.zeros(shape, np.float32)
    rows, columns = np.nonzero(where)
    linings = [_none()]
    for pick in rng.integers(max(rows.size, 1), size=min(rows.size, round(where.size * GRID_UM**2 / 2.2e5))):
        centre = np.array([columns[pick], rows[pick]]) * GRID_UM
        a, turn = rng.uniform(9, 24), rng.uniform(0, np.pi)
        b = a * rng.uniform(0.45, 0.9)
        window, x, y = _window(centre, a + 4, shape, mpp)
        u, v = _turn(x - centre[0], y - centre[1], turn)
        vessel[window] = np.maximum(vessel[window], step((1 - np.hypot(u / a, v / b)) * b, 0.8))
        theta = (np.arange(int(0.32 * (a + b)) + 2) + rng.random()) * 2 * np.pi / (int(0.32 * (a + b)) + 2)
        u, v = _turn((a + 1.8) * np.cos(theta), (b + 1.8) * np.sin(theta), -turn)
        along = np.arctan2(b * np.cos(theta), -a * np.sin(theta)) + turn
        axes = np.full((theta.size, 2), (5.0, 1.5))
        linings.append(Nuclei(centre + np.stack([u, v], 1), axes, along, np.full(theta.size, 4)))
    return vessel, _join(linings)


def _scatter(rng: np.random.Generator, room: np.ndarray, inflamed: np.ndarray, angle: np.ndarray) -> Nuclei:
    """Fibroblasts along the fibres, immune cells single and in aggregates, wherever there is room [n n]."""
    crowd = 1 / (1 + np.exp(-6 * (inflamed - 1.15)))
    immune, _ = _throw(rng, room * (0.00028 + 0.017 * crowd))
    fibroblast, cell = _throw(rng, room * 0.0013 * (1 - crowd))
    small = np.repeat(rng.normal(2.9, 0.25, (len(immune), 1)).clip(2.2, 3.8), 2, 1)
    small[:, 0] *= rng.uniform(1.0, 1.2, len(immune))
    slim = np.stack([rng.uniform(5.5, 9.5, len(fibroblast)), rng.uniform(1.3, 2.0, len(fibroblast))], 1)
    turn = angle[cell] + rng.normal(0, 0.18, len(fibroblast))
    return _join(
        [
            Nuclei(immune, small, rng.uniform(0, np.pi, len(immune)), np.full(len(immune), 2)),
            Nuclei(fibroblast, slim, turn, np.full(len(fibroblast), 3)),
        ]
    )


def _infiltrate(rng: np.random.Generator, wall: np.ndarray) -> Nuclei:
    """A few immune cells inside the epithelium."""
    xy, _ = _throw(rng, wall * 0.00022)
    return Nuclei(xy, np.full((len(xy), 2), 2.6), np.zeros(len(xy)), np.full(len(xy), 2))


def _throw(rng: np.random.Generator, rate: np.ndarray) -> tuple[np.ndarray, tuple[np.ndarray, np.ndarray]]:
    """Points of a Poisson process with `rate` per µm² on the grid, and the grid cell of each."""
    count = rng.poisson(np.maximum(rate, 0) * GRID_UM**2)
    rows, columns = (np.repeat(i, count[np.nonzero(count)]) for i in np.nonzero(count))
    return (np.stack([columns, rows], 1) + rng.random((rows.size, 2))) * GRID_UM, (rows, columns)


def _keep_apart(nuclei: Nuclei, allowed: np.ndarray, mpp: float) -> Nuclei:
    """Drop nuclei where no cell can be, and the later of two that would lie on each other."""
    h, w = allowed.shape
    column, row = (nuclei.xy_um / mpp).astype(int).T
    inside = (column >= 0) & (column < w) & (row >= 0) & (row < h)
    inside &= allowed[row.clip(0, h - 1), column.clip(0, w - 1)] > 0.5
    nuclei = nuclei.take(np.flatnonzero(inside))
    if len(nuclei.kind) < 2:
        return nuclei
    pairs = cKDTree(nuclei.xy_um).query_pairs(9.0, output_type="ndarray")
    width = np.sqrt(nuclei.axes_um.prod(1))
    apart = np.hypot(*(nuclei.xy_um[pairs[:, 0]] - nuclei.xy_um[pairs[:, 1]]).T)
    pairs = pairs[apart < 0.75 * width[pairs].sum(1)]
    keep = np.ones(len(nuclei.kind), bool)
    keep[pairs.max(1)] = False
    return nuclei.take(np.flatnonzero(keep))


def _density(xy_um: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Points per 1000 µm² in each cell of the coarse grid."""
    edges = [np.arange(n + 1) * GRID_UM for n in shape]
    return np.histogram2d(xy_um[:, 1], xy_um[:, 0], bins=edges)[0] * 1000 / GRID_UM**2


def _window(
    centre_um: np.ndarray, reach_um: float, shape: tuple[int, int], mpp: float
) -> tuple[tuple, np.ndarray, np.ndarray]:
    """The slices of an image around a point, and the positions (µm) of their pixels."""
    low = np.maximum(((centre_um - reach_um) / mpp).astype(int), 0)
    high = np.maximum(np.minimum(((centre_um + reach_um) / mpp).astype(int) + 1, shape[::-1]), low)
    y, x = np.mgrid[low[1] : high[1], low[0] : high[0]].astype(np.float32)
    return (slice(low[1], high[1]), slice(low[0], high[0])), (x + 0.5) * mpp, (y + 0.5) * mpp


def _turn(x: np.ndarray, y: np.ndarray, angle: float) -> tuple[np.ndarray, np.ndarray]:
    return x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)


def _none() -> Nuclei:
    return Nuclei(np.zeros((0, 2)), np.zeros((0, 2)), np.zeros(0), np.zeros(0, int))


def _join(parts: list[Nuclei]) -> Nuclei:
    columns = zip(*((p.xy_um, p.axes_um, p.angle, p.kind) for p in parts))
    return Nuclei(*(np.concatenate(column) for column in columns))
