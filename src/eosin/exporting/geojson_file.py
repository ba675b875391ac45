"""`.geojson` for QuPath: one detection a spot, in pixels of the full-resolution image, with measurements."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from eosin.errors import EosinError
from eosin.exporting.formats import FORMATS, ExportOptions, Format
from eosin.exporting.rows import blocks, chosen_layers, column_names
from eosin.storage.files import atomic_file
from eosin.types import Prediction, check_mpp


def _ring(n_corners: int, first_angle: float = 0.0, radius: float = 1.0) -> np.ndarray:
    """Corners [n+1 2] of a closed regular polygon about the origin, counter-clockwise as x goes right and y up."""
    angles = first_angle + 2 * np.pi * np.arange(n_corners) / n_corners
    corners = radius * np.stack([np.cos(angles), np.sin(angles)], -1)
    return np.concatenate([corners, corners[:1]])


OUTLINES: Mapping[str, np.ndarray | None] = {
    "circle": _ring(24),
    "square": _ring(4, np.pi / 4, np.sqrt(2)),
    "point": None,
}
"""Corners of a spot of radius 1; a square is as wide as the spot. A point has none."""


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
        outline = _outline(options.outline or "circle", spots.diameter_um / 2 / mpp)
        centres = spots.xy_um / mpp
        namespace = uuid.uuid5(uuid.NAMESPACE_OID, f"eosin:{prediction.section}")
        with atomic_file(path) as partial, open(partial, "w", encoding="utf-8") as file:
            file.write('{"type": "FeatureCollection", "features": [')
            separator = "\n"
            for rows, values in blocks(prediction, layers):
                for spot, centre, numbers in zip(spots.ids[rows], centres[rows], values.tolist()):
                    feature = {
                        "type": "Feature",
                        "id": str(uuid.uuid5(namespace, spot)),
                        "geometry": _geometry(centre, outline),
                        "properties": {
                            "objectType": "detection",
                            "name": spot,
                            "measurements": {key: round(number, 5) for key, number in zip(names, numbers)},
                        },
                    }
                    file.write(separator + json.dumps(feature, ensure_ascii=False, allow_nan=False))
                    separator = ",\n"
            file.write("\n]}\n")


def _scale(prediction: Prediction, mpp: float | None) -> float:
    known = None if prediction.image is None else prediction.image.mpp
    if mpp is not None and known is not None and abs(mpp / known - 1) > 1e-6:
        raise EosinError(f"the prediction says {known:g} µm per pixel, not {mpp:g}", fix="leave --mpp out")
    if known is None and mpp is None:
        raise EosinError("the prediction is of no image, and pixels need a scale", fix="give --mpp")
    return known if known is not None else check_mpp(mpp or 0.0, "--mpp")


def _outline(name: str, radius_px: float) -> np.ndarray | None:
    if name not in OUTLINES:
        raise EosinError(f"there is no outline '{name}'", fix=f"known ones: {', '.join(OUTLINES)}")
    unit = OUTLINES[name]
    return None if unit is None else unit * radius_px


def _geometry(centre: np.ndarray, outline: np.ndarray | None) -> dict[str, object]:
    if outline is None:
        return {"type": "Point", "coordinates": np.round(centre, 2).tolist()}
    return {"type": "Polygon", "coordinates": [np.round(centre + outline, 2).tolist()]}


FORMATS.add("geojson", GeoJson())
