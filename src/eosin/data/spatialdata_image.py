"""The H&E image inside a SpatialData store: which element it is, where it lies, and a copy that slide tools open."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from eosin.errors import EosinError
from eosin.slide.write_tiff import write_tiff
from eosin.storage.files import fingerprint

MICRONS = ("um", "µm", "micron", "microns", "micrometer", "micrometers")
"""Names of coordinate systems whose unit they tell."""
_CACHE = "eosin-cache"
_SKEW_TOLERANCE = 0.02


def rgb_image(sdata: Any) -> str | None:
    """Name of the largest image element of three channels of bytes, or `None`; eosin's thumbnails do not count."""
    sizes, ours = {}, sdata.attrs.get("eosin")
    skipped = ours.get("thumbnails", []) if isinstance(ours, dict) else []
    for name, element in sdata.images.items():
        if name in skipped:
            continue
        pixels = full_resolution(element)
        if set(pixels.dims) == {"c", "y", "x"} and pixels.sizes["c"] == 3 and pixels.dtype == np.uint8:
            sizes[name] = pixels.size
    return max(sorted(sizes), key=lambda name: sizes[name], default=None)


def full_resolution(element: Any) -> Any:
    """The finest array of an image element, which may have several scales."""
    if hasattr(element, "children") and len(element.children):
        return next(iter(next(iter(element.children.values())).values()))
    return element


@dataclass(frozen=True)
class Alignment:
    """How the shapes of a store get into pixels of its image.

    Attributes
    ----------
    to_px
        Matrix [3 3] from the shapes' own unit to pixels of the image; to units of the system where there is none.
    system
        The coordinate system in which they meet.
    units_per_slide_px
        Units of the system in a pixel of the full-resolution slide. By custom they are the same in `global`; in a
        system of a reduced image (`downscaled_hires`) it is the shapes' own unit that is such a pixel.
    units_per_px
        Units of the system in one pixel of the image; other than 1 where the store holds a reduced image.
    um_per_unit
        Where a coordinate system is in µm, else `None`.
    """

    to_px: np.ndarray
    system: str
    units_per_slide_px: float
    units_per_px: float
    um_per_unit: float | None


def align(shapes: Any, image: Any) -> Alignment:
    """Find the coordinate system that shapes and image share; `image` may be `None`."""
    of_shapes = _systems(shapes)
    of_image = of_shapes if image is None else _systems(image)
    shared = [name for name in of_shapes if name in of_image]
    if not shared:
        raise EosinError("shapes and image share no coordinate system", fix="align them in the store first")
    system = "global" if "global" in shared else shared[0]
    in_um = next((matrix for name, matrix in of_shapes.items() if name.lower() in MICRONS), None)
    um_per_unit = None if in_um is None else _factor(in_um @ np.linalg.inv(of_shapes[system]))
    slide_px = 1.0 if system == "global" else _factor(of_shapes[system])
    if image is None:
        return Alignment(of_shapes[system], system, slide_px, 1.0, um_per_unit)
    to_px = np.linalg.inv(of_image[system]) @ of_shapes[system]
    _factor(to_px)
    return Alignment(to_px, system, slide_px, _factor(of_image[system]), um_per_unit)


def _systems(element: Any) -> dict[str, np.ndarray]:
    """Matrix [3 3] to each coordinate system that an element is in."""
    from spatialdata.transformations import get_transformation

    transformations: Any = get_transformation(element, get_all=True)
    axes = ("x", "y")
    matrices = {name: change.to_affine_matrix(axes, axes) for name, change in transformations.items()}
    return {name: np.asarray(matrix, dtype=np.float64) for name, matrix in matrices.items()}


def _factor(matrix: np.ndarray) -> float:
    """The factor by which a map enlarges; it must be the same in all directions."""
    large, small = np.linalg.svd(matrix[:2, :2], compute_uv=False)
    if not (np.isfinite(large) and small > 0 and large / small <= 1 + _SKEW_TOLERANCE):
        problem = f"shapes and image differ in scale by {large:.4g} one way and {small:.4g} the other"
        raise EosinError(problem, fix="align them in the store without shearing")
    return math.sqrt(large * small)


def write_image(element: Any, name: str, store: Path) -> Path:
    """Copy an image element to a TIFF in a cache folder beside the store, once."""
    pixels = full_resolution(element).transpose("y", "x", "c")
    height, width = pixels.sizes["y"], pixels.sizes["x"]
    store = store.resolve()
    written = sorted(f.stat().st_mtime_ns for f in (store / "images" / name).rglob("*") if f.is_file())
    key = fingerprint(name, [height, width], written)
    file = store.parent / _CACHE / f"{store.name.removesuffix('.zarr')}-{name}-{key}.tif"
    if not file.is_file():
        write_tiff(file, lambda top, bottom: np.asarray(pixels[top:bottom].data), width, height)
    return file
