"""The H&E image of a synthetic section: two stain maps, absorption by Beer-Lambert, a little blur and grain."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from eosin.simulation.tissue_field import step, texture
from eosin.simulation.tissue_layout import KINDS, Nuclei, TissueLayout

# Optical density per channel (R, G, B) of unit stain: haematoxylin blue-purple, eosin pink.
_HAEMATOXYLIN = np.array([0.60, 0.69, 0.34])
_EOSIN = np.array([0.13, 0.82, 0.42])
_GLASS = np.array([243, 242, 244], np.float32)  # colour of bare glass in a scanned image


@dataclass(frozen=True)
class _Chromatin:
    """Haematoxylin in a kind of nucleus: mean density, and density added by rim, grain and nucleolus."""

    level: float
    rim: float
    grain: float
    nucleolus: float


_CHROMATIN = {
    "epithelium": _Chromatin(0.80, 0.18, 0.16, 0.10),
    "tumour": _Chromatin(0.62, 0.34, 0.28, 0.75),
    "immune": _Chromatin(1.22, 0.10, 0.24, 0.0),
    "fibroblast": _Chromatin(0.85, 0.05, 0.10, 0.0),
    "endothelium": _Chromatin(0.95, 0.05, 0.10, 0.0),
}


@dataclass(frozen=True)
class Look:
    """How one section is stained.

    Attributes
    ----------
    haematoxylin, eosin
        Optical density of unit stain in red, green, blue [3].
    h_gain, e_gain
        Strength of each stain, about 1.
    """

    haematoxylin: np.ndarray
    eosin: np.ndarray
    h_gain: float
    e_gain: float

    @classmethod
    def draw(cls, rng: np.random.Generator, sd: float) -> Look:
        """The staining of one laboratory at random; `sd` is the relative spread between laboratories."""
        h, e = (v * np.exp(rng.normal(0, 0.5 * sd, 3)) for v in (_HAEMATOXYLIN, _EOSIN))
        return cls(h, e, float(np.exp(rng.normal(0, sd))), float(np.exp(rng.normal(0, sd))))

    def vary(self, rng: np.random.Generator, sd: float) -> Look:
        """The staining of the same laboratory on another day; `sd` is the relative spread of strength between days."""
        gains = np.exp(rng.normal(0, sd, 2))
        return Look(self.haematoxylin, self.eosin, self.h_gain * gains[0], self.e_gain * gains[1])


def render(rng: np.random.Generator, tissue: TissueLayout, look: Look) -> np.ndarray:
    """The image of a layout, RGB uint8 [h w 3]."""
    shape = tissue.tissue.shape
    grain = texture(rng, shape, 4.5 / tissue.mpp)
    fibre, wall = tissue.fibre, tissue.gland * (1 - tissue.lumen)
    eosin = fibre * (0.50 + 0.13 * tissue.strand) * (1 - 0.85 * tissue.cleft)
    eosin += wall * (0.40 - 0.12 * tissue.depth + 0.05 * grain) + 0.15 * tissue.membrane * tissue.tissue
    secretion = step(texture(rng, shape, 90 / tissue.mpp) - 0.9, 0.3) * (1 + 0.2 * grain)
    eosin += (0.05 + 0.20 * secretion) * tissue.gland * tissue.lumen + 0.7 * _red_cells(rng, tissue)
    chromatin = _draw_nuclei(rng, tissue.nuclei, shape, tissue.mpp)
    blue = wall * (0.17 + 0.03 * grain) + fibre * 0.04 * (1 - tissue.cleft) + chromatin
    eosin *= 1 - 0.4 * np.minimum(chromatin, 1)  # a nucleus leaves less room for eosin
    soft = 0.5 / tissue.mpp
    blue, eosin = (ndimage.gaussian_filter(np.maximum(stain, 0), soft) for stain in (blue, eosin))
    grit = 1 + 0.008 * rng.standard_normal(shape, dtype=np.float32)
    image = np.empty((*shape, 3), np.uint8)
    for c in range(3):
        density = blue * np.float32(look.h_gain * look.haematoxylin[c])
        density += eosin * np.float32(look.e_gain * look.eosin[c])
        image[..., c] = np.clip(_GLASS[c] * np.exp(-density) * grit, 0, 255)
    return image


def _draw_nuclei(rng: np.random.Generator, nuclei: Nuclei, shape: tuple[int, int], mpp: float) -> np.ndarray:
    """Density of haematoxylin in all nuclei [h w], summed where they overlap; drawn in groups of one window size."""
    total = np.zeros(shape[0] * shape[1], np.float32)
    grain = texture(rng, shape, 3.0 / mpp).ravel()
    strength = np.exp(rng.normal(0, 0.13, len(nuclei.kind)))
    nucleolus = rng.normal(0, 0.25, (len(nuclei.kind), 2))
    reach = np.ceil(nuclei.axes_um.max(1, initial=0) / mpp).astype(int) + 1
    for half in np.unique(reach):
        same_size = np.flatnonzero(reach == half)
        for rows in np.array_split(same_size, max(1, same_size.size * (2 * half + 1) ** 2 // 2_000_000)):
            pixel, density = _ellipses(nuclei.take(rows), strength[rows], nucleolus[rows], half, shape, mpp, grain)
            total += np.bincount(pixel, density, total.size).astype(np.float32)
    return total.reshape(shape)


def _ellipses(
    nuclei: Nuclei,
    strength: np.ndarray,
    nucleolus: np.ndarray,
    half: int,
    shape: tuple[int, int],
    mpp: float,
    grain: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Flat pixel indices and densities of haematoxylin [m] of nuclei, each drawn in a window of 2 half + 1 pixels."""
    dy, dx = (d.ravel() for d in np.mgrid[-half : half + 1, -half : half + 1])
    middle = np.floor(nuclei.xy_um / mpp).astype(int)
    column, row = middle[:, :1] + dx, middle[:, 1:] + dy  # [n w²]
    inside = (column >= 0) & (column < shape[1]) & (row >= 0) & (row < shape[0])
    x = ((column + 0.5) * mpp - nuclei.xy_um[:, :1]).astype(np.float32)
    y = ((row + 0.5) * mpp - nuclei.xy_um[:, 1:]).astype(np.float32)
    cos, sin = (f(nuclei.angle).astype(np.float32)[:, None] for f in (np.cos, np.sin))
    axes = nuclei.axes_um.astype(np.float32)
    u, v = (x * cos + y * sin) / axes[:, :1], (y * cos - x * sin) / axes[:, 1:]
    rho = np.sqrt(u * u + v * v)
    level, rim, rough, spot = (
        np.array([getattr(_CHROMATIN[kind], part) for kind in KINDS], np.float32)[nuclei.kind][:, None]
        for part in ("level", "rim", "grain", "nucleolus")
    )
    pixel = np.where(inside, row * shape[1] + column, 0)
    density = level + rim * np.exp(-(((rho - 0.85) / 0.18) ** 2)) + rough * grain[pixel]
    density += spot * np.exp(-((u - nucleolus[:, :1]) ** 2 + (v - nucleolus[:, 1:]) ** 2) / np.float32(0.07))
    edge = np.clip((1 - rho) * axes.min(1, keepdims=True) / np.float32(max(mpp, 0.5)) + 0.5, 0, 1)
    density = np.maximum(density, 0) * edge * strength[:, None] * inside
    drawn = density > 0
    return pixel[drawn], density[drawn]


def _red_cells(rng: np.random.Generator, tissue: TissueLayout) -> np.ndarray:
    """Red blood cells in the vessels, shares of area [h w]: small discs that take much eosin."""
    total = np.zeros(tissue.vessel.shape, np.float32)
    rows, columns = np.nonzero(tissue.vessel > 0.9)
    radius = max(1, round(3.4 / tissue.mpp))
    offset = np.arange(-radius, radius + 1)
    disc = np.clip(radius + 0.5 - np.hypot(offset, offset[:, None]), 0, 1).astype(np.float32)
    h, w = np.shape(tissue.vessel)
    for i in rng.integers(max(rows.size, 1), size=round(rows.size * tissue.mpp**2 / 55)):
        r, c = rows[i], columns[i]
        if radius <= r < h - radius and radius <= c < w - radius:
            window = total[r - radius : r + radius + 1, c - radius : c + radius + 1]
            np.maximum(window, disc, out=window)
    return total * tissue.vessel
