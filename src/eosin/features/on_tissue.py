"""Whether the spots of a measured section lie on the tissue of its image: else it may be another's image."""

from __future__ import annotations

import logging

import numpy as np
from scipy.spatial import cKDTree

from eosin.slide import Slide, Tissue, find_tissue
from eosin.types import Section

_LOG = logging.getLogger("eosin")
_UM_PER_PX = 16.0
_FEWEST = 20
"""Spots below which a share says little."""
_FAR_BELOW = 0.6
"""Share of the spots that could lie on tissue. Spots on their own tissue reach 0.85 and more even where half of it is
too pale to be found, because less could lie on it then."""
_MOST_PX = 100_000_000
"""Pixels to decode for an overview, at most: a second or two."""


def warn_of_spots_off_tissue(section: Section, slide: Slide) -> None:
    """Warn where far fewer spots lie on tissue than the area of tissue allows: another image, scale or order of axes.

    Nothing is said of few spots, of images without tissue that is found, of those where spots were laid on tissue, and
    of slides without reduced levels, which would have to be decoded whole.

    Parameters
    ----------
    section
        With spots in µm of the slide.
    slide
        Its image, open.
    """
    if len(section) < _FEWEST or section.platform == "image" or slide.overview_cost(_UM_PER_PX) > _MOST_PX:
        return
    tissue = find_tissue(slide, _UM_PER_PX)
    share, could = share_on_tissue(section.spots.xy_um, tissue)
    if share < _FAR_BELOW * could:
        _LOG.warning(
            "section '%s': only %.0f %% of its spots lie on the tissue that is found in %s, where %.0f %% could: check "
            "that image, scale (--mpp) and the order of x and y are those of these spots",
            section.name,
            100 * share,
            slide.path.name,
            100 * could,
        )


def share_on_tissue(xy_um: np.ndarray, tissue: Tissue) -> tuple[float, float]:
    """The share of spots on tissue, and the share that could lie on it if it were under as many as its area holds.

    Parameters
    ----------
    xy_um
        Centres of two spots or more [s 2], µm.
    tissue
        The mask.
    """
    height, width = tissue.mask.shape
    column, row = np.clip(xy_um / tissue.um_per_px, 0, [width - 1, height - 1]).astype(int).T
    pitch_um = float(np.median(cKDTree(xy_um).query(xy_um, k=2)[0][:, 1]))
    could = tissue.area_um2 / max(len(xy_um) * pitch_um**2, 1e-9)
    return float(tissue.mask[row, column].mean()), min(1.0, could)
