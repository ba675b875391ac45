"""From a box on a slide to pixels: choice of the level, the rectangle to read, and its antialiased resize."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from eosin.slide.resize import Resize, resized
from eosin.slide.source import Level, Source

WHITE = 255
_MARGIN = 3
"""Source pixels beyond the window, per output pixel, that the resize filter may look at (bicubic reaches 2)."""


def choose_level(levels: Sequence[Level], reduction: float) -> int:
    """Index of the coarsest level that is at least as fine as the output, so that pixels are never enlarged needlessly.

    Parameters
    ----------
    levels
        Levels of the slide.
    reduction
        Full-resolution pixels per output pixel. A tolerance of 1 % lets a level of 4.01 serve a reduction of 4.
    """
    fine = [i for i, level in enumerate(levels) if level.downsample <= reduction * 1.01]
    return max(fine, key=lambda i: levels[i].downsample) if fine else 0


def read_box(
    source: Source, box_px: tuple[float, float, float, float], size_px: tuple[int, int], resize: Resize = resized
) -> np.ndarray:
    """RGB uint8 [h w 3] of a box whose edges need not be whole pixels, by bicubic resize; white beyond the image.

    Parameters
    ----------
    source
        Levels and pixels of the slide.
    box_px
        Left, top, right, bottom in full-resolution pixels; pixel i covers [i, i + 1).
    size_px
        Width and height of the output.
    resize
        What resizes the rectangle.
    """
    reduction = min((box_px[2] - box_px[0]) / size_px[0], (box_px[3] - box_px[1]) / size_px[1])
    index = choose_level(source.levels, reduction)
    left, top, right, bottom = (edge / source.levels[index].downsample for edge in box_px)
    margin_x = math.ceil(_MARGIN * max((right - left) / size_px[0], 1))
    margin_y = math.ceil(_MARGIN * max((bottom - top) / size_px[1], 1))
    x0, y0 = math.floor(left) - margin_x, math.floor(top) - margin_y
    x1, y1 = math.ceil(right) + margin_x, math.ceil(bottom) + margin_y
    pixels = _padded(source, index, x0, y0, x1, y1)
    if (right - left, bottom - top) == size_px and left == int(left) and top == int(top):
        return np.ascontiguousarray(pixels[margin_y : margin_y + size_px[1], margin_x : margin_x + size_px[0]])
    return resize(pixels, (left - x0, top - y0, right - x0, bottom - y0), size_px)


def _padded(source: Source, index: int, x0: int, y0: int, x1: int, y1: int) -> np.ndarray:
    """RGB uint8 of the rectangle from (x0, y0) to (x1, y1) of a level, white beyond the image."""
    level = source.levels[index]
    u0, v0, u1, v1 = max(x0, 0), max(y0, 0), min(x1, level.width), min(y1, level.height)
    if (u0, v0, u1, v1) == (x0, y0, x1, y1):
        return np.ascontiguousarray(source.region(index, x0, y0, x1 - x0, y1 - y0))
    pixels = np.full((y1 - y0, x1 - x0, 3), WHITE, np.uint8)
    if u0 < u1 and v0 < v1:
        pixels[v0 - y0 : v1 - y0, u0 - x0 : u1 - x0] = source.region(index, u0, v0, u1 - u0, v1 - v0)
    return pixels
