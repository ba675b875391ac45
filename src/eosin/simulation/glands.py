"""Glands of a synthetic section: their places, shapes and epithelial nuclei."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from eosin.simulation.tissue_field import GRID_UM, step, window_around
from eosin.simulation.tissue_layout import Nuclei


@dataclass(frozen=True)
class Gland:
    """A gland, or a solid nest of tumour cells.

    Attributes
    ----------
    xy_um
        Centre [2], µm.
    radius_um
        Mean radius, µm.
    wobble
        Deviation from a circle [4]: amplitudes (shares of the radius), then phases (radians), of the second and third
        harmonic.
    lumen
        Radius of the lumen as a share of the gland's; 0 is a solid nest.
    """

    xy_um: np.ndarray
    radius_um: float
    wobble: np.ndarray
    lumen: float

    def rho(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Distance from the centre of points (µm), in units of the gland's radius in that direction."""
        x, y = x - self.xy_um[0], y - self.xy_um[1]
        return np.hypot(x, y) / self.radius(np.arctan2(y, x))

    def radius(self, theta: np.ndarray) -> np.ndarray:
        """Radius (µm) in directions `theta` (radians)."""
        a2, a3, p2, p3 = self.wobble
        return self.radius_um * (1 + a2 * np.cos(2 * theta + p2) + a3 * np.cos(3 * theta + p3))


def place_glands(rng: np.random.Generator, where: np.ndarray, grade: float) -> list[Gland]:
    """Glands of random size at random places where `where` [n n] holds; one that would touch another is dropped.

    Parameters
    ----------
    where
        bool [n n] on the coarse grid.
    grade
        0 (round, with lumen) to 1 (large solid nests).
    """
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
        glands.append(Gland(centre, radius, wobble, 0.0 if solid else max(0.18, 1 - rng.uniform(17, 24) / radius)))
    return glands


def draw_glands(glands: list[Gland], shape: tuple[int, int], mpp: float) -> tuple[np.ndarray, ...]:
    """Shares of area of glands and of lumina, and the depth in a gland's wall (0 edge, 1 lumen), each [h w]."""
    area, lumen, depth = (np.zeros(shape, np.float32) for _ in range(3))
    for gland in glands:
        window, x, y = window_around(gland.xy_um, 1.3 * gland.radius_um, shape, mpp)
        rho = gland.rho(x, y)
        area[window] = np.maximum(area[window], step((1 - rho) * gland.radius_um, 1.0))
        if gland.lumen:
            ragged = gland.lumen * (1 + 0.07 * np.cos(9 * np.arctan2(y - gland.xy_um[1], x - gland.xy_um[0])))
            lumen[window] = np.maximum(lumen[window], step((ragged - rho) * gland.radius_um, 1.2))
        depth[window] = np.maximum(depth[window], np.clip((1 - rho) / (1 - gland.lumen), 0, 1))
    return area, lumen, depth


def line_gland(rng: np.random.Generator, gland: Gland, grade: float) -> Nuclei:
    """Nuclei in rings along a gland's wall, or throughout a solid nest; `grade` as for `place_glands`."""
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
