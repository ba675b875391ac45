"""Xenium by cells: `cell_feature_matrix.h5`, `cells.parquet` (or `.csv.gz`) and `cell_boundaries.parquet`.

Cells are named by the same id in all three: texts in files of today, bytes or numbers in early ones.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from eosin.data.cell_outlines import Rings
from eosin.data.reader import blame
from eosin.data.readers.tenx.arrow_columns import coded, numbers
from eosin.data.readers.tenx.cell_units import cell_units, without_outlines
from eosin.data.readers.tenx.tenx_matrix import AGAIN, open_matrix, reading
from eosin.data.readers.tenx.xenium_extent import Extent, check_extent
from eosin.data.readers.tenx.xenium_frame import Frame
from eosin.data.readers.tenx.xenium_units import Measured, Units, by_name, no_table
from eosin.errors import EosinError
from eosin.genes.columns import Naming
from eosin.storage.delimited import check_cells
from eosin.types import Outlines

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

_COLUMNS = ("cell_id", "x_centroid", "y_centroid")
_CORNERS = ("cell_id", "vertex_x", "vertex_y")
_PART, _TOTAL = "label_id", "transcript_counts"
_APART, _MOST_APART, _OTHER = 0.05, 0.1, 0.5
"""How far totals of a cell may differ, for how many cells, and for how many where the tables are of two regions."""
_PIECE = 1 << 20
_FEWEST = 20
_COMPARED, _SAME, _APART_UM = 2000, 0.99, 1.0
"""Cells of a second table that are looked at, the share that must be alike, and how far they may lie apart."""
_PAIR = "pair the files of one region"


@dataclass(frozen=True)
class CellTable:
    """The table of cells in the order of the matrix.

    Attributes
    ----------
    file
        The table.
    xy_um
        [b 2] centres, Xenium's µm.
    area_um2
        [b], as the table tells; None where it does not.
    n_others
        Cells of the table that the matrix does not have.
    n_transcripts
        [b] transcripts of genes in each cell, as the table tells; None where it does not.
    """

    file: Path
    xy_um: np.ndarray
    area_um2: np.ndarray | None
    n_others: int
    n_transcripts: np.ndarray | None = None


class WholeCells(Units):
    """Every cell is a unit: its molecules lie within its outline, whatever the encoder sees around it."""

    def read(self, folder: Path, frame: Frame, naming: Naming) -> Measured:
        """All cells that have a place, with areas and, where `cell_boundaries` is there, outlines."""
        source = cell_matrix(folder)
        if source is None:
            fix = "copy it with cells.parquet, or leave out --unit cells"
            raise no_table(folder, "no cell_feature_matrix.h5", fix)
        with open_matrix(source, naming) as matrix:
            table = read_cells(folder, matrix.barcodes)
            outlines, outline_notes = _read_outlines(folder, matrix.barcodes, frame)
            placed = frame.place(table.xy_um)
            with blame(table.file):
                cells = cell_units(placed, table.area_um2, outlines, table.file)
            counts = matrix.rows(cells.rows)
            odd = check_totals(table, np.asarray(counts.sum(1, dtype=np.float64)).ravel(), cells.rows)
            ids = tuple(name.decode("utf-8", "replace") for name in matrix.barcodes[cells.rows].tolist())
        counts, genes = by_name(counts, matrix.genes)
        notes = ["cells are the units; transcripts outside of cells are not counted", *matrix.notes, *odd]
        if table.n_others:
            notes.append(f"{table.n_others} cells of {table.file.name} are not in the matrix")
        if outlines is not None:
            outline_notes += without_outlines(outlines, cells.rows)
        notes += [*cells.notes, *outline_notes]
        return Measured(source, ids, cells.xy_um, cells.width_um, counts, genes, tuple(notes), cells.footprints)


def cell_matrix(folder: Path) -> Path | None:
    """The matrix of cells, where there is one."""
    places = folder / "cell_feature_matrix.h5", folder / "cell_feature_matrix"
    return next((place for place in places if place.exists()), None)


def cell_files(folder: Path) -> Iterator[Path]:
    """Tables of cells, Parquet first."""
    return _tables(folder, "cells")


def _tables(folder: Path, name: str) -> Iterator[Path]:
    return (file for end in ("parquet", "csv.gz", "csv") if (file := folder / f"{name}.{end}").is_file())


def read_cells(folder: Path, barcodes: np.ndarray) -> CellTable:
    """The table of cells, in the order of the matrix's names [b].

    Raises
    ------
    EosinError
        There is none, it lacks a column, names a cell twice, lacks one of the matrix, or has them in other units.
    """
    import pandas as pd

    file = next(cell_files(folder), None)
    if file is None:
        raise EosinError("no cells.parquet beside the matrix", file=folder, fix="copy it, or transcripts.parquet")
    with reading(file, "a table of cells"):
        table = pd.read_parquet(file) if file.suffix == ".parquet" else check_cells(pd.read_csv(file), file)
        _need(_COLUMNS, list(map(str, table.columns)), file)
        ids = pd.Index([_id(cell) for cell in table["cell_id"]])
        xy_um = table[list(_COLUMNS[1:])].to_numpy(np.float64)
        area = table["cell_area"].to_numpy(np.float64) if "cell_area" in table else None
        totals = table[_TOTAL].to_numpy(np.float64) if _TOTAL in table else None
    if not ids.is_unique:
        raise EosinError("a cell_id occurs twice", file=file, fix=AGAIN)
    _check_same_places(folder, file, ids, xy_um)
    rows = ids.get_indexer(pd.Index(barcodes.tolist()))
    if (rows < 0).any():
        missing = barcodes[int(np.argmin(rows))].decode("utf-8", "replace")
        raise EosinError(f"has no cell '{missing}' of the matrix", file=file, fix=_PAIR)
    chosen = [None if column is None else column[rows] for column in (area, totals)]
    cells = CellTable(file, xy_um[rows], chosen[0], len(ids) - len(rows), chosen[1])
    check_extent(file, Extent.of(cells.xy_um), "cells")
    return cells


def check_totals(table: CellTable, own: np.ndarray, rows: np.ndarray | slice = slice(None)) -> list[str]:
    """A note where cells hold other numbers of transcripts than the table says; cells are numbered alike everywhere.

    Parameters
    ----------
    table
        The table of cells.
    own
        [c] what the matrix holds for the cells `rows` of the table.

    Raises
    ------
    EosinError
        Most cells do, and not in proportion: matrix and table are of two regions.
    """
    if table.n_transcripts is None or len(own) < _FEWEST:
        return []
    told = table.n_transcripts[rows]
    apart = ~(np.abs(own - told) <= np.maximum(1.0, _APART * told))
    if np.mean(apart) <= _MOST_APART:
        return []
    problem = f"{_TOTAL} differ from the matrix for {int(apart.sum())} of {len(own)} cells"
    together = np.corrcoef(own, np.nan_to_num(told))[0, 1] if np.ptp(own) > 0 and np.ptp(told) > 0 else 1.0
    if np.mean(apart) > _OTHER and together < _OTHER:
        raise EosinError(problem, file=table.file, fix=_PAIR)
    return [f"{problem}: is it of another panel or segmentation?"]


def _check_same_places(folder: Path, file: Path, ids: pd.Index, xy_um: np.ndarray) -> None:
    """Refuse tables of cells that put the same cells elsewhere: one is of another segmentation, or of another region.

    Told by the first cells of each other table.
    """
    import pandas as pd

    for other in (table for table in cell_files(folder) if table != file):
        with reading(other, "a table of cells"):
            if other.suffix == ".parquet":
                table = pd.read_parquet(other).head(_COMPARED)
            else:
                table = pd.read_csv(other, nrows=_COMPARED)
            _need(_COLUMNS, list(map(str, table.columns)), other)
            at = ids.get_indexer(pd.Index([_id(cell) for cell in table["cell_id"]]))
            apart = np.abs(table[list(_COLUMNS[1:])].to_numpy(np.float64)[at >= 0] - xy_um[at[at >= 0]]).max(1)
        if len(at) and np.mean(at >= 0) < _SAME:
            problem = f"names other cells than {other.name} beside it"
        elif len(apart) and np.mean(apart > _APART_UM) > 1 - _SAME:
            problem = f"and {other.name} put the same cells up to {np.nanmax(apart):.3g} µm apart"
        else:
            continue
        raise EosinError(problem, file=file, fix="keep the table that is of the matrix, and take the other one away")


def _id(cell: Any) -> bytes:
    return cell if isinstance(cell, bytes) else str(cell).encode()


def _need(wanted: tuple[str, ...], columns: list[str], file: Path) -> None:
    missing = [column for column in wanted if column not in columns]
    if missing:
        raise EosinError(f"has no column '{missing[0]}'", file=file, fix=f"its columns are {', '.join(columns[:8])}")


def _read_outlines(folder: Path, barcodes: np.ndarray, frame: Frame) -> tuple[Outlines | None, list[str]]:
    """The outline of each cell of the matrix in the frame of the H&E image; and notes."""
    file = next(_tables(folder, "cell_boundaries"), None)
    if file is None:
        return None, ["no cell_boundaries.parquet: cells have no outlines"]
    with blame(file):
        rings = _read_rings(file, barcodes, frame)
        outlines, n_several = rings.largest(len(barcodes))
    return outlines, [f"{n_several} cells have several outlines, of which the largest is kept"] if n_several else []


def _read_rings(file: Path, barcodes: np.ndarray, frame: Frame) -> Rings:
    """The rings of the matrix's cells, piece by piece."""
    import pandas as pd

    index, owners, corners, parts = pd.Index(barcodes.tolist()), [], [], []
    other = b"none"
    batches = _parquet(file) if file.suffix == ".parquet" else _csv(file)
    while True:
        with reading(file, "outlines of cells"):
            batch = next(batches, None)
            if batch is None:
                break
            codes, cells = coded(batch.column("cell_id"), "a corner has no cell_id")
            names = list(map(_id, cells))
            place = index.get_indexer(pd.Index(names)) if names else np.zeros(0, dtype=np.int64)
            owners.append(place[codes].astype(np.int32))
            xy = np.stack([numbers(batch, column) for column in _CORNERS[1:]], 1)
            corners.append(frame.place(xy).astype(np.float32))
            if _PART in batch.schema.names:
                parts.append(numbers(batch, _PART))
            other = names[0] if names and other == b"none" else other
    if not any((owner >= 0).any() for owner in owners):
        problem = f"has no outline of a cell of the matrix: its first cell is '{other.decode('utf-8', 'replace')}'"
        raise EosinError(problem, fix=_PAIR)
    part = np.concatenate(parts) if len(parts) == len(owners) else None
    return Rings.of_corners(np.concatenate(corners), np.concatenate(owners), part)


def _parquet(file: Path) -> Iterator[pa.RecordBatch]:
    import pyarrow.parquet as pq

    with pq.ParquetFile(file) as table:
        names = table.schema_arrow.names
        _need(_CORNERS, names, file)
        yield from table.iter_batches(_PIECE, columns=[*_CORNERS, *([_PART] if _PART in names else [])])


def _csv(file: Path) -> Iterator[pa.RecordBatch]:
    import pyarrow as pa
    from pyarrow import csv

    types = {"cell_id": pa.string(), "vertex_x": pa.float64(), "vertex_y": pa.float64()}
    with pa.input_stream(str(file), compression="gzip" if file.suffix == ".gz" else None) as stream:
        with csv.open_csv(stream, convert_options=csv.ConvertOptions(column_types=types)) as table:
            _need(_CORNERS, table.schema.names, file)
            yield from table
