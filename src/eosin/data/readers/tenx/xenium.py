"""Reader of Xenium: transcripts pooled to square pseudo-spots, or cells; on the H&E image where one was aligned.

`transcripts.parquet` or `.csv.gz`, else `cell_feature_matrix.h5` with `cells.parquet` or `.csv.gz`; positions are µm.
"""

from __future__ import annotations

from pathlib import Path

from eosin.data.pooling import check_width
from eosin.data.reader import READERS
from eosin.data.readers.tenx import tenx_folder as tenx
from eosin.data.readers.tenx.samples import Sample
from eosin.data.readers.tenx.xenium_cells import WholeCells, cell_files, cell_matrix
from eosin.data.readers.tenx.xenium_frame import read_frame
from eosin.data.readers.tenx.xenium_squares import SquaresOf
from eosin.data.readers.tenx.xenium_units import UNREAD, Units
from eosin.data.section_parts import SectionParts
from eosin.types import Image, check_mpp


class Xenium(tenx.TenxReader):
    """Xenium's outputs of one region, or a folder of several; pseudo-spots of 100 µm unless told otherwise."""

    name = "xenium"
    platform = "Xenium"
    looks_for = "[{section}/][outs/]transcripts.parquet, or cell_feature_matrix.h5 with cells.parquet"

    evidence = "Xenium outputs with transcripts or cells"

    def __init__(self, units: Units | None = None):
        self.units = SquaresOf() if units is None else units

    def pooled(self, bin_um: float) -> Xenium:
        """The reader of squares of `bin_um` µm."""
        return Xenium(SquaresOf(check_width(bin_um)))

    def in_cells(self) -> Xenium:
        """The reader of cells."""
        return Xenium(WholeCells())

    def samples_in(self, folder: Path) -> dict[str, Sample]:
        """The one sample of a folder that holds transcripts, or a matrix of cells with their positions."""
        names = ("experiment.xenium", "transcripts.parquet", "transcripts.csv.gz", "transcripts.csv", *UNREAD)
        has_cells = cell_matrix(folder) is not None and any(cell_files(folder))
        return {"": Sample(folder)} if has_cells or any((folder / name).is_file() for name in names) else {}

    def read_outputs(self, sample: Sample, name: str, mpp: float | None) -> SectionParts:
        """Squares, or cells."""
        folder = sample.folder
        frame, frame_notes = read_frame(folder)
        scale = frame.mpp if mpp is None else check_mpp(mpp, folder)
        if mpp is not None and frame.image is not None:
            frame_notes.append(f"{mpp:g} µm/px as given, the alignment says {frame.mpp:.4g}")
        measured = self.units.read(folder, frame, self.naming)
        wider = scale / frame.mpp if frame.image else 1.0  # the units grow with the distances between them
        footprints = measured.footprints
        return SectionParts(
            measured.file,
            name,
            measured.xy_um * wider,
            measured.width_um * wider,
            measured.ids,
            measured.counts,
            measured.genes,
            image=frame.image and Image(frame.image, scale),
            platform=self.platform,
            notes=[*measured.notes, *frame_notes],
            footprints=footprints if footprints is None or wider == 1 else footprints.scaled(wider),
        )


READERS.add(Xenium.name, Xenium())
