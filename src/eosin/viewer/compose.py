"""A prediction, its slide, and what is to stand beside it, put together for a page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from eosin.errors import EosinError
from eosin.slide import BY_DATA, Slide, is_slide, open_slide, scale_of, size_px_of
from eosin.storage.geojson import polygons_of, read_geometries
from eosin.types import Prediction, Section
from eosin.viewer.gene_values import MeasuredValues, PredictedValues, need_same_scale
from eosin.viewer.scene import Region, Scene
from eosin.viewer.slide_pyramid import SlidePyramid

_MOST_OTHERS = 8
_TOLERANCE = 0.02


def compose(
    prediction: Prediction,
    *,
    truth: Section | None = None,
    others: Sequence[Prediction] = (),
    slide: str | Path | None = None,
    mpp: float | None = None,
    regions: str | Path | None = None,
) -> Scene:
    """Put together what a page shows.

    Parameters
    ----------
    prediction
        What is shown.
    truth
        The measured section.
    others
        Predictions of the same section by other models.
    slide
        The slide, where it is not at the place that the prediction names.
    mpp
        Its µm per pixel, where neither the file nor the prediction says it.
    regions
        GeoJSON of regions, in full-resolution pixels of the slide.

    Raises
    ------
    EosinError
        A slide that was named and cannot be opened, other values, no shared spot or gene, no regions in a file.
    """
    if len(others) > _MOST_OTHERS:
        raise EosinError(f"{len(others)} predictions to compare with", fix=f"give {_MOST_OTHERS} at most")
    notes: list[str] = []
    values = [_compared(other, prediction, notes) for other in others]
    _tell_apart(values)
    measured = None if truth is None else MeasuredValues(truth, prediction)
    if measured is not None:
        _note_shared("measured", measured.n_shared, prediction, notes)
    opened = _opened(prediction, slide, mpp, notes)
    scale = opened.mpp if opened is not None else prediction.image.mpp if prediction.image is not None else mpp
    try:
        drawn = () if regions is None else read_regions(regions, scale)
    except EosinError:
        if opened is not None:
            opened.close()
        raise
    pyramid = None if opened is None else SlidePyramid(opened)
    return Scene(prediction, pyramid=pyramid, truth=measured, others=values, regions=drawn, notes=notes)


def read_regions(path: str | Path, mpp: float | None) -> tuple[Region, ...]:
    """The polygons of a GeoJSON file in full-resolution pixels of `mpp` µm, each as a region.

    Raises
    ------
    EosinError
        No GeoJSON, no polygon in it, or the scale is not known.
    """
    if mpp is None:
        raise EosinError("regions are in pixels, and their µm are not known", file=path, fix="give --mpp")
    found = []
    try:
        for geometry in read_geometries(path):
            polygons = polygons_of(geometry)
            if polygons:
                rings = [ring for polygon in polygons for ring in (polygon.exterior, *polygon.interiors)]
                name = geometry.name if geometry.name and len(geometry.name) < 36 else None
                called = name or geometry.label or f"Region {len(found) + 1}"
                found.append(Region(called, tuple(np.asarray(ring.coords)[:, :2] * mpp for ring in rings)))
    except ValueError as error:
        raise EosinError(f"not usable as regions ({error})", file=path, fix="export it again") from error
    if not found:
        raise EosinError("holds no polygon", file=path, fix="draw the regions as closed outlines")
    return tuple(found)


def _compared(other: Prediction, shown: Prediction, notes: list[str]) -> PredictedValues:
    need_same_scale(shown.panel, other)
    title = other.model if other.model != shown.model else f"{other.model} (seed {other.seed})"
    values = PredictedValues(other, title, shown.panel, shown.spots)
    if values.n_shared[1] == 0:
        raise EosinError(f"the prediction by '{other.model}' has none of the spots", fix="compare on one section")
    _note_shared(f"predicted by {other.model}", values.n_shared, shown, notes)
    return values


def _tell_apart(values: Sequence[PredictedValues]) -> None:
    """Number those that would be called alike."""
    seen: dict[str, int] = {}
    for one in values:
        seen[one.title] = seen.get(one.title, 0) + 1
        if seen[one.title] > 1:
            one.title = f"{one.title} #{seen[one.title]}"


def _note_shared(what: str, shared: tuple[int, int], shown: Prediction, notes: list[str]) -> None:
    n_genes, n_spots = len(shown.panel), len(shown.spots)
    if shared[0] < n_genes:
        notes.append(f"{shared[0]:,} of {n_genes:,} genes are {what}; the others are grey there")
    if shared[1] < n_spots:
        notes.append(f"{shared[1]:,} of {n_spots:,} {shown.spots.unit} are {what}; the others are grey there")


def _opened(prediction: Prediction, path: str | Path | None, mpp: float | None, notes: list[str]) -> Slide | None:
    """The slide; None, and a note that says why, where the prediction's own is not there."""
    image = prediction.image
    if path is None and (image is None or not is_slide(image.path)):
        missing = "the prediction is of no slide" if image is None else f"the slide {image.path.name} is not there"
        notes.append(f"{missing}: give it by --slide to see the tissue")
        return None
    if path is None and image is not None:
        try:
            slide = open_slide(image.path, mpp=mpp or image.mpp, told_by="as given" if mpp else BY_DATA)
        except EosinError as error:
            notes.append(f"the slide cannot be shown ({error.problem})")
            return None
    else:
        own = None if path is None else scale_of(path)
        slide = open_slide(path or "", mpp=mpp or own or (None if image is None else image.mpp))
        _note_other_size(slide, prediction, notes)
    _note_outside(slide, prediction, notes)
    return slide


def _note_other_size(slide: Slide, prediction: Prediction, notes: list[str]) -> None:
    """Say that the slide that was given is of another size than the one that was predicted on."""
    image = prediction.image
    if image is None or not is_slide(image.path):
        return
    try:
        predicted_on = [side * image.mpp for side in size_px_of(image.path)]
    except EosinError:
        return
    if any(abs(given / own - 1) > _TOLERANCE for given, own in zip(slide.size_um, predicted_on)):
        given, own = (" x ".join(f"{side / 1000:.3g}" for side in sides) for sides in (slide.size_um, predicted_on))
        notes.append(
            f"the slide is {given} mm, the one that was predicted on {own} mm: spots may not lie on its tissue"
        )


def _note_outside(slide: Slide, prediction: Prediction, notes: list[str]) -> None:
    xy = prediction.spots.xy_um
    outside = int(((xy < 0) | (xy > np.array(slide.size_um))).any(1).sum())
    if outside:
        of_all = f"{outside:,} of {len(xy):,} {prediction.spots.unit}"
        notes.append(f"{of_all} lie beyond the edge of the slide: is it another slide, or of another scale (--mpp)?")
