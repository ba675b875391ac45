"""Positions that the user gives: a table or GeoJSON points become spots."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from eosin.errors import EosinError
from eosin.slide.lattice import names_of_places
from eosin.slide.scanned_area import from_corner_of_slide
from eosin.slide.slide import Slide
from eosin.storage.delimited import read_table
from eosin.storage.geojson import is_geojson, points_of, read_geometries
from eosin.types import Spots

_LOG = logging.getLogger("eosin")
_COLUMNS = "give columns x,y (full-resolution pixels) or x_um,y_um (µm), and id where spots have names"
_NAMES = ("id", "barcode", "name", "spot", "object id")
_PIXELS = (("x", "y"), ("centroid x px", "centroid y px"))
_MICROMETRES = (("x_um", "y_um"), *((f"centroid x {um}", f"centroid y {um}") for um in ("µm", "μm", "um")))
"""Headings of positions; QuPath's measurements call them centroids, and say the unit."""
_MOST_BYTES = 512_000_000


def read_points(path: str | Path, slide: Slide, spot_um: float = 100.0) -> Spots:
    """Spots at given positions of a slide.

    Parameters
    ----------
    path
        A table with a heading (`.csv`, `.tsv`): columns `x`, `y` in full-resolution pixels or `x_um`, `y_um` in µm,
        and `id` (or `barcode`, `name`, `spot`) where spots have names; or QuPath's `Centroid X µm`, `Centroid Y µm`.
        Or GeoJSON Points, in full-resolution pixels.
    slide
        Gives size and scale.
    spot_um
        Width of a spot, µm.

    Raises
    ------
    EosinError
        No such columns, no numbers, no points, two of one name or at one place, or a point outside the image.
    """
    path = Path(path)
    if not path.is_file():
        raise EosinError("no such file", file=path, fix="check the path")
    xy, names = _of_geojson(path, slide.mpp) if is_geojson(path) else _of_table(path, slide.mpp)
    if not len(xy):
        raise EosinError("holds no points", file=path, fix=_COLUMNS)
    xy = xy + from_corner_of_slide(xy / slide.mpp, slide, path) * slide.mpp
    labels = names if names is not None else [f"point {i + 1}" for i in range(len(xy))]
    _check(xy, labels, slide, path)
    return Spots(xy, spot_um, names_of_places(xy) if names is None else tuple(names))


def _check(xy: np.ndarray, labels: Sequence[str], slide: Slide, path: Path) -> None:
    """Refuse positions that cannot be meant, naming the first."""
    bad = np.flatnonzero(~np.isfinite(xy).all(1))
    if bad.size:
        raise EosinError(f"the position of '{labels[bad[0]]}' is not a finite number", file=path, fix="correct it")
    width, height = slide.size_um
    off = np.flatnonzero(((xy < 0) | (xy > (width, height))).any(1))
    if off.size:
        x, y = xy[off[0]]
        raise EosinError(
            f"{off.size} of {len(xy)} points lie outside the image of {width:.0f} x {height:.0f} µm, first "
            f"'{labels[off[0]]}' at {x:.0f}, {y:.0f} µm",
            file=path,
            fix="check units and --mpp: columns x,y are pixels, x_um,y_um are µm",
        )
    for values, what in ((labels, "id"), (list(map(tuple, np.round(xy, 3))), "position")):
        first: dict[object, int] = {}
        for i, value in enumerate(values):
            if value in first:
                pair = f"points {first[value] + 1} and {i + 1} have the same {what}"
                raise EosinError(pair + (f" '{value}'" if what == "id" else ""), file=path, fix="give each once")
            first[value] = i


def _of_geojson(path: Path, mpp: float) -> tuple[np.ndarray, list[str] | None]:
    """Points [s 2] in µm, and their names where each has one."""
    parts, names = [], []
    try:
        for geometry in read_geometries(path):
            if geometry.label.endswith("*"):  # so QuPath marks what is to be ignored
                continue
            points = points_of(geometry)
            parts.append(points)
            names += [geometry.name if geometry.kind == "Point" else None] * len(points)
    except ValueError as error:
        raise EosinError(f"not usable as points ({error})", file=path, fix="export it again") from error
    named = [name for name in names if name is not None]
    xy = np.concatenate(parts) * mpp if parts else np.empty((0, 2))
    return xy, named if len(named) == len(names) else None


def _of_table(path: Path, mpp: float) -> tuple[np.ndarray, list[str] | None]:
    """Points [s 2] in µm, and their names where the table has a column of them, or row names as R writes them."""
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise EosinError(f"is larger than {_MOST_BYTES:,} bytes", file=path, fix="give fewer points")
    except OSError as error:
        raise EosinError(f"cannot be read ({error.strerror})", file=path, fix="check its permissions") from error
    table = read_table(path, _COLUMNS, _begins_with_position)
    x, y, unit_um = _which(table.columns, mpp, path)
    places = zip(table.rows, table.lines)
    xy = [(_number(row[x], path, line), _number(row[y], path, line)) for row, line in places]
    labels = [table.columns.index(name) for name in _NAMES if name in table.columns]
    used = [label for label in labels if any(row[label] for row in table.rows)]  # QuPath's Name is mostly empty
    names = [row[used[0]] for row in table.rows] if used else None if labels else table.row_names
    if table.row_names is not None:
        _LOG.info("%s: its rows have one cell more than the heading: the first are row names", path)
    if names is not None and "" in names:
        raise EosinError(f"point {names.index('') + 1} has no id", file=path, fix="give every point one, or none")
    return np.array(xy, dtype=np.float64).reshape(-1, 2) * unit_um, names


def _begins_with_position(columns: list[str]) -> bool:
    """Whether the first column of a table holds numbers."""
    return any(columns[0] in pair for pair in (*_PIXELS, *_MICROMETRES))


def _which(columns: list[str], mpp: float, path: Path) -> tuple[int, int, float]:
    """The numbers of the columns of x and y, and µm per unit of theirs."""
    known = [(pair, unit) for names, unit in ((_PIXELS, mpp), (_MICROMETRES, 1.0)) for pair in names]
    pairs = [(pair, unit) for pair, unit in known if set(pair) <= set(columns)]
    if len(pairs) != 1:
        problem = "has both pixels and µm" if pairs else f"has columns {', '.join(columns)[:80] or 'of no name'}"
        raise EosinError(problem, file=path, fix=_COLUMNS)
    (x, y), unit = pairs[0]
    if columns.count(x) + columns.count(y) > 2:
        raise EosinError(f"has column {x} or {y} twice", file=path, fix=_COLUMNS)
    return columns.index(x), columns.index(y), unit


def _number(text: str, path: Path, line: int) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        fix = "write 1234.5 for 1234,5 or 1,234.5" if "," in text else "correct the position"
        raise EosinError(f"line {line}: '{text[:40]}' is not a finite number", file=path, fix=fix)
    return value
