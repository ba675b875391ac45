"""Draw the layout of one synthetic section: its outline, its compartments, and what fills them."""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree

from eosin.simulation.glands import draw_glands, line_gland, place_glands
from eosin.simulation.stroma import draw_fat, draw_fibres, draw_vessels, fibre_flow, infiltrate, scatter_cells
from eosin.simulation.tissue_field import GRID_UM, Field, resize, shrink, smooth_field, step, texture
from eosin.simulation.tissue_layout import Nuclei, TissueLayout


def draw_tissue(rng: np.random.Generator, size_um: float, mpp: float, grade: float) -> TissueLayout:
    """Draw one square section: outline, compartments, glands, fibres, fat, vessels, nuclei.

    Parameters
    ----------
    rng
        Source of randomness.
    size_um
        Side of the image, µm.
    mpp
        µm per pixel of the maps.
    grade
        0 (open round glands, even nuclei) to 1 (solid nests, large uneven nuclei).
    """
    n_px, n = round(size_um / mpp), round(size_um / GRID_UM)
    shape = (n_px, n_px)

    def field(length_um: float) -> np.ndarray:  # [n n], sd 1
        return smooth_field(rng, (n, n), length_um / GRID_UM)

    inside = _outline(n, field)
    epithelium, inflamed, fatty = field(680.0) - 0.05, field(300.0), field(480.0) - 0.7
    fatty = np.where(epithelium > 0.05, -1.0, fatty)
    tissue = step(resize(inside, shape) + 0.005 * texture(rng, shape, 22 / mpp), 0.0022)
    across, angle = fibre_flow(field, n, rng.uniform(0, np.pi))
    strand, cleft = draw_fibres(rng, resize(across, shape), shape, mpp, field)
    glands = place_glands(rng, (epithelium > 0.05) & (inside > 0.06), grade)
    gland, lumen, depth = draw_glands(glands, shape, mpp)
    fat, membrane = draw_fat(rng, fatty, shape)
    vessel, lining = draw_vessels(rng, (inside > 0.1) & (epithelium < -0.15) & (fatty < -0.1), shape, mpp)
    fat, vessel, gland = fat * (1 - gland) * tissue, vessel * (1 - gland), gland * tissue
    room = shrink(tissue * (1 - gland) * (1 - vessel) * (1 - np.maximum(fat, 0)), mpp)
    parts = [line_gland(rng, placed, grade) for placed in glands]
    parts += [lining, scatter_cells(rng, room, inflamed, angle), infiltrate(rng, shrink(gland * (1 - lumen), mpp))]
    nuclei = _keep_apart(Nuclei.joined(parts), tissue * (1 - gland * lumen) * (1 - fat), mpp)
    return TissueLayout(mpp, tissue, gland, lumen, depth, fat, membrane * (1 - gland), vessel, cleft, strand, nuclei)


def _outline(n: int, field: Field) -> np.ndarray:
    """Signed height [n n], positive inside the tissue: a rounded square with a ragged edge."""
    y, x = np.mgrid[-1 : 1 : n * 1j, -1 : 1 : n * 1j]
    ragged = 0.88 - (x**4 + y**4) ** 0.25 + 0.05 * field(700.0) + 0.022 * field(160.0)
    return np.minimum(ragged, 0.96 - np.maximum(np.abs(x), np.abs(y)))  # a rim of bare glass all round


def _keep_apart(nuclei: Nuclei, allowed: np.ndarray, mpp: float) -> Nuclei:
    """Drop nuclei where `allowed` [h w] is below one half, and the later of two that would overlap."""
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
