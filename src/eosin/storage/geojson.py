"""GeoJSON as QuPath, TRIDENT and LazySlide write it: outlines and points in full-resolution pixels."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from eosin.errors import EosinError
from eosin.storage.files import atomic_file

if TYPE_CHECKING:
    from shapely import Polygon

_MOST_BYTES = 512_000_000
_FIX = "export it again as GeoJSON, with coordinates in full-resolution pixels"


@dataclass(frozen=True)
class Geometry:
    """One geometry of a file, whose coordinates `polygons_of` and `points_of` check.

    Attributes
    ----------
    kind
        `Polygon`, `MultiPolygon`, `Point`, ...
    coordinates
        As the file has them: not checked yet.
    name
        What the file calls it, or None.
    label
        Its class, as `Tumor` or `Ignore*`; empty where it has none.
    is_missing
        Whether it is a core of a tissue microarray that is marked as missing.
    """

    kind: str
    coordinates: Any
    name: str | None = None
    label: str = ""
    is_missing: bool = False


def is_geojson(path: str | Path) -> bool:
    """Whether a name is that of a GeoJSON file."""
    return Path(path).suffix.lower() in {".geojson", ".json"}


def read_geometries(path: str | Path) -> list[Geometry]:
    """All geometries of a file, with their classes: a FeatureCollection, a list of features, a feature or a geometry.

    Raises
    ------
    EosinError
        No such file, not JSON, or not GeoJSON.
    """
    path = Path(path)
    if not path.is_file():
        raise EosinError("no such file", file=path, fix="check the path")
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise EosinError(f"is larger than {_MOST_BYTES:,} bytes", file=path, fix="simplify its outlines")
        tree = json.loads(path.read_text(encoding="utf-8-sig"))
        return list(_walk(tree))
    except OSError as error:
        raise EosinError(f"cannot be read ({error.strerror})", file=path, fix="check its permissions") from error
    except RecursionError:
        raise EosinError("not GeoJSON (nested too deeply)", file=path, fix=_FIX) from None
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise EosinError(f"not GeoJSON ({error})", file=path, fix=_FIX) from error


def _walk(tree: Any, name: str | None = None, label: str = "", *, is_missing: bool = False) -> Iterator[Geometry]:
    if isinstance(tree, list):
        for branch in tree:
            yield from _walk(branch, name, label, is_missing=is_missing)
        return
    if not isinstance(tree, dict) or not isinstance(tree.get("type"), str):
        raise ValueError("an object without a type")
    if tree["type"] == "FeatureCollection":
        yield from _walk(list(tree["features"]))
    elif tree["type"] == "GeometryCollection":
        yield from _walk(list(tree["geometries"]), name, label, is_missing=is_missing)
    elif tree["type"] == "Feature":
        properties = tree.get("properties") or {}
        if tree.get("geometry") is not None:
            is_missing = properties.get("isMissing") is True
            yield from _walk(tree["geometry"], _name(tree, properties), _label(properties), is_missing=is_missing)
    else:
        yield Geometry(tree["type"], tree["coordinates"], name, label, is_missing)


def _label(properties: dict[str, Any]) -> str:
    """The class of an object: QuPath's, or what other tools write as text.

    Since QuPath 0.4 a class derived from others is a list of names: of these one that is to be ignored counts, else the
    last.
    """
    for key in ("classification", "class", "label", "type"):
        value = properties.get(key)
        if isinstance(value, dict):
            names = [str(name) for name in value.get("names") or [value.get("name") or ""]]
            value = next((name for name in names if name.endswith("*")), names[-1])
        if isinstance(value, str) and value:
            return value
    return ""


def _name(feature: dict[str, Any], properties: dict[str, Any]) -> str | None:
    """What the file calls a feature: its property `id`, else `name`, else its own `id`."""
    for value in (properties.get("id"), properties.get("name"), feature.get("id")):
        if value is not None:
            return str(value)
    return None


def polygons_of(geometry: Geometry) -> list[Polygon]:
    """The polygons of a geometry, with their holes; none of a point or a line.

    Outlines may cross themselves, as those drawn by hand do.

    Raises
    ------
    ValueError
        Coordinates that are no finite numbers, or an outline of fewer than three points.
    """
    import shapely

    polygons = {"Polygon": [geometry.coordinates], "MultiPolygon": geometry.coordinates}.get(geometry.kind, [])
    try:
        rings = [list(map(_ring, polygon)) for polygon in polygons if len(polygon)]
        return [shapely.Polygon(outline, holes) for outline, *holes in rings]
    except TypeError:
        raise ValueError("its outlines are not lists of positions") from None


def points_of(geometry: Geometry) -> np.ndarray:
    """The points of a geometry [n 2]; none of an outline.

    Raises
    ------
    ValueError
        Coordinates that are no numbers.
    """
    points = {"Point": [geometry.coordinates], "MultiPoint": geometry.coordinates}.get(geometry.kind, [])
    return _pairs(points)


def _ring(coordinates: Any) -> np.ndarray:
    ring = _pairs(coordinates)
    if len(ring) < 3 or not np.isfinite(ring).all():
        raise ValueError("an outline needs three points or more, all of finite numbers")
    return ring


def _pairs(coordinates: Any) -> np.ndarray:
    """Positions [n 2]; a third number, a height, is dropped."""
    try:
        pairs = [(float(position[0]), float(position[1])) for position in coordinates]
    except (TypeError, IndexError, KeyError, OverflowError):
        raise ValueError("positions are not pairs of numbers") from None
    return np.array(pairs, dtype=np.float64).reshape(-1, 2)


def write_polygons(path: str | Path, polygons: Sequence[Polygon], kind: str = "Tissue") -> None:
    """Write polygons, in full-resolution pixels, as a FeatureCollection that QuPath opens."""
    features = [
        {
            "type": "Feature",
            "geometry": {
                "type": "Polygon",
                "coordinates": [np.round(ring.coords, 2).tolist() for ring in (polygon.exterior, *polygon.interiors)],
            },
            "properties": {"objectType": "annotation", "name": f"{kind} {i + 1}", "classification": {"name": kind}},
        }
        for i, polygon in enumerate(polygons)
    ]
    with atomic_file(path) as partial:
        partial.write_text(json.dumps({"type": "FeatureCollection", "features": features}), encoding="utf-8")
