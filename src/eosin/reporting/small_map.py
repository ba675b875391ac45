"""A map the size of a stamp: one gene of one slide, for the index of a cohort."""

from __future__ import annotations

import numpy as np

from eosin.geometry import nearest_spacing
from eosin.reporting.maps import Thumbnail, colour_range, extent_of, is_under, muted_image
from eosin.reporting.prediction_part import part_of
from eosin.reporting.thinning import evenly_thinned
from eosin.slide.jpeg import jpeg
from eosin.types import Prediction

WIDTH_PX = 220
_MOST_DRAWN = 6_000


def small_map(prediction: Prediction, gene: str, thumbnail: Thumbnail | None, width_px: int = WIDTH_PX) -> bytes:
    """The predicted mean of a gene on the slide, as JPEG; discs touch, so that the pattern is seen."""
    import matplotlib
    from PIL import Image, ImageDraw

    if thumbnail is not None and not is_under(thumbnail, prediction.spots):
        thumbnail = None
    left, right, top, bottom = extent_of(prediction.spots, thumbnail)
    scale = width_px / max(right - left, (bottom - top) * 0.8)
    size = max(1, round((right - left) * scale)), max(1, round((bottom - top) * scale))
    picture = Image.new("RGB", size, "white")
    if thumbnail is not None:
        image, um_per_px = thumbnail
        box = (left / um_per_px, top / um_per_px, right / um_per_px, bottom / um_per_px)
        whole = Image.fromarray(muted_image(np.ascontiguousarray(image)))
        picture = whole.resize(size, Image.Resampling.BILINEAR, box=_within(box, whole.size))
    rows = evenly_thinned(prediction.spots.xy_um, _MOST_DRAWN)
    values = part_of(prediction, rows, [prediction.panel.names.index(gene)]).mean[:, 0]
    low, high = colour_range(values)
    colours = (matplotlib.colormaps["viridis"](np.clip((values - low) / (high - low), 0, 1))[:, :3] * 255).astype(int)
    xy = (prediction.spots.xy_um[rows] - (left, top)) * scale
    radius = 0.46 * nearest_spacing(xy) if len(xy) > 1 else 4.0
    draw, r = ImageDraw.Draw(picture), max(float(radius), 0.8)
    for (x, y), colour in zip(xy.tolist(), colours.tolist()):
        draw.ellipse((x - r, y - r, x + r, y + r), fill=tuple(colour))
    return jpeg(np.asarray(picture))


def _within(box: tuple[float, float, float, float], size: tuple[int, int]) -> tuple[float, float, float, float]:
    """A box inside an image; the whole image where they do not meet."""
    x0, y0, x1, y1 = max(box[0], 0), max(box[1], 0), min(box[2], size[0]), min(box[3], size[1])
    return (x0, y0, x1, y1) if x1 > x0 and y1 > y0 else (0, 0, size[0], size[1])
