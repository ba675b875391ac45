"""`.geojson` for QuPath: one detection a spot or cell, in pixels of the full-resolution image, with measurements."""

from __future__ import annotations

import json
import uuid
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from eosin.errors import EosinError
from eosin.exporting.formats import FORMATS, ExportOptions, Format
from eosin.exporting.rows import blocks, chosen_layers, column_names
from eosin.row_blocks import row_blocks
from eosin.storage.files import atomic_file
from eosin.types import Prediction, Spots, check_mpp

_SPOTS_AT_ONCE = 8192


def _ring(n_corners: int, first_angle: float = 0.0, radius: float = 1.0) -> np.ndarray:
    """Corners [n+1 2] of a closed regular polygon about the origin, counter-clockwise as x goes right and y up."""
    angles = first_angle + 2 * np.pi * np.arange(n_corners) / n_corners
    corners = radius * np.stack([np.cos(angles), np.sin(angles)], -1)
    return np.concatenate([corners, corners[:1]])


class Outline(ABC):
    """How spots are drawn."""

    @abstractmethod
    def geometries(self, spots: Spots, mpp: float) -> Iterator[dict[str, object]]:
        """The geometry of each spot, in pixels of `mpp` µm."""


@dataclass(frozen=True)
class Regular(Outline):
    """A regular polygon.

    Attributes
    ----------
    corners
        [c 2] of a spot of radius 1, closed.
    """

    corners: np.ndarray

    def geometries(self, spots: Spots, mpp: float) -> Iterator[dict[str, object]]:
        """As wide as the spot, or as a circle of the cell's area."""
        for rows in row_blocks(len(spots), budget=_SPOTS_AT_ONCE):
            centres, widths = spots.xy_um[rows] / mpp, spots.widths_um()[rows] / 2 / mpp
            for corners in np.round(centres[:, None] + self.corners * widths[:, None, None], 2).tolist():
                yield {"type": "Polygon", "coordinates": [corners]}


class Centre(Outline):
    """The spot's centre alone."""

    def geometries(self, spots: Spots, mpp: float) -> Iterator[dict[str, object]]:
        """A point each."""
        for centre in spots.xy_um / mpp:
            yield {"type": "Point", "coordinates": np.round(centre, 2).tolist()}


class CellOutline(Outline):
    """The outline of each cell; a circle of its area where it has none."""

    def geometries(self, spots: Spots, mpp: float) -> Iterator[dict[str, object]]:
        """A polygon each."""
        if spots.footprints is None or spots.footprints.outlines is None:
            raise EosinError("the prediction has no outlines of cells", fix="choose another --outline")
        outlines = spots.footprints.outlines
        for row, circle in enumerate(OUTLINES["circle"].geometries(spots, mpp)):
            corners = outlines.of(row).astype(np.float64) / mpp
            yield _polygon(np.concatenate([corners, corners[:1]])) if len(corners) else circle


def _polygon(corners: np.ndarray) -> dict[str, object]:
    return {"type": "Polygon", "coordinates": [np.round(corners, 2).tolist()]}


OUTLINES: Mapping[str, Outline] = {
    "circle": Regular(_ring(24)),
    "square": Regular(_ring(4, np.pi / 4, np.sqrt(2))),  # as wide as the spot
    "point": Centre(),
    "cell": CellOutline(),
}
"""By what a user asks for; of cells with outlines these are the default, else circles."""


class GeoJson(Format):
    """A FeatureCollection, written spot by spot.

    Each spot is a detection with its name; `measurements` holds `GENE` (mean) and `GENE_sd`. Ids are UUIDs made from
    the names of section and spot, so that QuPath notices a second import. QuPath before 0.4 cannot read `measurements`
    as an object.
    """

    opened_by = "QuPath"
    takes = frozenset({"layers", "outline", "mpp"})

    def write(self, prediction: Prediction, path: Path, options: ExportOptions) -> None:
        """Write a feature for each spot, in pixels of the full-resolution image."""
        layers = chosen_layers(prediction, options.layers)
        names = column_names(prediction.panel, layers)
        mpp = _scale(prediction, options.mpp)
        spots = prediction.spots
        outline = _outline(options.outline, spots)
        namespace = uuid.uuid5(uuid.NAMESPACE_OID, f"eosin:{prediction.section}")
        with atomic_file(path) as partial, open(partial, "w", encoding="utf-8") as file:
            file.write('{"type": "FeatureCollection", "features": [')
            separator = "\n"
            for rows, values in blocks(prediction, layers):
                part, rounded = spots.take(rows), np.round(values.astype(np.float64), 5)
                varies = (rounded != rounded[0]).any(0)  # error bars of a gene are the same at every spot
                feature = _template(names, rounded[0].tolist(), varies.tolist())
                for spot, geometry, numbers in zip(
                    part.ids, outline.geometries(part, mpp), rounded[:, varies].tolist()
                ):
                    own = str(uuid.uuid5(namespace, spot)), json.dumps(geometry), json.dumps(spot, ensure_ascii=False)
                    file.write(separator + feature % (*own, *numbers))
                    separator = ",\n"
            file.write("\n]}\n")


def _template(names: Sequence[str], numbers: Sequence[float], varies: Sequence[bool]) -> str:
    """The JSON of a spot with gaps for its id, geometry, name and those numbers that vary; the text of `json.dumps`.

    Where there are many genes, most of the time would go into writing names and equal numbers again for each spot.
    """
    keys = (json.dumps(name, ensure_ascii=False).replace("%", "%%") for name in names)
    pairs = zip(keys, numbers, varies)
    measurements = ", ".join(f"{key}: {'%r' if differs else repr(number)}" for key, number, differs in pairs)
    properties = f'{{"objectType": "detection", "name": %s, "measurements": {{{measurements}}}}}'
    return f'{{"type": "Feature", "id": "%s", "geometry": %s, "properties": {properties}}}'


def _scale(prediction: Prediction, mpp: float | None) -> float:
    known = None if prediction.image is None else prediction.image.mpp
    if mpp is not None and known is not None and abs(mpp / known - 1) > 1e-6:
        raise EosinError(f"the prediction says {known:g} µm per pixel, not {mpp:g}", fix="leave --mpp out")
    if known is None and mpp is None:
        raise EosinError("the prediction is of no image, and pixels need a scale", fix="give --mpp")
    return known if known is not None else check_mpp(mpp or 0.0, "--mpp")


def _outline(name: str | None, spots: Spots) -> Outline:
    """The outline of a name; without one that of the cells, where they have any, else a circle."""
    if name is None:
        has_outlines = spots.footprints is not None and spots.footprints.outlines is not None
        return OUTLINES["cell" if has_outlines else "circle"]
    if name not in OUTLINES:
        raise EosinError(f"there is no outline '{name}'", fix=f"known ones: {', '.join(OUTLINES)}")
    return OUTLINES[name]


FORMATS.add("geojson", GeoJson())
