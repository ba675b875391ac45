"""The layout of a synthetic section: where its glands, fibres, fat, vessels and nuclei lie, in µm.

The layout is drawn first (`draw_tissue`). The image is painted from it (`tissue_image`), and gene expression depends on
its morphology (`cohort`), so that expression depends on what the image shows and on nothing else in the image.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from eosin.simulation.tissue_field import GRID_UM, sample, shrink

KINDS = ("epithelium", "tumour", "immune", "fibroblast", "endothelium")
"""Kinds of nuclei."""
MORPHOLOGY = ("gland", "nuclei", "immune", "fibre", "fat")
"""What an image shows at a spot and genes depend on; the columns of `TissueLayout.morphology`."""


@dataclass(frozen=True)
class Nuclei:
    """Nuclei of a section, ellipses.

    Attributes
    ----------
    xy_um
        Centres [n 2], µm.
    axes_um
        Half axes [n 2], µm: the long one, then the short one.
    angle
        Direction of the long axis [n], radians from the x axis.
    kind
        Index into `KINDS` [n].
    """

    xy_um: np.ndarray
    axes_um: np.ndarray
    angle: np.ndarray
    kind: np.ndarray

    @classmethod
    def none(cls) -> Nuclei:
        """No nuclei."""
        return cls(np.zeros((0, 2)), np.zeros((0, 2)), np.zeros(0), np.zeros(0, int))

    @classmethod
    def joined(cls, parts: Sequence[Nuclei]) -> Nuclei:
        """The nuclei of all parts, one part after another."""
        columns = zip(*((part.xy_um, part.axes_um, part.angle, part.kind) for part in parts))
        return cls(*(np.concatenate(column) for column in columns))

    def take(self, rows: np.ndarray) -> Nuclei:
        """Some of the nuclei, in the order of `rows`."""
        return Nuclei(self.xy_um[rows], self.axes_um[rows], self.angle[rows], self.kind[rows])


@dataclass(frozen=True)
class TissueLayout:
    """Where the parts of one synthetic section lie.

    Attributes
    ----------
    mpp
        µm per pixel of the maps.
    tissue, gland, lumen, fat, membrane, vessel
        Share of each pixel's area that the part covers, 0 to 1 [h w]; `membrane` lies between fat cells.
    depth
        0 at a gland's edge to 1 at its lumen [h w].
    cleft
        Cracks between bundles of collagen, 0 to 1 [h w].
    strand
        Texture of collagen, sd about 1 [h w].
    nuclei
        All nuclei.
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
        """Share of each pixel that is stroma [h w]: tissue that is neither gland, fat nor vessel."""
        return self.tissue * (1 - self.gland) * (1 - self.fat) * (1 - self.vessel)

    def morphology(self, xy_um: np.ndarray, window_um: float) -> np.ndarray:
        """Morphology around points, columns as `MORPHOLOGY`.

        The window is a Gaussian whose standard deviation is a quarter of `window_um`, so that it holds about as much
        as a disc of that width.

        Parameters
        ----------
        xy_um
            Points [s 2], µm.
        window_um
            Width of the window, µm.

        Returns
        -------
        np.ndarray
            [s m]: shares of area of gland, fibre and fat; nuclei and immune cells per 1000 µm².
        """
        areas = [shrink(area, self.mpp) for area in (self.gland * (1 - self.lumen), self.fibre, self.fat)]
        shape = areas[0].shape
        maps = {"gland": areas[0], "fibre": areas[1], "fat": areas[2]}
        maps["nuclei"] = _density(self.nuclei.xy_um, shape)
        maps["immune"] = _density(self.nuclei.xy_um[self.nuclei.kind == KINDS.index("immune")], shape)
        return np.stack(
            [sample(ndimage.gaussian_filter(maps[name], window_um / 4 / GRID_UM), xy_um) for name in MORPHOLOGY], 1
        )


def _density(xy_um: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Points [n 2] (µm) per 1000 µm² in each cell of the coarse grid [h w]."""
    edges = [np.arange(n + 1) * GRID_UM for n in shape]
    return np.histogram2d(xy_um[:, 1], xy_um[:, 0], bins=edges)[0] * 1000 / GRID_UM**2
