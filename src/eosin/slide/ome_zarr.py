"""Windows of an OME-Zarr by zarr: only the chunks that a window touches are read."""

from __future__ import annotations

import functools
import logging
import math
import os
from pathlib import Path
from typing import Any

import numpy as np

from eosin.errors import EosinError
from eosin.slide.ngff import Multiscale, Placed, metadata_beside, read_multiscale
from eosin.slide.source import MAX_TILE_PIXELS, TRUSTED_BYTES, check_claim, levels_of
from eosin.slide.tiff_scale import ome_scale
from eosin.slide.told_scale import ToldScale, contradiction_of
from eosin.storage.zarr_guard import check_array_kind

_LOG = logging.getLogger("eosin")
_DAMAGED = "the store is incomplete or damaged: copy it again"
_TO_RGB = "export it as 8-bit RGB"


class OmeZarrSource:
    """A source of pixels by zarr; several threads may read at once. Chunks that are not stored are of the fill value.

    Attributes
    ----------
    scale_xy
        µm per pixel at full resolution in x and y; None where the metadata do not say them.
    contradiction
        That its levels, or OME metadata beside the picture, state another scale, in words; None where not.

    Raises
    ------
    EosinError
        Not one RGB picture of 8 bit, or a damaged store.
    """

    library = "zarr"

    def __init__(self, path: Path):
        self._path = path
        picture = read_multiscale(path)
        self._axes = picture.axes
        arrays = [(level, _array(picture.folder / level.path, path)) for level in picture.levels]
        for level, array in arrays:
            _check(array, level.path, self._axes, path)
        arrays.sort(key=lambda one: -math.prod(_size_px(one[1], self._axes)))  # as they should be listed
        self.scale_xy = _scale_of(arrays[0][0], picture)
        arrays = _agreeing(arrays, self._axes, path)
        self._arrays = [array for _, array in arrays]
        sizes_px = [_size_px(array, self._axes) for array in self._arrays]
        n_stored = _n_stored(picture.folder / arrays[0][0].path, most=TRUSTED_BYTES)
        check_claim(3 * math.prod(sizes_px[0]), path, sizes_px[0], tiled=True, n_stored=n_stored)
        self._order = _order_of_channels(picture, path)
        self.levels = levels_of(sizes_px)
        self.contradiction = contradiction_of(_told(picture, self.scale_xy, arrays, sizes_px[0]))

    def region(self, level: int, x: int, y: int, width: int, height: int) -> np.ndarray:
        """RGB uint8 [height width 3] of a rectangle inside the level."""
        spans: dict[str, Any] = {"x": slice(x, x + width), "y": slice(y, y + height), "c": slice(None), "t": 0, "z": 0}
        try:
            pixels = np.asarray(self._arrays[level][tuple(spans[axis] for axis in self._axes)])
        except Exception as error:  # decoders raise anything on damaged chunks
            reason = " ".join(str(error).split())[:200]
            raise EosinError(f"cannot be decoded ({reason})", file=self._path, fix=_DAMAGED) from error
        kept = [axis for axis in self._axes if axis in "yxc"]
        pixels = pixels.transpose([kept.index(axis) for axis in "yxc"])  # [height width 3]
        return np.ascontiguousarray(pixels if self._order == (0, 1, 2) else pixels[..., list(self._order)])

    def close(self) -> None:
        """Nothing is held open."""


def _array(folder: Path, path: Path) -> Any:
    import zarr

    if not folder.resolve().is_relative_to(path.resolve()):
        raise EosinError(f"'{folder.name}' is a link that leads out of it", file=path, fix="copy what it points to")
    try:
        return zarr.open_array(folder, mode="r")
    except Exception as error:  # zarr raises anything on damaged metadata
        reason = " ".join(str(error).split())[:200]
        raise EosinError(f"its level '{folder.name}' cannot be opened ({reason})", file=path, fix=_DAMAGED) from error


def _check(array: Any, name: str, axes: str, path: Path) -> None:
    """Refuse an array that is not one RGB picture of 8 bit."""
    if array.ndim != len(axes):
        raise EosinError(f"its level '{name}' has {array.ndim} axes, not {len(axes)}", file=path, fix=_DAMAGED)
    check_array_kind(array, name, path)
    sizes = dict(zip(axes, array.shape))
    for axis, what in (("t", "points in time"), ("z", "planes in depth")):
        if sizes.get(axis, 1) != 1:
            raise EosinError(f"a stack of {sizes[axis]} {what}, not one picture", file=path, fix="export one of them")
    if array.dtype != np.uint8:
        raise EosinError(f"pixels of type {array.dtype}, not 8-bit", file=path, fix=_TO_RGB)
    if sizes.get("c", 1) != 3:
        n_channels = sizes.get("c", 1)
        said = "1 channel" if n_channels == 1 else f"{n_channels} channels"
        raise EosinError(f"{said}, not the three of an RGB image", file=path, fix=_TO_RGB)
    if math.prod(array.chunks) > 3 * MAX_TILE_PIXELS:
        fix = "write it with chunks of 512 or 1024 px"
        raise EosinError(f"claims chunks of {math.prod(array.chunks):,} bytes", file=path, fix=fix)


