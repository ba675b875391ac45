"""Spots whose centre lies off the image: left out where they are few."""

from __future__ import annotations

import logging
from dataclasses import replace

import numpy as np

from eosin.errors import EosinError
from eosin.slide.opening import size_px_of
from eosin.types import Section

_LOG = logging.getLogger("eosin")
_MOST = 0.4
"""Share of spots off the image above which image or scale must be wrong: what is left would be no section."""
_MANY = 0.2
"""Share above which the note asks to check them."""


def without_spots_off_image(section: Section, mpp: float | None = None, *, tell: bool = False) -> Section:
    """The section without the spots whose centre is off its image, and a note; as it is where its image does not open.

    Where two in five spots or more are outside, image or scale are wrong: the section keeps them and gets a note, and
    `encode` refuses it. Windows that reach across the border are fine: they are white there.

    Parameters
    ----------
    section
        With or without an image.
    mpp
        µm per pixel of the image, where it differs from the section's own.
    tell
        Also log the note as a warning.
    """
    outside = spots_off_image(section, mpp)
    if not outside.any():
        return section
    note = describe_outside(section, outside)
    if outside.mean() > _MOST:
        return replace(section, notes=(*section.notes, f"{note}: check the image and its scale"))
    note += " and were left out" + (": check the image and its scale" if outside.mean() > _MANY else "")
    if tell:
        _LOG.warning("section '%s': %s", section.name, note)
    kept = section.take(np.flatnonzero(~outside))
    return replace(kept, notes=(*section.notes, note))


def spots_off_image(section: Section, mpp: float | None = None) -> np.ndarray:
    """Which spots have their centre off the image, bool [s]; none where there is no image or it does not open."""
    none = np.zeros(len(section), bool)
    if section.image is None:
        return none
    try:
        size_px = size_px_of(section.image.path)
    except EosinError:
        return none
    size_um = np.array(size_px) * (mpp or section.image.mpp)
    return np.any((section.spots.xy_um < 0) | (section.spots.xy_um > size_um), axis=1)


def describe_outside(section: Section, outside: np.ndarray) -> str:
    """How many spots lie outside the image, and the first of them."""
    first = section.spots.ids[int(np.flatnonzero(outside)[0])]
    return f"{np.count_nonzero(outside)} of {len(section)} spots lie outside the image (first '{first}')"
