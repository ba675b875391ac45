"""Scales that a file states more than once: where two plainly disagree it must be said which one holds."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from eosin.types.places import is_plausible

_SAME_SCALE = 0.05
"""How far two scales in one file may differ."""
_TIMES = ((2.54, "inches and centimetres"), (10.0, "millimetres and centimetres"))
"""What makes two scales differ by such a factor."""
_PLAIN = 0.01


@dataclass(frozen=True)
class ToldScale:
    """µm per pixel in x and y, and what states them: `its tags of resolution`."""

    where: str
    xy: tuple[float, float]


def contradiction_of(scales: Iterable[ToldScale | None]) -> str | None:
    """That two of the scales of a file disagree, in words; None where not.

    What no microscope has (a printing default, a forgotten unit) is no scale and is passed over.
    """
    told = [one for one in scales if one is not None and all(map(is_plausible, one.xy))]
    if not told:
        return None
    first = told[0]
    for other in told[1:]:
        ratios = [own / second for own, second in zip(first.xy, other.xy)]
        if max(abs(ratio - 1) for ratio in ratios) > _SAME_SCALE:
            said = f"{first.where} say {_text(first.xy)} µm per pixel, {other.where} {_text(other.xy)}"
            return said + _reason(max(ratios[0], 1 / ratios[0]))
    return None


def _text(xy: tuple[float, float]) -> str:
    return f"{xy[0]:.4g}" if abs(xy[0] / xy[1] - 1) <= _SAME_SCALE else f"{xy[0]:.4g} x {xy[1]:.4g}"


def _reason(ratio: float) -> str:
    """What may have been mixed up, where a ratio tells."""
    return next((f" ({factor:g} x: {units}?)" for factor, units in _TIMES if abs(ratio / factor - 1) < _PLAIN), "")


def scale_of_dicom(properties: Mapping[str, str]) -> ToldScale | None:
    """The scale of a DICOM slide by the width and height that were imaged, in mm, beside its pixel spacing."""
    told = []
    for length, count in (("Width", "Columns"), ("Height", "Rows")):
        mm = _number(properties.get(f"dicom.ImagedVolume{length}"))
        n_px = _number(properties.get(f"dicom.TotalPixelMatrix{count}"))
        if mm is None or n_px is None:
            return None
        told.append(1000 * mm / n_px)
    return ToldScale("the size of the imaged volume and its pixels", (told[0], told[1]))


def scale_of_leica(xml: str, size_px: tuple[int, int]) -> tuple[float, float] | None:
    """µm per pixel of an SCN slide by its description: the view of the image of this size in nm, and its pixels.

    Found by regular expressions and not by an XML parser, in which hostile entities could expand without limit.
    """
    for image in re.split(r"<image\b", xml)[1:]:
        pixels, view = (re.search(rf"<{name}\b[^>]*>", image) for name in ("pixels", "view"))
        if pixels is None or view is None:
            continue
        x_px, y_px, x_nm, y_nm = (_attribute(part[0], axis) for part in (pixels, view) for axis in ("sizeX", "sizeY"))
        if (x_px, y_px) == size_px and x_nm is not None and y_nm is not None:
            return x_nm / size_px[0] / 1000, y_nm / size_px[1] / 1000
    return None


def _attribute(element: str, name: str) -> float | None:
    found = re.search(rf'\b{name}="([^"]*)"', element)
    return None if found is None else _number(found[1])


def _number(text: str | None) -> float | None:
    try:
        value = float(text) if text is not None else 0.0
    except ValueError:
        return None
    return value if 0 < value < float("inf") else None
