"""Whether a slide shows what its reduced picture shows: not another sample's image of the same size, nor a turned one.

Grey of both at 96 pixels is correlated. Copies that differ in brightness, contrast, stain or JPEG reach 0.99, those
shifted by 1 % of their width 0.97; sections of one block (her2st, patient C) reach 0.84 at most, and 0.43 without what
varies slowly.
"""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np

from eosin.errors import EosinError
from eosin.slide.opening import open_slide
from eosin.slide.slide import Slide

_LOG = logging.getLogger("eosin")
_SIDE_PX = 96
_SURE = 0.9
"""Correlation from which nothing is said."""
_OTHER = 0.5
"""Correlation below which the pictures are of two samples."""
_DOUBTFUL = (0.75, 0.6)
"""Correlation, and that of fine structure, below which it is doubtful."""
_BY_TURNING = 0.1
"""How much better a turned picture must fit."""
_FLAT = 4.0
"""Standard deviation of grey below which a picture shows too little."""
_BLACK = 10
"""Grey of pixels that were never scanned: white to some libraries."""
_FINE_PX, _SLOW_PX = 1.0, 8.0
_MOST_PX = 100_000_000
"""Pixels to decode for an overview, at most: a second or two."""
_TURNS = {
    "turned by 180°": lambda grey: grey[::-1, ::-1],
    "turned by 90° to the left": lambda grey: np.rot90(grey),
    "turned by 90° to the right": lambda grey: np.rot90(grey, -1),
    "mirrored left to right": lambda grey: grey[:, ::-1],
    "mirrored top to bottom": lambda grey: grey[::-1],
    "mirrored along its diagonal": lambda grey: grey.T,
    "mirrored along its other diagonal": lambda grey: grey[::-1, ::-1].T,
}


def check_same_picture(slide: Slide, reduced: Path) -> None:
    """Compare a slide with the reduced copy of the picture that its positions were measured on.

    Nothing is said of a copy that does not open, of flat pictures, and of slides that would have to be decoded whole
    for it alone. A doubtful likeness is a warning.

    Raises
    ------
    EosinError
        The slide is a turned or mirrored copy, or shows something else.
    """
    if slide.overview_cost(slide.mpp * max(slide.size_px) / _SIDE_PX) > _MOST_PX:
        return
    try:
        with open_slide(reduced, mpp=1.0) as copy:
            seen = _grey(copy)
    except (EosinError, OSError):
        return
    shown = _grey(slide)
    if min(shown.std(), seen.std()) < _FLAT:
        return
    likeness = _likeness(shown, seen)
    if likeness >= _SURE:
        return
    turns = {name: _likeness(turn(shown), seen) for name, turn in _TURNS.items()}
    best = next(name for name, value in turns.items() if value > max(turns.values()) - 0.02)  # turns before mirrors
    what = f"is not the picture of {reduced.name} (correlation {likeness:.2f}"
    if turns[best] >= _SURE and turns[best] - likeness > _BY_TURNING:
        problem = f"{what}, {best} {turns[best]:.2f})"
        raise EosinError(problem, file=slide.path, fix="give the image as Space Ranger saw it")
    if likeness < _OTHER:
        fix = f"give the image of this sample; if it is, take {reduced.name} away"
        raise EosinError(f"{what})", file=slide.path, fix=fix)
    if likeness < _DOUBTFUL[0] or _likeness(shown, seen, slow_px=_SLOW_PX) < _DOUBTFUL[1]:
        doubt = "%s: looks little like %s (correlation %.2f): check that it is the image of this sample"
        _LOG.warning(doubt, slide.path, reduced.name, likeness)


def _grey(slide: Slide) -> np.ndarray:
    """The whole picture in grey [h w], real; what was never scanned is white."""
    grey = slide.thumbnail(_SIDE_PX)[0].astype(np.float64).mean(2)
    return np.where(grey < _BLACK, 255.0, grey)


def _likeness(shown: np.ndarray, seen: np.ndarray, slow_px: float | None = None) -> float:
    """Correlation of two pictures, brought to one size; without what varies slowly where `slow_px` is given."""
    from scipy import ndimage

    if shown.shape != seen.shape:
        ratio = [to / of for of, to in zip(shown.shape, seen.shape)]
        shown = np.asarray(ndimage.zoom(shown, ratio, order=1, mode="nearest", grid_mode=True))
    pair = [ndimage.gaussian_filter(grey, _FINE_PX) for grey in (shown, seen)]
    if slow_px is not None:
        pair = [grey - ndimage.gaussian_filter(grey, slow_px) for grey in pair]
    first, second = (grey.ravel() - grey.mean() for grey in pair)
    return float(first @ second / max(np.sqrt((first @ first) * (second @ second)), 1e-9))
