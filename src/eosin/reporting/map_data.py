"""Maps of all genes inside a page: values as bytes in base64, which the page's script draws on a canvas.

A page stays bounded whatever is predicted: of very many spots some are drawn, evenly chosen, and of very many genes
the best known ones are there; both are said.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from eosin.reporting.gathered import ReportedRun
from eosin.reporting.maps import Thumbnail, colour_range, extent_of, has_sd_map, on_image, unit_of
from eosin.reporting.prediction_part import part_of
from eosin.reporting.thinning import evenly_thinned
from eosin.slide.jpeg import jpeg
from eosin.types import Prediction

MOST_VALUES = 1_100_000
"""Bytes of values in a page, before base64 makes 4 of 3."""
MOST_GENES = 1_000
MOST_SPOTS = 20_000
MOST_SECTIONS = 5
_USUAL_GENES = 50  # for so many genes spots are thinned; more genes are left out instead
_UNKNOWN = 255


@dataclass(frozen=True)
class MapData:
    """What the script of a page draws.

    Attributes
    ----------
    record
        JSON-able: genes, colours, and for each section places, values and the slide.
    columns
        Columns of the panel that are there, in the order of the record.
    notes
        What was left out, in sentences.
    """

    record: dict[str, Any]
    columns: list[int]
    notes: list[str]


def map_data(
    run: ReportedRun, order: Sequence[int], thumbnails: Mapping[str, Thumbnail], *, most_values: int = MOST_VALUES
) -> MapData:
    """The maps of as many genes as fit, in their order.

    Parameters
    ----------
    order
        Columns of the panel, the most wanted first.
    thumbnails
        Section -> image, small enough for a page, and its µm per pixel.
    """
    shown = run.main[:MOST_SECTIONS]
    n_layers = max(len(_layers(run, p)) for p in shown)
    most = most_values // (n_layers * min(len(order), _USUAL_GENES) * len(shown))
    drawn = {p.section: _drawn(p, thumbnails.get(p.section), int(np.clip(most, 500, MOST_SPOTS))) for p in shown}
    n_drawn = sum(len(here.rows) for here in drawn.values())
    columns = list(order[: max(1, min(MOST_GENES, most_values // (n_layers * n_drawn)))])
    names = run.main[0].panel.names
    record = {
        "unit": unit_of(run.main[0].panel),
        "genes": [names[j] for j in columns],
        "colours": {name: _colours(name) for name in ("viridis", "magma", "RdBu_r")},
        "sections": [_section(run, p, drawn[p.section], columns, thumbnails.get(p.section)) for p in shown],
    }
    return MapData(record, columns, _notes(run, shown, drawn, len(columns)))


@dataclass(frozen=True)
class _Drawn:
    """Rows of the spots that are drawn, and how many lie on the image, or are there where there is none."""

    rows: np.ndarray
    n_inside: int

    @property
    def enlarged(self) -> float:
        """By how much the discs of the drawn spots are wider, so that they cover as much."""
        return float(np.sqrt(self.n_inside / max(len(self.rows), 1)))


def _drawn(prediction: Prediction, thumbnail: Thumbnail | None, most: int) -> _Drawn:
    """Spots on the image where there is one, evenly thinned where they are many."""
    spots = prediction.spots
    inside = np.arange(len(spots)) if thumbnail is None else np.flatnonzero(on_image(thumbnail, spots))
    return _Drawn(inside[evenly_thinned(spots.xy_um[inside], most)], len(inside))


def _notes(run: ReportedRun, shown: Sequence[Prediction], drawn: Mapping[str, _Drawn], n_genes: int) -> list[str]:
    notes = []
    if len(shown) < len(run.main):
        notes.append(f"The first {len(shown)} of {len(run.main)} sections are drawn.")
    for prediction in shown:
        n, here = len(prediction.spots), drawn[prediction.section]
        what = prediction.spots.unit + (f" of section {prediction.section}" if len(shown) > 1 else "")
        if here.n_inside < n:
            notes.append(f"{n - here.n_inside:,} of {n:,} {what} lie outside the slide's image and are not drawn.")
        if len(here.rows) < here.n_inside:
            share = f"{len(here.rows):,} of {here.n_inside:,} {what}"
            notes.append(f"{share} are drawn, evenly chosen and enlarged; numbers are of all.")
    g = len(run.main[0].panel)
    if n_genes < g:
        notes.append(
            f"{n_genes:,} of {g:,} genes are on this page: those asked for, then the best. The other {g - n_genes:,} "
            "are in the prediction's file; --genes A,B brings them here."
        )
    return notes


def _layers(run: ReportedRun, prediction: Prediction) -> list[tuple[str, str, str]]:
    """Key, title and colours of what is drawn of a gene."""
    layers = [("mean", f"Predicted by {run.model}" if run.others else "Predicted", "viridis")]
    if prediction.section in run.truth:
        layers.append(("truth", "Measured", "viridis"))
    for i, (model, predictions) in enumerate(run.others.items()):
        if any(p.section == prediction.section for p in predictions):
            layers.append((f"other{i}", f"Predicted by {model}", "viridis"))
    if has_sd_map(prediction):
        layers.append(("sd", "Predicted sd", "magma"))
    return layers


def _section(
    run: ReportedRun, prediction: Prediction, drawn: _Drawn, columns: list[int], thumbnail: Thumbnail | None
) -> dict[str, Any]:
    spots, rows = prediction.spots, drawn.rows
    left, right, top, bottom = extent_of(spots, thumbnail)
    picture = None
    if thumbnail is not None:
        picture, (left, right, top, bottom) = _cropped(thumbnail, (left, right, top, bottom))
    places = (spots.xy_um[rows] - (left, top)) / (right - left, bottom - top)
    widths = spots.widths_um()[rows] * drawn.enlarged
    part = part_of(prediction, rows, columns)
    found = {"mean": part.mean}
    if prediction.section in run.truth:
        found["truth"] = run.truth[prediction.section][np.ix_(rows, np.array(columns, dtype=np.intp))]
    for i, predictions in enumerate(run.others.values()):
        for other in predictions:
            if other.section == prediction.section:
                found[f"other{i}"] = part_of(other, rows, columns).mean
    ranges = np.array([colour_range(np.concatenate([v[:, k] for v in found.values()])) for k in range(len(columns))])
    spread = None
    if has_sd_map(prediction):
        sd = part.sd
        spread = np.stack([np.zeros(len(columns)), np.maximum(np.percentile(sd, 99, axis=0), 1e-6)], 1)
        found["sd"] = sd
    layers = [
        {
            "key": key,
            "title": title,
            "colours": colours,
            "values": _bytes(_quantised(found[key], spread if key == "sd" and spread is not None else ranges)),
        }
        for key, title, colours in _layers(run, prediction)
    ]
    same = len(rows) == 0 or float(np.ptp(widths)) < 1e-9
    record = {
        "name": prediction.section,
        "size": [right - left, bottom - top],
        "places": _bytes(np.round(np.clip(places, 0, 1) * 65535).astype("<u2")),
        "width": float(widths[0]) if same and len(rows) else None,
        "widths": None if same else _bytes(np.round(np.minimum(widths * 10, 65535)).astype("<u2")),
        "slide": picture,
        "layers": layers,
        "ranges": _short(ranges),
        "spread": None if spread is None else _short(spread),
    }
    if prediction.likeness is not None:
        top_um = 2 * prediction.likeness.spot_limit
        distance = prediction.likeness.distance[rows][:, None]
        record["distance"] = _bytes(_quantised(distance, np.array([[0.0, top_um]])))
        record["limits"] = [0, round(top_um, 3), round(prediction.likeness.spot_limit, 3)]
    return record


def _quantised(values: np.ndarray, ranges: np.ndarray) -> np.ndarray:
    """Values [n g] in 255 steps between the ends of each gene's range, genes first; 255 where one is not known."""
    low, high = ranges.T
    steps = np.clip((values - low) / (high - low) * 254, 0, 254)
    return np.where(np.isfinite(values), np.round(np.nan_to_num(steps)), _UNKNOWN).astype(np.uint8).T


