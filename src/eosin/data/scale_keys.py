"""Keys of an AnnData or of metadata that state µm per pixel: HEST's two, and others that only may be meant so."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from eosin.data.missing import positive_number
from eosin.data.uns_spatial import stated_number
from eosin.types.places import is_plausible

ESTIMATED, EMBEDDED = HEST_KEYS = ("pixel_size_um_estimated", "pixel_size_um_embedded")
"""µm per pixel of HEST: by the spots or the alignment, and as the deposited image stated it."""
_APART = 0.05
_MAY_BE = re.compile(
    r"mpp|mpp_[xy]|(um|µm|microns?|micrometers?)_?(per)_?(px|pixel)s?|(px|pixel)_?(size|width)(_?(um|µm|microns?))?",
    re.IGNORECASE,
)
"""Names that say µm per pixel, but not of which picture: of full resolution, or of a reduced one."""


def hest_scale(sources: Sequence[Mapping[str, Any]], file: Path) -> tuple[float | None, str, list[str]]:
    """µm per pixel by HEST's keys, the estimated one first, which key it is, and a note where the two differ.

    The estimated one follows from the positions; the embedded one may be a default, or of an image before it was
    resized (mahmoodlab/HEST, issue 106).

    Parameters
    ----------
    sources
        The sample's metadata, and `uns`.
    file
        Named in errors.

    Raises
    ------
    EosinError
        One of the keys holds no number.
    """
    last_first = list(reversed(sources))
    told = {key: value for key in HEST_KEYS for facts in last_first if (value := stated_number(facts, key, file))}
    estimated, embedded = told.get(ESTIMATED), told.get(EMBEDDED)
    if estimated is None:
        return embedded, EMBEDDED, []
    notes = []
    if embedded is not None and abs(embedded / estimated - 1) > _APART:
        notes.append(f"{EMBEDDED} says {embedded:.4g} µm/px, {ESTIMATED} {estimated:.4g}, which is used")
    return estimated, ESTIMATED, notes


def may_be_scales(uns: Mapping[str, Any], factors: Mapping[str, Any]) -> list[tuple[str, float]]:
    """Numbers of `uns` and of scale factors that may be µm per pixel by their names, and where they stand."""
    places = ((uns, "uns['{}']", HEST_KEYS), (factors, "the scale factor {}", ("microns_per_pixel",)))
    found = []
    for facts, where, known in places:
        for key in map(str, facts):
            if key not in known and _MAY_BE.fullmatch(key) and is_plausible(value := _number(facts[key])):
                found.append((where.format(key), value))
    return found


def notes_on_others(others: Sequence[tuple[str, float]], mpp: float | None) -> list[str]:
    """Notes on such numbers that say another scale than the one that is used."""
    differ = [one for one in others if mpp is not None and abs(one[1] / mpp - 1) > _APART]
    return [f"{where} says {value:.4g}, {mpp:.4g} µm/px is used" for where, value in differ]


def _number(value: Any) -> float | None:
    try:
        return positive_number(value)
    except ValueError:
        return None
