"""Tissue masks as outlines in a GeoJSON file, both ways."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from eosin.errors import EosinError
from eosin.slide.slide import Slide
from eosin.slide.tissue import MOST_PX, Tissue
from eosin.storage.geojson import polygons_of, read_geometries, write_polygons

if TYPE_CHECKING:
    from shapely import LinearRing, Polygon

_FAR_PX = 1e7
"""Farther from the image no outline needs to be followed; larger numbers would overflow."""


def read_tissue(path: str | Path, slide: Slide, um_per_px: float = 8.0) -> Tissue:
    """The mask that a GeoJSON file draws on a slide: inside any polygon and in none of that polygon's holes.

    Parameters
    ----------
    path
        Polygons in full-resolution pixels of the slide, as QuPath, TRIDENT, LazySlide and `write_tissue` write them.
    slide
        Gives size and scale.
    um_per_px
        Scale of the mask.

    Raises
    ------
    EosinError
        No GeoJSON, no polygon in it, or none on the slide.
    """
    import shapely

    try:
        polygons = [polygon for geometry in read_geometries(path) for polygon in polygons_of(geometry)]
    except ValueError as error:
        raise EosinError(f"not usable as outlines ({error})", file=path, fix="export it again") from error
    if not polygons:
        raise EosinError("holds no polygon", file=path, fix="draw the tissue as closed outlines")
    coarse = float(np.sqrt(slide.size_um[0] * slide.size_um[1] / MOST_PX))
    reduction = max(um_per_px, coarse, slide.mpp) / slide.mpp
    width, height = (max(1, round(n / reduction)) for n in slide.size_px)
    mask = np.zeros((height, width), dtype=bool)
    for polygon in polygons:
        _fill(mask, polygon, reduction)
    if not mask.any():
        left, top, right, bottom = shapely.total_bounds(polygons)
        raise EosinError(
            f"draws no tissue on the slide: its outlines span x {left:.0f} to {right:.0f} and "
            f"y {top:.0f} to {bottom:.0f}, the slide has {slide.size_px[0]} x {slide.size_px[1]} px",
            file=path,
            fix="give outlines in full-resolution pixels of this slide",
        )
    return Tissue(mask, slide.mpp * reduction)


def write_tissue(path: str | Path, tissue: Tissue, mpp: float) -> int:
    """Write a mask as GeoJSON polygons in full-resolution pixels of a slide of scale `mpp`; returns how many."""
    import shapely

    polygons = outlines(tissue.mask)
    reduction = tissue.um_per_px / mpp
    write_polygons(path, [shapely.transform(polygon, lambda xy: (xy + 0.5) * reduction) for polygon in polygons])
    return len(polygons)


def outlines(mask: np.ndarray) -> list[Polygon]:
    """The pieces of a mask [h w] as polygons with holes, in (x, y) with pixel centres at whole numbers.

    The rings run half way between centres inside and outside, so that filling them gives the mask back exactly.
    """
    import shapely
    from scipy import ndimage
    from skimage import measure

    pieces = np.zeros(mask.shape, np.int32)
    ndimage.label(mask, output=pieces)
    polygons = []
    for i, box in enumerate(ndimage.find_objects(pieces)):
        piece = np.pad(pieces[box] == i + 1, 1).astype(np.float32)
        corner = np.array([box[1].start - 1, box[0].start - 1])
        contours = [contour[:, ::-1] + corner for contour in measure.find_contours(piece, 0.5)]
        contours.sort(key=lambda contour: -shapely.Polygon(contour).area)  # the outline encloses the holes
        rings = [shapely.LinearRing(contour).simplify(0, preserve_topology=False) for contour in contours]
        corners = [shapely.get_coordinates(ring) for ring in rings]  # without the points on straight runs
        polygons.append(shapely.Polygon(corners[0], corners[1:]))
    return polygons


def _fill(mask: np.ndarray, polygon: Polygon, reduction: float) -> None:
    """Set the pixels of a mask [h w] whose centre lies in a polygon in full-resolution pixels and in no hole of it."""
    import shapely

    scaled = shapely.transform(polygon, lambda xy: np.clip(xy / reduction - 0.5, -_FAR_PX, _FAR_PX))
    inside = np.zeros(mask.shape, dtype=bool)
    _set_within(inside, scaled.exterior, value=True)
    for hole in scaled.interiors:  # one by one: holes may leave their outline, and overlap
        _set_within(inside, hole, value=False)
    box = _box(scaled.exterior, mask.shape)
    mask[box] |= inside[box]


def _set_within(mask: np.ndarray, ring: LinearRing, *, value: bool) -> None:
    """Set the pixels of a mask [h w] whose centre lies within a ring or on it."""
    import shapely

    outline = shapely.Polygon(ring)
    shapely.prepare(outline)
    rows, columns = _box(ring, mask.shape)
    x = np.arange(columns.start, columns.stop)
    for y in range(
        rows.start, rows.stop
    ):  # row by row, since coordinates of all pixels take 16 times the mask's memory
        mask[y, columns][shapely.intersects_xy(outline, x, y)] = value


def _box(ring: LinearRing, shape: tuple[int, ...]) -> tuple[slice, slice]:
    """The rows and columns of a mask that a ring spans."""
    left, top, right, bottom = ring.bounds
    low = np.clip(np.floor([top, left]), 0, shape).astype(int)
    high = np.clip(np.ceil([bottom, right]) + 1, low, shape).astype(int)
    return slice(low[0], high[0]), slice(low[1], high[1])
