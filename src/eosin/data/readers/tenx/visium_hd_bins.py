"""Visium HD by bins: `binned_outputs/square_016um/` (and others), as they are or pooled to wider squares.

`filtered_feature_bc_matrix.h5`, `spatial/tissue_positions.parquet`, `spatial/scalefactors_json.json`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from scipy import sparse

from eosin.data.array_map import array_map
from eosin.data.missing import as_text
from eosin.data.pooling import Pool, square_ids
from eosin.data.readers.tenx import tenx_folder as tenx
from eosin.data.readers.tenx.barcodes import check_filtered
from eosin.data.readers.tenx.samples import find_matrix
from eosin.data.readers.tenx.tenx_matrix import AGAIN, FeatureMatrix, open_matrix, reading
from eosin.data.readers.tenx.visium_hd_folders import positions_file, sizes
from eosin.data.section_parts import left_out
from eosin.errors import EosinError
from eosin.genes.columns import GeneNames, Naming
from eosin.row_blocks import row_blocks
from eosin.types import Footprints

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

DEFAULT_UM = 16.0
_LEAST_AS_IT_IS = 8.0
_ENOUGH = 100_000
"""Bins on which the pitch is measured."""
_MOST_BINS, _WIDEST = 1 << 26, 1 << 16
"""In all, and along one side: an 11 mm square has 30 million bins of 2 µm, 5500 along a side."""
_LEAST_COVER = 0.5


@dataclass(frozen=True)
class Squares:
    """Spots made of bins or cells, or cells themselves.

    Attributes
    ----------
    folder
        Holds the `spatial/` that they belong to.
    ids, px, width_um
        Names; centres [s 2] in pixels of the full-resolution image; width.
    counts, genes
        Counts [s g], and what the genes are called.
    pitch_px
        Distance of the squares by the positions of bins, pixels; NaN where it is not measured.
    footprints
        Areas and outlines of cells, µm.
    """

    folder: Path
    ids: tuple[str, ...]
    px: np.ndarray
    width_um: float
    counts: sparse.csr_matrix
    genes: GeneNames
    notes: tuple[str, ...]
    pitch_px: float = float("nan")
    footprints: Footprints | None = None


@dataclass(frozen=True)
class Bins:
    """All bins of one size on the slide, sorted by barcode as `join` needs them.

    Attributes
    ----------
    barcodes
        [n] bytes.
    array
        [n 2] int32 (column, row).
    px
        [n 2] centres in pixels of the full-resolution image.
    in_tissue
        [n] bool.
    """

    barcodes: np.ndarray
    array: np.ndarray
    px: np.ndarray
    in_tissue: np.ndarray

    def rows_of(self, barcodes: np.ndarray) -> np.ndarray:
        """[b] the bin of each barcode, -1 where there is none."""
        rows = np.empty(len(barcodes), dtype=np.int64)
        for block in row_blocks(len(barcodes), budget=1 << 20):
            place = np.searchsorted(self.barcodes, barcodes[block])
            place[place == len(self.barcodes)] = 0
            rows[block] = np.where(self.barcodes[place] == barcodes[block], place, -1)
        return rows


def squares_of_bins(folder: Path, bin_um: float | None, naming: Naming) -> Squares:
    """The squares of `bin_um`, or of 16 µm: bins of that size, or several of a smaller one together."""
    chosen = choose_bins(folder, bin_um)
    square, side, width_um = chosen.folder, chosen.side, chosen.width_um
    bins = read_bins(positions_file(square))
    file, matrix_notes = find_matrix(square)
    with open_matrix(file, naming) as matrix:
        of_bin, tissue_notes = _join(matrix, bins, file)
        spots = _as_they_are(matrix, bins, of_bin) if side == 1 else _wider(matrix, bins, of_bin, side, width_um)
    ids, px, counts, cover_notes = spots
    width_note = f"squares of {width_um:g} µm" + ("" if side == 1 else f", {side} x {side} bins each")
    notes = (width_note, *matrix_notes, *matrix.notes, *tissue_notes, *cover_notes)
    fitted = array_map(bins.array[:_ENOUGH].astype(np.float64), bins.px[:_ENOUGH], hexagonal=False)
    pitch_px = fitted.pitch * side if fitted is not None and fitted.is_lattice else float("nan")
    return Squares(square, ids, px, width_um, counts, matrix.genes, notes, pitch_px)


@dataclass(frozen=True)
class ChosenBins:
    """Bins to read: their folder, how many lie along a square's side, and the square's width in µm."""

    folder: Path
    side: int
    width_um: float


def choose_bins(folder: Path, bin_um: float | None) -> ChosenBins:
    """The coarsest bins that divide the width `bin_um`; by default 16 µm, or the smallest bins there.

    A folder of bins alone, out of `binned_outputs/`, is read as it is, unless its bins are of 2 µm.

    Raises
    ------
    EosinError
        No bins divide it.
    """
    folders = sizes(folder)
    smallest = float(min(folders))
    alone = len(folders) == 1 and not (folder / "binned_outputs").is_dir()
    if bin_um is None and alone and smallest >= _LEAST_AS_IT_IS:
        bin_um = smallest
    if bin_um is None:
        bin_um = DEFAULT_UM if any(DEFAULT_UM % size == 0 for size in folders) else smallest
    fitting = [size for size in sorted(folders, reverse=True) if bin_um % size == 0]
    if fitting:
        return ChosenBins(folders[fitting[0]], round(bin_um / fitting[0]), bin_um)
    coarse = max(folders)
    near = sorted({max(1, int(bin_um // size)) * size for size in folders} | {int(bin_um // coarse + 1) * coarse})
    listed = ", ".join(f"{size}" for size in sorted(folders))
    fix = f"give --bin-um {' or '.join(map(str, near))}"
    raise EosinError(f"squares of {bin_um:g} µm are not whole bins of {listed} µm", file=folder, fix=fix)


def read_bins(file: Path) -> Bins:
    """Read `tissue_positions.parquet`, piece by piece (bins of 2 µm are ten million), or a table of text made of it.

    Raises
    ------
    EosinError
        The file is missing, cut short, or lacks a column; a number is none; a barcode occurs twice.
    """
    import pyarrow.parquet as pq

    if not file.is_file():
        raise EosinError("no such file", file=file, fix="copy all of Space Ranger's binned_outputs/")
    if not file.name.endswith(".parquet"):
        frame = tenx.read_positions(file)
        names = np.array([name.encode() for name in frame["barcode"]], dtype="S")
        return _bins(names, *(frame[name].to_numpy(np.float64) for name in tenx.COLUMNS[1:]), file=file)
    with reading(file, "a table of positions"), pq.ParquetFile(file) as table:
        missing = [column for column in tenx.COLUMNS if column not in table.schema_arrow.names]
        if missing:
            listed = ", ".join(table.schema_arrow.names[:8])
            raise EosinError(f"has no column '{missing[0]}'", file=file, fix=f"its columns are {listed}")
        if not 0 < table.metadata.num_rows <= _MOST_BINS:
            raise EosinError(f"declares {table.metadata.num_rows} bins", file=file, fix=AGAIN)
        columns = [_column(table, name) for name in tenx.COLUMNS]
    return _bins(*columns, file=file)


def _bins(
    barcodes: np.ndarray,
    in_tissue: np.ndarray,
    row: np.ndarray,
    column: np.ndarray,
    y_px: np.ndarray,
    x_px: np.ndarray,
    *,
    file: Path,
) -> Bins:
    """The bins of a table by its columns [n] in the order of `COLUMNS`."""
    for numbers in (in_tissue, row, column, y_px, x_px):
        if not np.isfinite(numbers).all():
            odd = int(np.flatnonzero(~np.isfinite(numbers))[0])
            raise EosinError(f"bin '{as_text(barcodes[odd])}' has no finite position", file=file, fix=AGAIN)
    if min(row.min(), column.min()) < 0 or max(row.max(), column.max()) >= _WIDEST:
        raise EosinError("an array position is outside of any slide", file=file, fix=AGAIN)
    array, px = np.stack([column.astype(np.int32), row.astype(np.int32)], 1), np.stack([x_px, y_px], 1)
    in_tissue = in_tissue == 1
    if not np.all(barcodes[1:] > barcodes[:-1]):  # Space Ranger writes them in order
        order = np.argsort(barcodes, kind="stable")
        barcodes, array, px, in_tissue = barcodes[order], array[order], px[order], in_tissue[order]
        if np.any(barcodes[1:] == barcodes[:-1]):
            raise EosinError("a barcode occurs twice", file=file, fix=AGAIN)
    return Bins(barcodes, array, px, in_tissue)


def _column(table: pq.ParquetFile, name: str) -> np.ndarray:
    """A column [n]: bytes of barcodes, else float64. One at a time: a table at once takes three times the memory."""
    pieces = [batch.column(0) for batch in table.iter_batches(1 << 17, columns=[name])]
    return np.concatenate([_names(piece) if name == tenx.COLUMNS[0] else _numbers(piece) for piece in pieces])


def _numbers(column: pa.Array) -> np.ndarray:
    return column.to_numpy(zero_copy_only=False).astype(np.float64)


def _names(column: pa.Array) -> np.ndarray:
    """Texts as bytes [n]; those of one length, as barcodes are, without an object for each."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if not column.null_count and (pa.types.is_string(column.type) or pa.types.is_binary(column.type)) and len(column):
        length = pc.min_max(pc.binary_length(column))
        first, last = length["min"].as_py(), length["max"].as_py()
        if first == last > 0:
            data, begin = column.buffers()[2], np.frombuffer(column.buffers()[1], np.int32)[column.offset]
            return np.frombuffer(data, f"S{first}", count=len(column), offset=int(begin))
    return np.array([str(name).encode() for name in column.to_pylist()], dtype="S")


