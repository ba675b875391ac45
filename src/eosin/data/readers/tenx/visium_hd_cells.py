"""Visium HD by cells: `segmented_outputs/` of Space Ranger 4, as units or pooled to squares.

`filtered_feature_cell_matrix.h5` names a cell `cellid_000000001-1` that the outlines number 1.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from eosin.data.pooling import Pool, centres_um, square_ids, squares_at
from eosin.data.reader import blame
from eosin.data.readers.tenx.cell_units import cell_units
from eosin.data.readers.tenx.samples import find_matrix
from eosin.data.readers.tenx.tenx_matrix import open_matrix
from eosin.data.readers.tenx.visium_hd_bins import Squares
from eosin.data.readers.tenx.visium_hd_outlines import DrawnCells, number_of, read_outlines
from eosin.data.section_parts import left_out
from eosin.errors import EosinError
from eosin.genes.columns import Naming
from eosin.types import Outlines

DEFAULT_UM = 100.0
_OUTLINES = ("cell_segmentations.geojson", "graphclust_annotated_cell_segmentations.geojson")


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
    outlines, pool = _outlines_file(folder), Pool()
    cells = read_outlines(outlines)
    file, matrix_notes = find_matrix(folder, "cell")
    with open_matrix(file, naming) as matrix:
        row = _rows_of(matrix.barcodes, cells, file)
        drawn = row >= 0
        squares = np.zeros((len(drawn), 2), dtype=np.int64)
        with blame(outlines):
            squares[drawn] = squares_at(cells.centres_px[row[drawn]] * mpp, width_um)
        for first, block in matrix.blocks():
            kept = np.flatnonzero(drawn[first : first + len(block.indptr) - 1])
            pool.add_rows(squares[first + kept], block[kept])
        filled, counts = pool.finish(len(matrix.genes))
    notes = [f"cells pooled to squares of {width_um:g} µm by their centres; what lies outside of cells is not counted"]
    notes += left_out(int((~drawn).sum()), len(drawn), "cells have no outline")
    px = centres_um(filled, width_um) / mpp
    notes += [*matrix_notes, *matrix.notes]
    return Squares(folder, square_ids(filled, width_um), px, width_um, counts, matrix.genes, tuple(notes))


def units_of_cells(folder: Path, mpp: float, naming: Naming) -> Squares:
    """Every cell as a unit, with its area and outline; parameters and errors as `squares_of_cells`."""
    outlines = _outlines_file(folder)
    cells = read_outlines(outlines)
    file, matrix_notes = find_matrix(folder, "cell")
    with open_matrix(file, naming) as matrix:
        row = _rows_of(matrix.barcodes, cells, file)
        drawn = np.flatnonzero(row >= 0)
        lines_px, n_several = cells.largest(row[drawn])
        with blame(outlines):
            lines_um = Outlines(lines_px.corners_um * np.float32(mpp), lines_px.starts)
            units = cell_units(cells.centres_px[row[drawn]] * mpp, None, lines_um, outlines)
        del cells, lines_px
        kept = drawn[units.rows]
        counts = matrix.rows(kept)
        ids = tuple(name.decode("utf-8", "replace") for name in matrix.barcodes[kept].tolist())
    notes = ["cells are the units; what lies outside of cells is not counted"]
    notes += left_out(len(row) - len(drawn), len(row), "cells have no outline")
    if n_several:
        notes.append(f"{n_several} cells have several outlines, of which the largest is kept")
    notes += [*units.notes, *matrix_notes, *matrix.notes]
    px, footprints = units.xy_um / mpp, units.footprints
    return Squares(folder, ids, px, units.width_um, counts, matrix.genes, tuple(notes), footprints=footprints)


def _outlines_file(folder: Path) -> Path:
    file = next((file for name in _OUTLINES if (file := folder / name).is_file()), None)
    if file is None:
        fix = "copy all of Space Ranger's segmented_outputs/"
        raise EosinError("no cell_segmentations.geojson", file=folder, fix=fix)
    return file


def _rows_of(barcodes: np.ndarray, cells: DrawnCells, file: Path) -> np.ndarray:
    """[b] the outline of each cell of the matrix, -1 where it has none."""
    numbers = [number_of(barcode.decode("utf-8", "replace")) for barcode in barcodes.tolist()]
    wanted = np.array([-1 if number is None else number for number in numbers], dtype=np.int64)
    order = np.argsort(cells.number)
    place = np.searchsorted(cells.number[order], wanted).clip(max=len(order) - 1)
    rows = np.where(cells.number[order][place] == wanted, order[place], -1)
    if not (rows >= 0).any():
        example = f"'{barcodes[0].decode('utf-8', 'replace')}'" if len(barcodes) else "none"
        problem = f"no cell of the matrix ({example}) has an outline"
        raise EosinError(problem, file=file, fix="pair matrix and outlines of one sample")
    return rows
