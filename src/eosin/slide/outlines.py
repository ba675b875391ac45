"""Tissue masks as outlines in a GeoJSON file, both ways."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from eosin.errors import EosinError
from eosin.slide.slide import Slide
from eosin.slide.tissue import MOST_PX, Tissue
from eosin.storage.geojson import read_geometries, rings_of, write_polygons

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
    try:
        polygons = [rings for geometry in read_geometries(path) for rings in rings_of(geometry)]
    except ValueError as error:
        raise EosinError(f"not usable as outlines ({error})", file=path, fix="export it again") from error
    if not polygons:
        raise EosinError("holds no polygon", file=path, fix="draw the tissue as closed outlines")
    coarse = float(np.sqrt(slide.size_um[0] * slide.size_um[1] / MOST_PX))
    reduction = max(um_per_px, coarse, slide.mpp) / slide.mpp
    width, height = (max(1, round(n / reduction)) for n in slide.size_px)
    mask = np.zeros((height, width), dtype=bool)
    for rings in polygons:
        _fill(mask, rings, reduction)
    if not mask.any():
        far = np.concatenate([ring for rings in polygons for ring in rings])
        raise EosinError(
            f"draws no tissue on the slide: its outlines span x {far[:, 0].min():.0f} to {far[:, 0].max():.0f} and "
            f"y {far[:, 1].min():.0f} to {far[:, 1].max():.0f}, the slide has {slide.size_px[0]} x "
            f"{slide.size_px[1]} px",
            file=path,
            fix="give outlines in full-resolution pixels of this slide",
        )
    return Tissue(mask, slide.mpp * reduction)


def write_tissue(path: str | Path, tissue: Tissue, mpp: float) -> int:
    """Write a mask as GeoJSON polygons in full-resolution pixels of a slide of scale `mpp`; returns how many."""
    polygons = outlines(tissue.mask)
    reduction = tissue.um_per_px / mpp
    write_polygons(path, [[(ring + 0.5) * reduction for ring in rings] for rings in polygons])
    return len(polygons)


def outlines(mask: np.ndarray) -> list[list[np.ndarray]]:
    """The pieces of a mask [h w] as outline and holes, closed rings [n 2] of (x, y), pixel centres at whole numbers.

    The rings run half way between centres inside and outside, so that filling them gives the mask back exactly.
    """
    from scipy import ndimage
    from skimage import measure

    pieces = np.zeros(mask.shape, np.int32)
    ndimage.label(mask, output=pieces)
    found = []
    for i, box in enumerate(ndimage.find_objects(pieces)):
        piece = np.pad(pieces[box] == i + 1, 1).astype(np.float32)
        corner = np.array([box[1].start - 1, box[0].start - 1])
        rings = [_straight(ring)[:, ::-1] + corner for ring in measure.find_contours(piece, 0.5)]
        rings.sort(key=lambda ring: -abs(_area(ring)))  # the outline encloses the holes
        found.append(rings)
    return found


def _fill(mask: np.ndarray, rings: list[np.ndarray], reduction: float) -> None:
    """Set the pixels of a mask [h w] whose centre lies in the first ring and in no other."""
    from skimage import draw

    inner = [np.clip(ring / reduction - 0.5, -_FAR_PX, _FAR_PX) for ring in rings]
    most = [mask.shape[1], mask.shape[0]]
    low = np.clip(np.floor(inner[0].min(0)), 0, most).astype(int)
    high = np.clip(np.ceil(inner[0].max(0)) + 1, low, most).astype(int)
    inside = np.zeros((high[1] - low[1], high[0] - low[0]), dtype=bool)
    for j, ring in enumerate(inner if inside.size else []):
        x, y = (ring - low).T
        inside[draw.polygon(y, x, inside.shape)] = j == 0
    mask[low[1] : high[1], low[0] : high[0]] |= inside


def _area(ring: np.ndarray) -> float:
    x, y = ring.T
    return float(np.dot(x[:-1], y[1:]) - np.dot(x[1:], y[:-1])) / 2


def _straight(ring: np.ndarray) -> np.ndarray:
    """A closed ring without the points in the middle of straight runs."""
    step = np.diff(ring, axis=0)
    turns = np.any(np.abs(step - np.roll(step, 1, axis=0)) > 1e-6, axis=1)
    kept = ring[:-1][turns]
    return np.concatenate([kept, kept[:1]])
