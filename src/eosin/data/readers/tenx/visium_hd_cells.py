"""Visium HD by cells: `segmented_outputs/` of Space Ranger 4, pooled to squares as Xenium's cells are.

`cell_segmentations.geojson` has a polygon per cell in pixels of the full-resolution image, with the property `cell_id`,
a number; `filtered_feature_cell_matrix.h5` names the same cell `cellid_000000001-1`.
Source: 10x Genomics, Space Ranger's pages on segmented outputs.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse

from eosin.data.pooling import Pool, centres_um, square_ids, squares_at
from eosin.data.reader import blame
from eosin.data.readers.tenx.samples import find_matrix
from eosin.data.readers.tenx.tenx_matrix import AGAIN, open_matrix, reading
from eosin.data.readers.tenx.visium_hd_bins import Squares
from eosin.data.section_parts import left_out
from eosin.errors import EosinError
from eosin.genes.columns import Naming

DEFAULT_UM = 100.0
_OUTLINES = ("cell_segmentations.geojson", "graphclust_annotated_cell_segmentations.geojson")
_FEATURES = re.compile(r'"features"\s*:\s*\[')
_BETWEEN = re.compile(r"[\s,]*")
_NUMBER = re.compile(r"(?:cellid_)?0*(\d{1,18})(?:-\d+)?")


def cell_folder(folder: Path) -> Path | None:
    """`segmented_outputs/` of a sample, where there is one."""
    cells = folder / "segmented_outputs"
    return cells if cells.is_dir() else None


def squares_of_cells(folder: Path, bin_um: float | None, mpp: float, naming: Naming) -> Squares:
    """Squares of `bin_um` (or 100) µm along the axes of the image; each cell is counted whole where its centre lies.

    Parameters
    ----------
    folder
        `segmented_outputs/`.
    mpp
        µm per pixel of the full-resolution image.

    Raises
    ------
    EosinError
        A file is missing, cut short, or of another kind; no cell has an outline.
    """
    width_um = DEFAULT_UM if bin_um is None else bin_um
    outlines = next((file for name in _OUTLINES if (file := folder / name).is_file()), None)
    if outlines is None:
        raise EosinError(
            "no cell_segmentations.geojson", file=folder, fix="copy all of Space Ranger's segmented_outputs/"
        )
    centres, pool = read_centres(outlines), Pool()
    file, matrix_notes = find_matrix(folder, "cell")
    with open_matrix(file, naming) as matrix:
        xy_px, drawn = _centres_of(matrix.barcodes, centres, file)
        squares = np.zeros((len(drawn), 2), dtype=np.int64)
        with blame(outlines):
            squares[drawn] = squares_at(xy_px[drawn] * mpp, width_um)
        for first, block in matrix.blocks():
            entries = sparse.coo_matrix(block)
            kept = drawn[first + entries.row]
            cells = first + entries.row[kept]
            pool.add(squares[cells], entries.col[kept].astype(np.int64), entries.data[kept])
        filled, counts = pool.finish(len(matrix.genes))
    notes = [f"cells pooled to squares of {width_um:g} µm by their centres; what lies outside of cells is not counted"]
    notes += left_out(int((~drawn).sum()), len(drawn), "cells have no outline")
    px = centres_um(filled, width_um) / mpp
    notes += [*matrix_notes, *matrix.notes]
    return Squares(folder, square_ids(filled, width_um), px, width_um, counts, matrix.genes, tuple(notes))


def _centres_of(barcodes: np.ndarray, centres: dict[int, tuple[float, float]], file: Path) -> tuple[np.ndarray, Any]:
    """[b 2] the centre of each cell of the matrix in pixels, and [b] whether it has one."""
    numbers = [_number(barcode.decode("utf-8", "replace")) for barcode in barcodes.tolist()]
    drawn = np.array([number in centres for number in numbers], dtype=bool)
    if not drawn.any():
        example = f"'{barcodes[0].decode('utf-8', 'replace')}'" if len(barcodes) else "none"
        problem = f"no cell of the matrix ({example}) has an outline"
        raise EosinError(problem, file=file, fix="pair matrix and outlines of one sample")
    missing = (np.nan, np.nan)
    return np.array([missing if number is None else centres.get(number, missing) for number in numbers]), drawn


def _number(name: Any) -> int | None:
    """The cell's number, as outlines (1) and matrices (`cellid_000000001-1`) write it."""
    match = None if isinstance(name, bool) else _NUMBER.fullmatch(str(name))
    return None if match is None else int(match.group(1))


def read_centres(file: Path) -> dict[int, tuple[float, float]]:
    """The centre (x, y) of each outlined cell, in pixels, by the cell's number.

    Raises
    ------
    EosinError
        The file is cut short, or holds other things than polygons with a `cell_id`; a cell occurs twice.
    """
    centres: dict[int, tuple[float, float]] = {}
    with reading(file, "outlines of cells"):
        for feature in _features(file.read_text(encoding="utf-8")):
            number = _number((feature.get("properties") or {}).get("cell_id"))
            if number is None:
                raise EosinError("an outline has no cell_id", file=file, fix=AGAIN)
            if number in centres:
                raise EosinError(f"cell {number} has two outlines", file=file, fix=AGAIN)
            centres[number] = _centre(feature.get("geometry") or {})
            if not np.isfinite(centres[number]).all():
                raise EosinError(f"the outline of cell {number} is not of finite numbers", file=file, fix=AGAIN)
    if not centres:
        raise EosinError("holds no outlines", file=file, fix=AGAIN)
    return centres


def _features(text: str) -> Iterator[dict[str, Any]]:
    """The features of a collection one by one: half a million polygons at once would take gigabytes."""
    start = _FEATURES.search(text)
    if start is None:
        raise ValueError("no collection of features")
    at, decode = start.end(), json.JSONDecoder().raw_decode
    while True:
        gap = _BETWEEN.match(text, at)
        at = at if gap is None else gap.end()
        if text[at : at + 1] == "]":
            return
        feature, at = decode(text, at)
        yield feature


def _centre(geometry: dict[str, Any]) -> tuple[float, float]:
    """Centre of mass of a polygon or of several, by their outer rings; of the corners where they have no area."""
    import shapely

    kind, rings = geometry.get("type"), geometry.get("coordinates") or []
    if kind not in ("Polygon", "MultiPolygon"):
        raise ValueError(f"an outline is a {kind}")
    outer = [rings[0]] if kind == "Polygon" else [part[0] for part in rings]
    corners = [np.asarray(ring, dtype=np.float64)[:, :2] for ring in outer]
    start = corners[0][0]  # far from the origin the sums would lose digits
    with_area = [xy - start for xy in corners if len(xy) > 2]
    if with_area and all(np.isfinite(xy).all() for xy in corners):
        outline = shapely.multipolygons([shapely.Polygon(xy) for xy in with_area])
        if shapely.area(outline) > 0:
            x, y = shapely.get_coordinates(shapely.centroid(outline))[0] + start
            return float(x), float(y)
    x, y = np.concatenate(corners).mean(0)
    return float(x), float(y)
