"""Xenium by squares: transcripts counted where they lie, or whole cells where there is no table of transcripts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from eosin.data.pooling import Pool, centres_um, square_ids, squares_at
from eosin.data.reader import blame
from eosin.data.readers.tenx.tenx_matrix import open_matrix
from eosin.data.readers.tenx.xenium_cells import cell_files, cell_matrix, check_totals, read_cells
from eosin.data.readers.tenx.xenium_extent import check_extent
from eosin.data.readers.tenx.xenium_frame import Frame
from eosin.data.readers.tenx.xenium_genes import ids_of_genes
from eosin.data.readers.tenx.xenium_transcripts import Transcripts, find_transcripts
from eosin.data.readers.tenx.xenium_units import Measured, Units, by_name, no_table
from eosin.genes.columns import GeneNames, Naming

DEFAULT_UM = 100.0


@dataclass(frozen=True)
class SquaresOf(Units):
    """Squares of `width_um` µm along the axes of the H&E image."""

    width_um: float = DEFAULT_UM

    def read(self, folder: Path, frame: Frame, naming: Naming) -> Measured:
        """Squares of transcripts, or of cells where there is no table of transcripts."""
        source = find_transcripts(folder) or cell_matrix(folder)
        if source is None:
            fix = "copy transcripts.parquet, or cell_feature_matrix.h5 with cells.parquet"
            raise no_table(folder, "no transcripts.parquet", fix)
        with blame(source):
            pooled = self._pool_cells if source == cell_matrix(folder) else self._pool_transcripts
            pool, given, notes = pooled(source, frame, naming)
            squares, counts = pool.finish(len(given))
            counts, genes, added_up = naming.counts(counts, given)
        counts, genes = by_name(counts, genes)
        notes = (f"pooled to squares of {self.width_um:g} µm", *notes, *added_up)
        ids, centres = square_ids(squares, self.width_um), centres_um(squares, self.width_um)
        return Measured(source, ids, centres, self.width_um, counts, genes, notes)

    def _pool_transcripts(self, source: Path, frame: Frame, naming: Naming) -> tuple[Pool, GeneNames, list[str]]:
        pool, transcripts = Pool(), Transcripts(source)
        for xy_um, genes in transcripts.pieces():
            pool.add(squares_at(frame.place(xy_um), self.width_um), genes)
        odd = check_extent(source, transcripts.extent, "transcripts", next(cell_files(source.parent), None))
        ids, unread = ids_of_genes(source.parent, cell_matrix(source.parent))
        genes = GeneNames(transcripts.genes, tuple(ids.get(name, "") for name in transcripts.genes))
        return pool, genes, [*transcripts.notes, *odd, *unread]

    def _pool_cells(self, source: Path, frame: Frame, naming: Naming) -> tuple[Pool, GeneNames, list[str]]:
        pool = Pool()
        with open_matrix(source, naming) as matrix:
            table = read_cells(source.parent, matrix.barcodes)
            xy_um = table.xy_um
            squares = squares_at(frame.place(xy_um), self.width_um)
            totals = np.zeros(len(xy_um))
            for first, block in matrix.blocks():
                totals[first : first + len(block.indptr) - 1] = np.asarray(block.sum(1, dtype=np.float64)).ravel()
                pool.add_rows(squares[first : first + len(block.indptr) - 1], block)
        note = f"{len(xy_um)} cells were pooled whole, by their centres; transcripts outside of cells are not counted"
        return pool, matrix.genes, [*matrix.notes, note, *check_totals(table, totals)]
