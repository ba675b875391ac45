"""Coordinates that count from the corner of the scanned area, where a slide states one: QuPath's do, others' do not.

MRXS and SCN place what was scanned within the whole glass; OpenSlide's pixels are those of the glass.
"""

from __future__ import annotations

import functools
import logging
from pathlib import Path

import numpy as np

from eosin.slide.slide import Slide

_LOG = logging.getLogger("eosin")
_WITHIN, _OVER = 0.99, 0.01
"""Share of places that must lie within an area, and how far over its edge they may lie, as a share of its sides."""


def from_corner_of_slide(xy_px: np.ndarray, slide: Slide, path: Path) -> np.ndarray:
    """What to add [2] to places [n 2], so that they count from the slide's corner; a warning unless it is nothing.

    Places beside the scanned area that lie within it once they are moved are counted from its corner.

    Parameters
    ----------
    xy_px
        Places as a file has them, in full-resolution pixels.
    slide
        Whose scanned area it is.
    path
        The file, for the warning.
    """
    area = slide.scanned_px
    if area is None or not len(xy_px) or area[:2] == (0, 0):
        return np.zeros(2)
    corner, size = np.array(area[:2], np.float64), np.array(area[2:], np.float64)
    as_stated, moved = (_share_within(xy_px - origin, size) for origin in (corner, np.zeros(2)))
    if moved < _WITHIN or (as_stated >= _WITHIN and moved >= _WITHIN):
        if moved >= _WITHIN:
            _warn(path, "may be", area[0], area[1], "taken from the slide's corner")
        return np.zeros(2)
    _warn(path, "are", area[0], area[1], "moved there")
    return corner


def _share_within(xy_px: np.ndarray, size: np.ndarray) -> float:
    return float(((xy_px >= -_OVER * size) & (xy_px <= (1 + _OVER) * size)).all(1).mean())


@functools.lru_cache(maxsize=1024)
def _warn(path: Path, verb: str, x: int, y: int, done: str) -> None:
    said = "%s: its places %s counted from the corner of the scanned area (%d, %d px), as QuPath does: %s"
    _LOG.warning(said, path, verb, x, y, done)