def _cropped(thumbnail: Thumbnail, box: tuple[float, float, float, float]) -> tuple[str, tuple[float, ...]]:
    """The part of an image in a box of µm, as `data:` address, and the box of its pixels' edges."""
    image, um_per_px = thumbnail
    left, right, top, bottom = (edge / um_per_px for edge in box)
    x0, y0 = max(int(left), 0), max(int(top), 0)
    x1, y1 = min(int(np.ceil(right)), image.shape[1]), min(int(np.ceil(bottom)), image.shape[0])
    x1, y1 = max(x1, x0 + 1), max(y1, y0 + 1)
    part = np.ascontiguousarray(image[y0:y1, x0:x1, :3])
    if not part.size:
        part = np.full((y1 - y0, x1 - x0, 3), 255, np.uint8)
    address = "data:image/jpeg;base64," + base64.b64encode(jpeg(part)).decode()
    return address, tuple(float(edge * um_per_px) for edge in (x0, x1, y0, y1))


def _colours(name: str) -> str:
    """A colour map of matplotlib in 255 steps of red, green and blue."""
    import matplotlib

    return _bytes((matplotlib.colormaps[name](np.linspace(0, 1, 255))[:, :3] * 255).round().astype(np.uint8))


def _bytes(values: np.ndarray) -> str:
    return base64.b64encode(np.ascontiguousarray(values).tobytes()).decode()


def _short(ranges: np.ndarray) -> list[list[float]]:
    return [[float(f"{low:.4g}"), float(f"{high:.4g}")] for low, high in ranges.tolist()]
