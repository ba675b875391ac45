"""µm per pixel as a TIFF states it: OME metadata, tags of resolution, ImageJ's unit."""

from __future__ import annotations

import re
from typing import Any

from eosin.types.places import is_plausible

_UM = {"µm": 1.0, "μm": 1.0, "um": 1.0, "micron": 1.0, "microns": 1.0, "nm": 1e-3, "mm": 1e3, "cm": 1e4, "m": 1e6}
_INCH, _CENTIMETRE = 2, 3
_SAME_SCALE = 0.05
"""How far two scales in one file may differ."""
_UM_PER_UNIT = {_INCH: 25_400.0, _CENTIMETRE: 10_000.0}


def scale_of_tiff(file: Any, page: Any) -> tuple[float, float] | None:
    """µm per pixel of a page of an open `TiffFile`: by its OME metadata where these say it, else by its tags."""
    told = ome_scale(file.ome_metadata or "", (page.imagewidth, page.imagelength)) if file.is_ome else None
    return told or _scale_of_tags(file, page)


def contradiction_in(file: Any, page: Any) -> str | None:
    """That OME metadata and tags of resolution state different scales; printing defaults are no scale."""
    if not file.is_ome or (told := scale_of_tiff(file, page)) is None:
        return None
    tags = _scale_of_tags(file, page)
    if tags is None or not all(map(is_plausible, (*told, *tags))) or abs(tags[0] / told[0] - 1) <= _SAME_SCALE:
        return None
    return f"its OME metadata say {told[0]:.4g} µm per pixel, its tags of resolution {tags[0]:.4g}"


def _scale_of_tags(file: Any, page: Any) -> tuple[float, float] | None:
    resolution = [page.tags.get(name) for name in ("XResolution", "YResolution")]
    if None in resolution:
        return None
    per_unit = [tag.value[0] / tag.value[1] if tag.value[1] else 0.0 for tag in resolution]
    unit = page.tags.get("ResolutionUnit")
    um = _UM_PER_UNIT.get(int(unit.value)) if unit is not None else None
    if um is None and file.is_imagej:
        um = _UM.get(str((file.imagej_metadata or {}).get("unit", "")).replace("\\u00B5", "µ"))
    if um is None or min(per_unit) <= 0:
        return None
    return um / per_unit[0], um / per_unit[1]


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
