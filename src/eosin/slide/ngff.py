"""What the metadata of an OME-Zarr say of its picture: axes, levels, scale. NGFF 0.1 to 0.5, zarr format 2 and 3.

Source: the specification of NGFF, https://ngff.openmicroscopy.org/0.4 and /0.5.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eosin.errors import EosinError
from eosin.storage.files import read_json

MARKS = (".zattrs", "zarr.json")
"""Files that hold the attributes of a group of zarr format 2 and 3."""
_DAMAGED = "its metadata are damaged: copy or export it again"
_ORDER_BEFORE_04 = "tczyx"
_UM = {
    "angstrom": 1e-4,
    "nanometer": 1e-3,
    "nm": 1e-3,
    "micrometer": 1.0,
    "micron": 1.0,
    "um": 1.0,
    "µm": 1.0,
    "millimeter": 1e3,
    "mm": 1e3,
    "centimeter": 1e4,
    "meter": 1e6,
}
_LONGEST_XML = 1 << 22
_LAYOUT = "bioformats2raw.layout"
_PURE = {"FF0000": "r", "00FF00": "g", "0000FF": "b"}
_COLOURS = {"r": "r", "red": "r", "g": "g", "green": "g", "b": "b", "blue": "b"}


@dataclass(frozen=True)
class Placed:
    """One resolution as the metadata place it.

    Attributes
    ----------
    path
        Its array, below the image's group.
    scale, translation
        Size of a pixel and place of the first pixel's centre, for every axis, in its unit; None where not said.
    """

    path: str
    scale: tuple[float, ...] | None
    translation: tuple[float, ...] | None


@dataclass(frozen=True)
class Multiscale:
    """The picture of an OME-Zarr.

    Attributes
    ----------
    folder
        The group of the image: the store itself, or the first series in it.
    axes
        A letter each: t, c, z, y, x in any order.
    levels
        As the metadata list them.
    scale_xy
        µm per pixel at full resolution; None where they are not said, or not as a length.
    channels
        Letters r, g, b in the order of the channels where names or colours tell them, else as they are called.
    """

    folder: Path
    axes: str
    levels: tuple[Placed, ...]
    scale_xy: tuple[float, float] | None
    channels: tuple[str, ...]

    def order_of_channels(self) -> tuple[int, int, int] | None:
        """Which of three channels are red, green and blue; None where the metadata do not tell."""
        if sorted(self.channels) != ["b", "g", "r"]:
            return None
        return self.channels.index("r"), self.channels.index("g"), self.channels.index("b")


def is_ome_zarr(path: Path) -> bool:
    """Whether a folder is called an OME-Zarr by its own metadata: an image, a plate, or what bioformats2raw wrote.

    Stores of SpatialData, AnnData and eosin are not: their images, if any, lie deeper.
    """
    try:
        attributes = attributes_of(path)
    except EosinError:
        return False
    return any(key in attributes for key in ("multiscales", "plate", _LAYOUT))


def attributes_of(group: Path) -> Mapping[str, Any]:
    """What the attributes of a zarr group say of OME's metadata; nothing where there are none.

    Raises
    ------
    EosinError
        The file of attributes is not JSON.
    """
    for mark in MARKS:
        if (group / mark).is_file():
            try:
                stored = read_json(group / mark)
            except RecursionError:
                raise EosinError("not readable as JSON (nested too deep)", file=group / mark, fix=_DAMAGED) from None
            attributes = stored.get("attributes") if mark == "zarr.json" and isinstance(stored, dict) else stored
            if not isinstance(attributes, dict):
                return {}
            within = attributes.get("ome")
            return {**attributes, **within} if isinstance(within, dict) else attributes
    return {}


def metadata_beside(folder: Path) -> str:
    """OME metadata in XML that bioformats2raw keeps beside the first series; nothing where there are none."""
    file = folder.parent / "OME" / "METADATA.ome.xml"
    if folder.name != "0" or not file.is_file():
        return ""
    try:
        with file.open(encoding="utf-8", errors="replace") as stream:
            return stream.read(_LONGEST_XML)
    except OSError:
        return ""


def read_multiscale(path: Path) -> Multiscale:
    """The picture of an OME-Zarr: of several series the first; labels are not looked at.

    Raises
    ------
    EosinError
        A plate, no picture, metadata that cannot be, or axes other than t, c, z, y, x.
    """
    attributes = attributes_of(path)
    if "plate" in attributes:
        raise EosinError("a plate of many images", file=path, fix="give the image of one field, as A/1/0 in it")
    folder = path
    if "multiscales" not in attributes and _LAYOUT in attributes:
        folder = path / "0"
        attributes = attributes_of(folder)
    described = attributes.get("multiscales")
    if not isinstance(described, list) or not described or not isinstance(described[0], dict):
        raise EosinError("an OME-Zarr without a picture (multiscales)", file=path, fix=_DAMAGED)
    try:
        return _multiscale(folder, described[0], attributes)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        reason = f"{type(error).__name__}: {error}"
        raise EosinError(f"has metadata that cannot be read ({reason})", file=path, fix=_DAMAGED) from error


def _multiscale(folder: Path, described: Mapping[str, Any], attributes: Mapping[str, Any]) -> Multiscale:
    axes = described.get("axes") or list(_ORDER_BEFORE_04)
    names = [str(axis["name"] if isinstance(axis, dict) else axis) for axis in axes]
    if len(set(names)) < len(names) or not {"y", "x"} <= set(names) <= set(_ORDER_BEFORE_04):
        fix = "export a picture with axes y, x and c"
        raise EosinError(f"has axes {', '.join(names)}, not those of a picture", file=folder, fix=fix)
    common = described.get("coordinateTransformations") or []
    levels = tuple(_placed(dataset, common, len(names)) for dataset in described["datasets"])
    if not levels:
        raise ValueError("no datasets")
    units = [_UM.get(str(axis.get("unit")).lower()) if isinstance(axis, dict) else None for axis in axes]
    um = units[names.index("x")], units[names.index("y")]
    scale = levels[0].scale
    scale_xy = None
    if scale is not None and um[0] is not None and um[1] is not None:
        scale_xy = scale[names.index("x")] * um[0], scale[names.index("y")] * um[1]
    return Multiscale(folder, "".join(names), levels, scale_xy, _channels(attributes))


def _placed(dataset: Mapping[str, Any], common: Sequence[Any], n_axes: int) -> Placed:
    """A level with its own transformations, then those of all levels; each scales and moves what was before it."""
    path = str(dataset["path"])
    if not path or ".." in Path(path).parts or Path(path).is_absolute():
        raise ValueError(f"the path '{path}' leads out of it")
    transformations = [*(dataset.get("coordinateTransformations") or []), *common]
    scale, translation = [1.0] * n_axes, [0.0] * n_axes
    for one in transformations:
        kind = one["type"]
        if kind == "identity":
            continue
        if kind not in ("scale", "translation") or kind not in one:  # an affine, or numbers kept in an array
            return Placed(path, None, None)
        values = [float(value) for value in one[kind]]
        if len(values) != n_axes or not all(map(math.isfinite, values)):
            raise ValueError(f"a {kind} of {len(values)} numbers for {n_axes} axes")
        if kind == "scale":
            scale = [old * new for old, new in zip(scale, values)]
            translation = [old * new for old, new in zip(translation, values)]
        else:
            translation = [old + new for old, new in zip(translation, values)]
    if not any(one["type"] == "scale" for one in transformations):
        return Placed(path, None, None)
    return Placed(path, tuple(scale), tuple(translation))


def _channels(attributes: Mapping[str, Any]) -> tuple[str, ...]:
    """What `omero` calls the channels: by colour where their names or pure colours say it, else their names."""
    omero = attributes.get("omero")
    channels = omero.get("channels") if isinstance(omero, dict) else None
    if not isinstance(channels, list) or not all(isinstance(channel, dict) for channel in channels):
        return ()
    names = [str(channel.get("label") or "").strip() for channel in channels]
    by_name = tuple(_COLOURS.get(name.lower(), name) for name in names)
    by_colour = tuple(_PURE.get(str(channel.get("color")).upper(), "") for channel in channels)
    return by_colour if sorted(by_colour) == ["b", "g", "r"] and sorted(by_name) != ["b", "g", "r"] else by_name
