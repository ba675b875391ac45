"""Tissue masks as outlines in a GeoJSON file, both ways."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from eosin.errors import EosinError
from eosin.plurals import counted
from eosin.slide.no_tissue import is_no_tissue
from eosin.slide.scanned_area import from_corner_of_slide
from eosin.slide.slide import Slide
from eosin.slide.tissue import MOST_PX, Tissue
from eosin.storage.geojson import polygons_of, read_geometries, write_polygons

if TYPE_CHECKING:
    from shapely import LinearRing, Polygon

_LOG = logging.getLogger("eosin")
_FAR_PX = 1e7
"""Farther from the image no outline needs to be followed; larger numbers would overflow."""


def read_tissue(path: str | Path, slide: Slide, um_per_px: float = 8.0) -> Tissue:
    """The mask that a GeoJSON file draws on a slide: inside any polygon, in none of its holes and in nothing ignored.

    Polygons of a class that says "no tissue" (QuPath's `Ignore*` and other classes that end with `*` but for `Region*`,
    Artifact, Necrosis, Background, Fold, Pen, Hole, ...: `is_no_tissue`) are cut out of all others. Cores of a tissue
    microarray that are marked as missing are left out. The log says what was cut out, and which classes were joined.

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
        No GeoJSON, no polygon in it, none on the slide, or all of it is cut out.
    """
    import shapely

    outlined, labels = _labelled(path)
    shift = from_corner_of_slide(shapely.get_coordinates(outlined), slide, Path(path))
    if shift.any():
        outlined = [shapely.transform(polygon, lambda xy: xy + shift) for polygon in outlined]
    polygons = [polygon for polygon, label in zip(outlined, labels) if not is_no_tissue(label)]
    ignored = [polygon for polygon, label in zip(outlined, labels) if is_no_tissue(label)]
    if not outlined:
        raise EosinError("holds no polygon", file=path, fix="draw the tissue as closed outlines")
    _say_classes(Path(path), labels)
    if not polygons:
        kinds = ", ".join(sorted(set(labels)))
        fix = "draw the tissue as well, as an outline of another class"
        raise EosinError(f"holds only outlines of what is no tissue ({kinds})", file=path, fix=fix)
    coarse = float(np.sqrt(slide.size_um[0] * slide.size_um[1] / MOST_PX))
    reduction = max(um_per_px, coarse, slide.mpp) / slide.mpp
    mask = _drawn(polygons, slide, reduction)
    if not mask.any():
        left, top, right, bottom = shapely.total_bounds(polygons)
        raise EosinError(
            f"draws no tissue on the slide: its outlines span x {left:.0f} to {right:.0f} and "
            f"y {top:.0f} to {bottom:.0f}, the slide has {slide.size_px[0]} x {slide.size_px[1]} px",
            file=path,
            fix="give outlines in full-resolution pixels of this slide",
        )
    if ignored:
        mask &= ~_drawn(ignored, slide, reduction)
        if not mask.any():
            fix = "check the classes of its outlines"
            raise EosinError("outlines of what is no tissue cover all of its tissue", file=path, fix=fix)
    return Tissue(mask, slide.mpp * reduction)


def _labelled(path: str | Path) -> tuple[list[Polygon], list[str]]:
    """The polygons of a file and the class of each; without cores that are missing."""
    polygons, labels, n_missing = [], [], 0
    try:
        for geometry in read_geometries(path):
            if geometry.is_missing:
                n_missing += 1
                continue
            found = polygons_of(geometry)
            polygons += found
            labels += [geometry.label] * len(found)
    except ValueError as error:
        raise EosinError(f"not usable as outlines ({error})", file=path, fix="export it again") from error
    if n_missing and not polygons:
        raise EosinError("all its cores are marked as missing", file=path, fix="draw the tissue as closed outlines")
    if n_missing:
        _LOG.info("%s: %s marked as missing left out", path, counted(n_missing, "core"))
    return polygons, labels


def _say_classes(path: Path, labels: list[str]) -> None:
    """Say which classes were joined to the tissue and which were cut out, where there is a choice."""
    joined = sorted({label or "no class" for label in labels if not is_no_tissue(label)})
    cut = sorted({label for label in labels if is_no_tissue(label)})
    if cut:
        _LOG.info("%s: %s cut out of %s", path, ", ".join(cut), " and ".join(joined) or "nothing")
    elif len(joined) > 1:
        _LOG.info("%s: outlines of %s are joined to one tissue", path, " and ".join(joined))


def _drawn(polygons: list[Polygon], slide: Slide, reduction: float) -> np.ndarray:
    """The pixels [h w] of a slide's mask within any of the polygons."""
    width, height = (max(1, round(n / reduction)) for n in slide.size_px)
    mask = np.zeros((height, width), dtype=bool)
    for polygon in polygons:
        _fill(mask, polygon, reduction)
    return mask


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