def _join(matrix: FeatureMatrix, bins: Bins, file: Path) -> tuple[np.ndarray, list[str]]:
    """[b] the bin in tissue of each row of the matrix, -1 for the rest; and a note on these."""
    place = bins.rows_of(matrix.barcodes)
    if not (place >= 0).any():
        fix = "pair matrix and spatial/ of one sample and one bin size"
        raise EosinError("no barcode of the matrix is among the positions", file=file, fix=fix)
    on = (place >= 0) & bins.in_tissue[place]
    if not on.any():
        raise EosinError("no bin with counts is in tissue", file=file, fix="detect tissue in Space Ranger again")
    check_filtered(place, bins.in_tissue, file)
    place = np.where(on, place, -1)
    return place, left_out(int((place < 0).sum()), len(place), "rows of counts are not in tissue")


def _as_they_are(
    matrix: FeatureMatrix, bins: Bins, of_bin: np.ndarray
) -> tuple[tuple[str, ...], np.ndarray, sparse.csr_matrix, list[str]]:
    """Ids, centres [s 2] in pixels and counts of single bins in tissue."""
    rows = np.flatnonzero(of_bin >= 0)
    place = of_bin[rows]
    return tuple(as_text(barcode) for barcode in bins.barcodes[place]), bins.px[place], matrix.rows(rows), []


