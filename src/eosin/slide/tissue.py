"""Where the tissue is: Otsu's threshold on saturation, cleaned by morphology."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from eosin.slide.slide import Slide


@dataclass(frozen=True)
class Tissue:
    """A mask over a whole slide.

    Attributes
    ----------
    mask
        bool [h w]; pixel (i, j) covers x in [j, j+1) and y in [i, i+1) times `um_per_px`.
    um_per_px
        Side of a mask pixel, µm.
    """

    mask: np.ndarray
    um_per_px: float

    @property
    def area_um2(self) -> float:
        """Area of tissue, µm²."""
        return float(self.mask.sum()) * self.um_per_px**2


MOST_PX = 16_000_000
"""Most pixels of a mask: a plain file of a coarse scale could else ask for any number."""


def find_tissue(slide: Slide, um_per_px: float = 8.0, *, smallest_um: float = 150.0) -> Tissue:
    """Find stained tissue on a slide.

    Parameters
    ----------
    slide
        An open slide.
    um_per_px
        Scale of the mask; 8 µm is a cell or so. A slide of more than 32 x 32 mm gets a coarser one.
    smallest_um
        Side of the smallest piece that is kept and of the largest hole that is closed, µm.

    Notes
    -----
    Saturation (maximum minus minimum of the colour channels) tells pink and purple from white and grey glass, and
    Otsu's threshold (1979) adapts to the stain. Black borders and grey shadows have no saturation; felt-pen strokes
    have more than any stain, or a green or blue that eosin and haematoxylin never have, and are taken out by that.
    Eosin that ran out over the glass is as pink as pale tissue, but has no grain: what is pale and smooth is left out.
    """
    from scipy import ndimage
    from skimage import morphology

    coarse = float(np.sqrt(slide.size_um[0] * slide.size_um[1] / MOST_PX))
    picture, scale = slide.overview(max(um_per_px, coarse))
    smooth = np.stack([ndimage.gaussian_filter(picture[..., c].astype(np.float32), 1.0) for c in range(3)], -1)
    ink = _ink(smooth)
    mask = _stained(smooth, ink) & ~ink & ~_haze(picture[..., 1])
    reach = max(1, round(16.0 / scale))
    mask = morphology.opening(mask, morphology.disk(1))
    mask = morphology.closing(np.pad(mask, reach), morphology.disk(reach))[reach:-reach, reach:-reach]
    smallest_px = max(1, round((smallest_um / scale) ** 2))
    mask = morphology.remove_small_objects(mask, max_size=smallest_px)
    mask = morphology.remove_small_holes(mask, max_size=smallest_px)
    return Tissue(mask, scale)


def _stained(rgb: np.ndarray, ink: np.ndarray) -> np.ndarray:
    """Pixels more colourful than the threshold between glass and tissue [h w]."""
    from skimage.filters import threshold_otsu

    saturation = rgb.max(-1) - rgb.min(-1)
    lit = rgb.max(-1) > 40  # black borders and cover-slip shadows take no part in the choice of the threshold
    values = saturation[lit & ~ink]
    if values.size == 0 or np.ptp(values) < 1:
        return lit & (saturation > 20)
    # An all-tissue or all-glass picture has one mode, and Otsu would split it: the bounds hold the threshold sane.
    threshold = float(np.clip(threshold_otsu(np.clip(values, 0, 160)), 12, 40))
    return lit & (saturation > threshold)


def _haze(green: np.ndarray) -> np.ndarray:
    """Pixels of stain without tissue [h w]: pale, and without the grain that cells and fibres have at every place.

    On six sections with much of it, the sd of the green channel within 5 x 5 pixels of 8 µm is 1 (at most 4) on haze
    as on glass, and 9 to 60 on tissue; both lie above 170 in haze and mostly below in tissue.
    """
    from scipy import ndimage

    level = green.astype(np.float32)
    mean = ndimage.uniform_filter(level, 5)
    variance = ndimage.uniform_filter(level**2, 5) - mean**2
    pale = mean > 0.77 * max(220.0, float(np.percentile(green, 95)))
    return pale & (variance < 4.0**2)


def _ink(rgb: np.ndarray) -> np.ndarray:
    """Pixels of a felt pen [h w]: green or cyan above red, or blue far above red, which stained tissue never has.

    With a margin, because the rim of a stroke is a mixture of ink and glass that could be stain.
    """
    from skimage import morphology

    red, green, blue = rgb[..., 0], rgb[..., 1], rgb[..., 2]
    green_pen = (green > red + 12) & (green > 0.85 * blue)
    blue_pen = (blue > red + 60) & (green > red - 10)
    red_pen = (red > 150) & (red - np.maximum(green, blue) > 110)
    strokes = morphology.opening(green_pen | blue_pen | red_pen, morphology.disk(1))
    return morphology.dilation(strokes, morphology.disk(3))
