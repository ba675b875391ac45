"""µm per pixel as a TIFF states it: OME metadata, tags of resolution, ImageJ's unit, what its description says."""

from __future__ import annotations

import json
import re
from typing import Any

from eosin.slide.told_scale import ToldScale, contradiction_of, scale_of_leica
from eosin.types.places import COARSEST_MPP

_UM = {"µm": 1.0, "μm": 1.0, "um": 1.0, "micron": 1.0, "microns": 1.0, "nm": 1e-3, "mm": 1e3, "cm": 1e4, "m": 1e6}
_UM |= {"inch": 25_400.0, "inches": 25_400.0}
_INCH, _CENTIMETRE = 2, 3
_UM_PER_UNIT = {_INCH: 25_400.0, _CENTIMETRE: 10_000.0}
_OME = "its OME metadata"
_LEICA = "http://www.leica-microsystems.com/scn/"
_LONGEST = 1 << 20
"""Characters of a description that are looked at."""


def scale_of_tiff(file: Any, page: Any) -> tuple[float, float] | None:
    """µm per pixel of a page of an open `TiffFile`: by its OME metadata where these say it, else by its tags.

    Where tags say none, or a printing default, a description that names it goes: `MPP = 0.25`, as Aperio's do.
    """
    told = _told(file, page)
    if not told:
        return None
    is_scale = (one.where == _OME or max(one.xy) <= COARSEST_MPP for one in told)
    return next((one for one, stands in zip(told, is_scale) if stands), told[0]).xy


def contradiction_in(file: Any, page: Any) -> str | None:
    """That what a TIFF states of its scale at several places disagrees; printing defaults are no scale."""
    return contradiction_of(_told(file, page))


def _told(file: Any, page: Any) -> list[ToldScale]:
    """All that states the scale of a page, what goes first before what goes after."""
    size_px = page.imagewidth, page.imagelength
    description = str(page.description or file.pages.first.description or "")[:_LONGEST]
    by_ome = ome_scale(file.ome_metadata or "", size_px) if file.is_ome else None
    told = [
        (_OME, by_ome),
        ("ImageJ's unit and its tags", _scale_of_tags(page, _um_of_imagej(file))),
        ("its tags of resolution", scale_by_tags(page)),
        ("its description", _scale_of_description(description, size_px)),
    ]
    return [ToldScale(where, xy) for where, xy in told if xy is not None]


def scale_by_tags(page: Any) -> tuple[float, float] | None:
    """µm per pixel of a page by its tags of resolution and their unit."""
    unit = page.tags.get("ResolutionUnit")
    return _scale_of_tags(page, None if unit is None else _UM_PER_UNIT.get(int(unit.value)))


def _um_of_imagej(file: Any) -> float | None:
    if not file.is_imagej:
        return None
    return _UM.get(str((file.imagej_metadata or {}).get("unit", "")).replace("\\u00B5", "µ"))


def _scale_of_tags(page: Any, um: float | None) -> tuple[float, float] | None:
    """µm per pixel, where the tags of resolution count pixels per `um` µm."""
    resolution = [page.tags.get(name) for name in ("XResolution", "YResolution")]
    if um is None or None in resolution:
        return None
    per_unit = [tag.value[0] / tag.value[1] if tag.value[1] else 0.0 for tag in resolution]
    return None if min(per_unit) <= 0 else (um / per_unit[0], um / per_unit[1])


def _scale_of_description(text: str, size_px: tuple[int, int]) -> tuple[float, float] | None:
    """µm per pixel by a description: of Aperio and those who write as it does, of tifffile, Leica or libvips.

    Other numbers in a description are not taken for a scale.
    """
    if (mpp := re.search(r"\|\s*MPP\s*=\s*([\d.]+)\s*(?:$|\|)", text)) is not None:
        value = _number(mpp[1])
        return None if value is None else (value, value)
    if text.startswith("{"):
        return _scale_of_json(text)
    if _LEICA in text:
        return scale_of_leica(text, size_px)
    if "openslide.mpp-x" not in text:
        return None
    keys = ("openslide.mpp-x", "openslide.mpp-y", "openslide.level[0].width", "openslide.level[0].height")
    x, y, width, height = (_vips_number(text, key) for key in keys)
    if x is None or y is None or (width, height) != size_px:  # of the slide that this one was cut from, or reduced
        return None
    return x, y


def _scale_of_json(text: str) -> tuple[float, float] | None:
    """What tifffile was told beside the shape of an array, under the names of OME."""
    try:
        facts = json.loads(text)
        return _um(facts, "X"), _um(facts, "Y")
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None


def _um(facts: dict[str, Any], axis: str) -> float:
    return float(facts[f"PhysicalSize{axis}"]) * _UM[str(facts.get(f"PhysicalSize{axis}Unit", "µm"))]


def _vips_number(text: str, key: str) -> float | None:
    found = re.search(rf"<name>{re.escape(key)}</name>\s*<value[^>]*>([^<]*)<", text)
    return None if found is None else _number(found[1])


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def ome_scale(xml: str, size_px: tuple[int, int] | None = None) -> tuple[float, float] | None:
    """PhysicalSizeX and PhysicalSizeY in µm of the Pixels element of this size, else of the first; or None.

    A label or an overview may stand before the slide, with a scale of its own.
    Found by regular expressions and not by an XML parser, in which hostile entities could expand without limit.
    """
    found = re.findall(r"<(?:\w+:)?Pixels\b[^>]*>", xml)
    if not found:
        return None
    pixels = next((one for one in found if size_px is not None and _has_size(one, size_px)), found[0])
    sizes = []
    for axis in "XY":
        size = re.search(rf'\bPhysicalSize{axis}="([^"]+)"', pixels)
        unit = re.search(rf'\bPhysicalSize{axis}Unit="([^"]+)"', pixels)
        um = _UM.get(unit[1].replace("&#181;", "µ").replace("&#xB5;", "µ")) if unit else 1.0  # OME's default is µm
        if size is None or um is None:
            return None
        try:
            sizes.append(float(size[1]) * um)
        except ValueError:
            return None
    return sizes[0], sizes[1]


def _has_size(pixels: str, size_px: tuple[int, int]) -> bool:
    """Whether a Pixels element states this width and height."""
    stated = (re.search(rf'\bSize{axis}="(\d+)"', pixels) for axis in "XY")
    return tuple(0 if one is None else int(one[1][:12]) for one in stated) == size_px