def _wider(
    matrix: FeatureMatrix, bins: Bins, of_bin: np.ndarray, side: int, width_um: float
) -> tuple[tuple[str, ...], np.ndarray, sparse.csr_matrix, list[str]]:
    """Ids, centres [s 2] in pixels and counts of squares of side x side bins, along the array.

    A square that tissue covers less than half is left out: its counts are low for no reason of biology.
    """
    pool, squares = Pool(), bins.array // side
    for first, block in matrix.blocks():
        place = of_bin[first : first + len(block.indptr) - 1]
        kept = np.flatnonzero(place >= 0)
        pool.add_rows(squares[place[kept]], block if len(kept) == len(place) else block[kept])
    filled, counts = pool.finish(len(matrix.genes))
    px, covered = _centres(bins, squares, filled, side)
    kept = np.flatnonzero(covered >= _LEAST_COVER)
    notes = left_out(len(filled) - len(kept), len(filled), "squares are less than half in tissue")
    return square_ids(filled[kept], width_um), px[kept], sparse.csr_matrix(counts[kept]), notes


def _centres(bins: Bins, squares: np.ndarray, filled: np.ndarray, side: int) -> tuple[np.ndarray, np.ndarray]:
    """Centre in pixels [s 2] of each filled square, of all its bins, and the share of it that is in tissue [s].

    `squares` [n 2] is the square (column, row) of every bin, `filled` [s 2] those that hold counts.
    """
    low = squares.min(0)
    span = int(squares[:, 0].max() - low[0]) + 1
    key = (squares[:, 1] - low[1]).astype(np.int64) * span + squares[:, 0] - low[0]
    names, place = np.unique(key, return_inverse=True)
    n_bins = np.bincount(place)
    px = np.stack([np.bincount(place, weights=bins.px[:, axis]) / n_bins for axis in (0, 1)], 1)
    covered = np.bincount(place, weights=bins.in_tissue) / side**2
    rows = np.searchsorted(names, (filled[:, 1] - low[1]) * span + filled[:, 0] - low[0])
    return px[rows], covered[rows]