def _scale_of(level: Placed, picture: Multiscale) -> tuple[float, float] | None:
    """µm per pixel of a level, of which the metadata say that of the one that is listed first."""
    listed = picture.levels[0].scale
    if picture.scale_xy is None or level.scale is None or listed is None:
        return picture.scale_xy if level is picture.levels[0] else None
    axes = [picture.axes.index(axis) for axis in "xy"]
    if not all(listed[axis] > 0 for axis in axes):
        return None
    x, y = (um * level.scale[axis] / listed[axis] for um, axis in zip(picture.scale_xy, axes))
    return x, y


def _told(
    picture: Multiscale, scale: tuple[float, float] | None, arrays: list[tuple[Placed, Any]], size_px: tuple[int, int]
) -> list[ToldScale]:
    """What states the scale at full resolution: its own transformation, OME metadata beside it, those of its levels.

    Levels that all have the scale of the first are a habit of some writers, and say nothing.
    """
    first = arrays[0][0]
    if scale is None or first.scale is None:
        return []
    told = [ToldScale("its transformations", scale)]
    if (xml := metadata_beside(picture.folder)) and (by_ome := ome_scale(xml, size_px)) is not None:
        told.append(ToldScale("its OME metadata", by_ome))
    axes = [picture.axes.index(axis) for axis in "xy"]
    for level, array in arrays[1:]:
        if level.scale is None or all(level.scale[axis] == first.scale[axis] for axis in axes):
            continue
        ratios = [own / reduced for own, reduced in zip(size_px, _size_px(array, picture.axes))]
        by_level = [um * level.scale[axis] / first.scale[axis] / ratio for um, axis, ratio in zip(scale, axes, ratios)]
        told.append(ToldScale(f"level '{level.path}' and its size", (by_level[0], by_level[1])))
    return told


def _size_px(array: Any, axes: str) -> tuple[int, int]:
    return int(array.shape[axes.index("x")]), int(array.shape[axes.index("y")])


def _agreeing(arrays: list[tuple[Placed, Any]], axes: str, path: Path) -> list[tuple[Placed, Any]]:
    """The arrays of the full resolution and of those levels that show the same place, finest first."""
    (first, full), *others = arrays
    width, height = _size_px(full, axes)
    kept = [(first, full)]
    for level, array in sorted(others, key=lambda one: -_size_px(one[1], axes)[0]):
        size_px = _size_px(array, axes)
        ratio = width / max(1, size_px[0])
        if ratio >= 1 and abs(height / ratio - size_px[1]) <= 1.5 and _is_in_place(first, level, axes, ratio):
            kept.append((level, array))
        else:
            _say_left_out(path, level.path)
    return kept


def _is_in_place(first: Placed, level: Placed, axes: str, ratio: float) -> bool:
    """Whether a level begins where the full resolution does, to a pixel of its own.

    Centres of pixels lie (ratio - 1) / 2 pixels further in; writers that mean corners say no shift at all.
    """
    if first.scale is None or level.scale is None or first.translation is None or level.translation is None:
        return True
    for axis in (axes.index("x"), axes.index("y")):
        if not first.scale[axis] > 0:
            return True
        shift = (level.translation[axis] - first.translation[axis]) / first.scale[axis]
        if abs(shift - (ratio - 1) / 2) > ratio:
            return False
    return True


@functools.lru_cache(maxsize=1024)
def _say_left_out(path: Path, level: str) -> None:
    _LOG.info("%s: level '%s' is not the same picture at another scale, and is not used", path, level)


def _order_of_channels(picture: Multiscale, path: Path) -> tuple[int, int, int]:
    order = picture.order_of_channels()
    if order is None and any(name and not name.lower().startswith("channel") for name in picture.channels):
        _warn_of_channels(path, ", ".join(picture.channels)[:80])
    return order or (0, 1, 2)


@functools.lru_cache(maxsize=1024)
def _warn_of_channels(path: Path, names: str) -> None:
    _LOG.warning("%s: three channels called %s are taken for red, green and blue", path, names)


def _n_stored(folder: Path, most: int) -> int:
    """Bytes of the files below a folder; counting ends beyond `most`, since a slide has many thousand files."""
    n_bytes = 0
    for place, _, names in os.walk(folder):
        for name in names:
            n_bytes += os.stat(os.path.join(place, name)).st_size
            if n_bytes > most:
                return n_bytes
    return n_bytes
