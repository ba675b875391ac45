"""Xenium's table of transcripts, read piece by piece: a region has up to a few hundred million."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from eosin.data.gene_features import is_control
from eosin.data.readers.tenx.arrow_columns import coded, numbers
from eosin.data.readers.tenx.tenx_matrix import AGAIN, reading
from eosin.data.readers.tenx.xenium_extent import Extent
from eosin.data.section_parts import left_out
from eosin.errors import EosinError

if TYPE_CHECKING:
    import pyarrow as pa

LEAST_QV = 20.0
"""Phred-scaled quality below which a call is not trusted; Xenium's own matrix of cells uses the same."""
_COLUMNS = ("feature_name", "x_location", "y_location", "qv")
_IS_GENE = "is_gene"
_PIECE = 1 << 20


def find_transcripts(folder: Path) -> Path | None:
    """The table of transcripts, Parquet first."""
    names = ("transcripts.parquet", "transcripts.csv.gz", "transcripts.csv")
    return next((file for name in names if (file := folder / name).is_file()), None)


class Transcripts:
    """A pass over the table; `genes`, `notes` and `extent` are complete when `pieces` is through.

    `pieces` raises an `EosinError` where the file is cut short, lacks a column or holds something other than numbers.
    Genes that were seen only below the quality stay in the list, so that sections of one panel have the same genes.
    """

    def __init__(self, file: Path):
        self.file = file
        self._number: dict[str, int] = {}
        self._n, self._n_low, self._n_control = 0, 0, 0
        self.extent = Extent.of(np.empty((0, 2)))

    @property
    def genes(self) -> tuple[str, ...]:
        """Names by number, in the order in which they were met."""
        return tuple(self._number)

    @property
    def notes(self) -> list[str]:
        """What was left out, one line each."""
        low = left_out(self._n_low, self._n, f"transcripts are below quality {LEAST_QV:g}")
        return low + left_out(self._n_control, self._n, "transcripts are of control probes")

    def pieces(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Positions [m 2] in µm and gene numbers [m] of the transcripts that count."""
        batches = _parquet(self.file) if self.file.suffix == ".parquet" else _csv(self.file)
        while True:
            with reading(self.file, "a table of transcripts"):
                batch = next(batches, None)
                if batch is None:
                    break
                piece = self._piece(batch)
            yield piece
        if not self._n:
            raise EosinError("holds no transcripts", file=self.file, fix=AGAIN)

    def _piece(self, batch: pa.RecordBatch) -> tuple[np.ndarray, np.ndarray]:
        xy_um = np.stack([numbers(batch, column) for column in ("x_location", "y_location")], 1)
        codes, texts = coded(batch.column("feature_name"), "a transcript has no feature_name")
        names = [name.decode("utf-8") if isinstance(name, bytes) else str(name) for name in texts]  # early files: bytes
        control = np.array([is_control(name) for name in names], dtype=bool)[codes]
        if _IS_GENE in batch.schema.names:
            control |= ~batch.column(_IS_GENE).to_numpy(zero_copy_only=False).astype(bool)
        low = ~(numbers(batch, "qv") >= LEAST_QV)
        seen = np.unique(codes[~control])
        of_name = np.full(len(names), -1, dtype=np.int64)
        for code in seen:
            of_name[code] = self._number.setdefault(names[code], len(self._number))
        self._n += len(codes)
        self._n_control += int(control.sum())
        self._n_low += int((low & ~control).sum())
        kept = ~(control | low)
        self.extent |= Extent.of(xy_um)
        return xy_um[kept], of_name[codes[kept]]


def _parquet(file: Path) -> Iterator[pa.RecordBatch]:
    import pyarrow.parquet as pq

    with pq.ParquetFile(file) as table:
        wanted = _wanted(table.schema_arrow.names, file)
        yield from table.iter_batches(_PIECE, columns=wanted)


def _csv(file: Path) -> Iterator[pa.RecordBatch]:
    import pyarrow as pa
    from pyarrow import csv

    compression = "gzip" if file.suffix == ".gz" else None
    types = {"feature_name": pa.string(), _IS_GENE: pa.bool_(), **{column: pa.float64() for column in _COLUMNS[1:]}}
    with pa.input_stream(str(file), compression=compression) as stream:
        with csv.open_csv(stream, convert_options=csv.ConvertOptions(column_types=types)) as table:
            _wanted(table.schema.names, file)
            yield from table


def _wanted(names: list[str], file: Path) -> list[str]:
    missing = [column for column in _COLUMNS if column not in names]
    if missing:
        fix = f"its columns are {', '.join(names[:9])}"
        raise EosinError(f"has no column '{missing[0]}'", file=file, fix=fix)
    return [*_COLUMNS, *([_IS_GENE] if _IS_GENE in names else [])]
