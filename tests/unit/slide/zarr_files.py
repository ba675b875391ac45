"""OME-Zarr as its writers make it: format 2 and 3 of zarr, axes in any order, levels, scale."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import zarr

from unit.slide import pictures

UM = {"type": "space", "unit": "micrometer"}


def save_zarr(
    path: Path,
    pixels: np.ndarray,
    scale: float | Sequence[float] | None,
    *,
    axes: str = "tczyx",
    version: str = "0.5",
    unit: str | None = "micrometer",
    n_levels: int = 3,
    chunk: int = 128,
    **attributes: Any,
) -> Path:
    """A picture [h w c] as an OME-Zarr.

    Parameters
    ----------
    scale
        Size of a pixel in `unit`, or of x and of y; None writes no transformations.
    axes
        Order of the axes; t and z have one place.
    version
        Of NGFF: 0.5 lies in zarr format 3, earlier ones in format 2.
    attributes
        What is said beside `multiscales`, or in it: `common` (transformations of all levels), `translations` (of
        x and y, for each level).
    """
    group = zarr.open_group(path, mode="w", zarr_format=3 if version == "0.5" else 2)
    scale_xy = (scale, scale) if isinstance(scale, float | int) else scale
    common, translations = attributes.pop("common", None), attributes.pop("translations", None)
    datasets = []
    for level in range(n_levels):
        stored = _in_order(pixels, axes)
        chunks = tuple(chunk if axis in "yx" else 1 for axis in axes)
        group.create_array(str(level), data=stored, chunks=chunks)
        datasets.append({"path": str(level)})
        if scale_xy is not None:
            size = dict(zip("xy", scale_xy))
            values = [float(size.get(axis, 1.0) * (2**level if axis in "xy" else 1)) for axis in axes]
            datasets[-1]["coordinateTransformations"] = [{"type": "scale", "scale": values}]
        if translations is not None:
            shift = dict(zip("xy", translations[level]))
            values = [float(shift.get(axis, 0.0)) for axis in axes]
            datasets[-1]["coordinateTransformations"].append({"type": "translation", "translation": values})
        pixels = pictures.halved(pixels) if pixels.dtype == np.uint8 and pixels.shape[-1] == 3 else pixels[::2, ::2]
    described: dict[str, Any] = {"datasets": datasets, "name": "picture", "axes": axes_of(axes, unit)}
    if common is not None:
        described["coordinateTransformations"] = common
    if version == "0.5":
        group.attrs["ome"] = {"version": version, "multiscales": [described], **attributes}
    else:
        group.attrs.update({"multiscales": [{"version": version, **described}], **attributes})
    return path


def axes_of(axes: str, unit: str | None) -> list[dict[str, str]]:
    kinds = {"t": "time", "c": "channel"}
    named = [{"name": axis, "type": kinds.get(axis, "space")} for axis in axes]
    return [axis if axis["type"] != "space" or unit is None else {**axis, "unit": unit} for axis in named]


def _in_order(pixels: np.ndarray, axes: str) -> np.ndarray:
    """A picture [h w c] with its axes in another order, and further ones of length 1."""
    kept = [axis for axis in axes if axis in "yxc"]
    moved = pixels.transpose(["yxc".index(axis) for axis in kept])
    for i, axis in enumerate(axes):
        if axis not in "yxc":
            moved = np.expand_dims(moved, i)
    return np.ascontiguousarray(moved)
