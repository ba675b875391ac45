"""What a slide is read from: levels of pixels, each giving rectangles. One small class per library lies behind this."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

MAX_PIXELS = 2_500_000_000
"""Largest image that is decoded whole (50,000 x 50,000 px, 7.5 GB): beyond it, most likely a forged header."""


@dataclass(frozen=True)
class Level:
    """One resolution of a slide.

    Attributes
    ----------
    width, height
        Pixels.
    downsample
        Full-resolution pixels per pixel of this level.
    """

    width: int
    height: int
    downsample: float


class Source(Protocol):
    """Levels, finest first, and the pixels in them. `region` may be called by several threads at once."""

    levels: tuple[Level, ...]

    def region(self, level: int, x: int, y: int, width: int, height: int) -> np.ndarray:
        """RGB uint8 [height width 3] of a rectangle that lies inside the level."""
        ...

    def close(self) -> None: ...


def levels_of(sizes_px: list[tuple[int, int]]) -> tuple[Level, ...]:
    """Levels from their sizes, the reduction taken as the whole number the writer meant.

    Writers round the size of a reduced level, so the ratio of widths is 4.0003 where 4 was meant; over 20,000 px
    that is a shift of several pixels. A ratio that one pixel of rounding explains becomes the whole number.
    """
    full_w, full_h = sizes_px[0]
    levels = []
    for width, height in sizes_px:
        ratio = (full_w / width + full_h / height) / 2
        whole = round(ratio)
        if abs(full_w / whole - width) <= 1.01 and abs(full_h / whole - height) <= 1.01:
            ratio = float(whole)
        levels.append(Level(width, height, ratio))
    return tuple(levels)


def flat_rgb(rgba: np.ndarray) -> np.ndarray:
    """RGB uint8 of an RGBA image laid on white: where a scanner recorded nothing there is background."""
    alpha = rgba[..., 3:]
    if alpha.min() == 255:
        return np.ascontiguousarray(rgba[..., :3])
    alpha = alpha.astype(np.uint16)
    return ((rgba[..., :3] * alpha + 255 * (255 - alpha) + 127) // 255).astype(np.uint8)
