"""Antialiased bicubic resize of a box of a picture by Pillow, and of many windows by compiled loops, bit for bit alike.

Pillow goes pixel by pixel through three channels. Here the rows of a strip are turned so that sixteen of them lie side
by side, and a processor computes them at once. Sums are of whole numbers, as Pillow's are: none rounds otherwise.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np

Box = tuple[float, float, float, float]
Resize = Callable[[np.ndarray, Box, tuple[int, int]], np.ndarray]

_MOST_APART = 2
"""Pixels by which the sides of a square window's rectangle differ at most."""


def resized(pixels: np.ndarray, box: Box, size_px: tuple[int, int]) -> np.ndarray:
    """A box of a picture, uint8 [h w 3], by Pillow.

    Parameters
    ----------
    pixels
        uint8 [h w 3], contiguous.
    box
        Left, top, right, bottom in pixels; they need not be whole.
    size_px
        Width and height of the result.
    """
    from PIL import Image

    height, width = pixels.shape[:2]
    image = Image.frombuffer("RGB", (width, height), pixels, "raw", "RGB", 0, 1)  # `fromarray` copies twice
    return np.array(image.resize(size_px, Image.Resampling.BICUBIC, box=box))


@functools.cache
def resize_of_many() -> Resize:
    """What resizes many windows: compiled loops, where Pillow gives the same for a picture of noise, else Pillow.

    It takes half a second to load, and some seconds where it is not compiled yet.
    """
    noise = np.random.default_rng(0).integers(0, 256, (84, 84, 3), np.uint8)
    for rows, columns, side, px in ((84, 83, 71.3, 31), (82, 84, 30.2, 22), (84, 84, 24.0, 40)):
        given = np.ascontiguousarray(noise[:rows, :columns]), (5.3, 6.7, 5.3 + side, 6.7 + side), (px, px)
        if not np.array_equal(_compiled(*given), resized(*given)):
            return resized
    return _compiled


def _compiled(pixels: np.ndarray, box: Box, size_px: tuple[int, int]) -> np.ndarray:
    if size_px[0] != size_px[1] or abs(pixels.shape[0] - pixels.shape[1]) > _MOST_APART:
        return resized(pixels, box, size_px)  # Pillow goes down columns first where one side is much the longer
    from eosin.slide.resize_kernel import resize

    out = np.empty((size_px[1], size_px[0], 3), np.uint8)
    resize(np.ascontiguousarray(pixels), np.array(box, np.float32), out)  # Pillow takes single precision, too
    return out
