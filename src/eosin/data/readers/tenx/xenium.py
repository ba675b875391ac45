"""Reader of Xenium: transcripts (or cells) pooled to square pseudo-spots, on the H&E image where one was aligned.

`transcripts.parquet` or `.csv.gz`, else `cell_feature_matrix.h5` with `cells.parquet` or `.csv.gz`; positions are µm.
`*he_image*.tif` with `*he_imagealignment.csv` (or as Xenium Explorer calls it), whose matrix maps pixels of the H&E
image to pixels of the morphology image.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse

from eosin.data.pooling import Pool, centres_um, check_width, square_ids, squares_at
from eosin.data.reader import READERS, blame
from eosin.data.readers.tenx import tenx_folder as tenx
from eosin.data.readers.tenx.samples import Sample
from eosin.data.readers.tenx.tenx_matrix import AGAIN, open_matrix, reading
from eosin.data.readers.tenx.xenium_genes import ids_of_genes
from eosin.data.readers.tenx.xenium_transcripts import Transcripts, find_transcripts
from eosin.data.section_parts import SectionParts
from eosin.errors import EosinError
from eosin.genes.columns import GeneNames
from eosin.storage.files import read_json
from eosin.types import Image, check_mpp

DEFAULT_UM = 100.0
PIXEL_UM = 0.2125
"""Pixels of the morphology image, where `experiment.xenium` does not say."""
_STRETCH = 0.02
_ALIGNMENT = re.compile(r"(he_?image|he)_?(alignment|matrix)\.csv$", re.IGNORECASE)
"""10x serves `*he_imagealignment.csv`; Xenium Explorer exports `*_he_image_matrix.csv`, or a folder of `matrix.csv`."""
_UNREAD = "transcripts.zarr.zip"
"""Recognised, so that one line can say what to copy instead."""


@dataclass(frozen=True)
class Frame:
    """The section's coordinates: µm along the axes of the H&E image, or Xenium's own where there is none.

    Attributes
    ----------
    turn, shift
        Xenium's µm [m 2] to those of the section: `xy @ turn.T + shift`.
    image, mpp
        The H&E image and its µm per pixel by the alignment.
    """

    turn: np.ndarray
    shift: np.ndarray
    image: Path | None = None
    mpp: float = 1.0

    def place(self, xy_um: np.ndarray) -> np.ndarray:
        """Positions [m 2] of Xenium's µm in the section's coordinates."""
        x, y = np.asarray(xy_um, dtype=np.float64).T  # by axis: a product of [m 2] with 2 x 2 takes ten times as long
        return np.stack([a * x + b * y + c for (a, b), c in zip(self.turn, self.shift)], 1)


class Xenium(tenx.TenxReader):
    """Xenium's outputs of one region, or a folder of several; pseudo-spots of 100 µm unless told otherwise."""

    name = "xenium"
    platform = "Xenium"
    looks_for = "[{section}/][outs/]transcripts.parquet, or cell_feature_matrix.h5 with cells.parquet"

    evidence = "Xenium outputs with transcripts or cells"

    def __init__(self, bin_um: float = DEFAULT_UM):
        self.bin_um = bin_um

    def pooled(self, bin_um: float) -> Xenium:
        """The reader of squares of `bin_um` µm."""
        return Xenium(check_width(bin_um))

    def samples_in(self, folder: Path) -> dict[str, Sample]:
        """The one sample of a folder that holds transcripts, or a matrix of cells with their positions."""
        names = ("experiment.xenium", "transcripts.parquet", "transcripts.csv.gz", "transcripts.csv", _UNREAD)
        has_cells = _cell_matrix(folder) is not None and any(_cell_files(folder))
        return {"": Sample(folder)} if has_cells or any((folder / name).is_file() for name in names) else {}

    def read_outputs(self, sample: Sample, name: str, mpp: float | None) -> SectionParts:
        """Squares of transcripts, or of cells where there is no table of transcripts."""
        folder = sample.folder
        frame, frame_notes = read_frame(folder)
        scale = frame.mpp if mpp is None else check_mpp(mpp, folder)
        if mpp is not None and frame.image is not None:
            frame_notes.append(f"{mpp:g} µm/px as given, the alignment says {frame.mpp:.4g}")
        source = find_transcripts(folder) or _cell_matrix(folder)
        if source is None:
            unread = "transcripts.zarr.zip is not read, and there is " if (folder / _UNREAD).exists() else ""
            fix = "copy transcripts.parquet, or cell_feature_matrix.h5 with cells.parquet"
            raise EosinError(f"{unread}no transcripts.parquet", file=folder, fix=fix)
        squares, counts, genes, pool_notes = self._pool(source, frame)
        wider = scale / frame.mpp if frame.image else 1.0  # the squares grow with the distances between them
        return SectionParts(
            source,
            name,
            centres_um(squares, self.bin_um) * wider,
            self.bin_um * wider,
            square_ids(squares, self.bin_um),
            counts,
            genes,
            image=frame.image and Image(frame.image, scale),
            platform=self.platform,
            notes=[f"pooled to squares of {self.bin_um:g} µm", *pool_notes, *frame_notes],
        )

    def _pool(self, source: Path, frame: Frame) -> tuple[np.ndarray, sparse.csr_matrix, GeneNames, list[str]]:
        """Squares [s 2], counts [s g], genes in the order of their names, notes."""
        with blame(source):
            pooled = self._pool_cells if source == _cell_matrix(source.parent) else self._pool_transcripts
            pool, given, notes = pooled(source, frame)
            squares, counts = pool.finish(len(given))
            counts, genes, added_up = self.naming.counts(counts, given)
        order = np.argsort(genes.names)
        return squares, sparse.csr_matrix(counts[:, order]), genes.take(order), [*notes, *added_up]

    def _pool_transcripts(self, source: Path, frame: Frame) -> tuple[Pool, GeneNames, list[str]]:
        pool, transcripts = Pool(), Transcripts(source)
        for xy_um, genes in transcripts.pieces():
            pool.add(squares_at(frame.place(xy_um), self.bin_um), genes)
        ids, unread = ids_of_genes(source.parent, _cell_matrix(source.parent))
        genes = GeneNames(transcripts.genes, tuple(ids.get(name, "") for name in transcripts.genes))
        return pool, genes, [*transcripts.notes, *unread]

    def _pool_cells(self, source: Path, frame: Frame) -> tuple[Pool, GeneNames, list[str]]:
        pool = Pool()
        with open_matrix(source, self.naming) as matrix:
            xy_um, notes = _cells(source.parent, matrix.barcodes)
            squares = squares_at(frame.place(xy_um), self.bin_um)
            for first, block in matrix.blocks():
                cells = sparse.coo_matrix(block)
                pool.add(squares[first + cells.row], cells.col.astype(np.int64), cells.data)
        return pool, matrix.genes, [*matrix.notes, *notes]


def _cell_matrix(folder: Path) -> Path | None:
    places = folder / "cell_feature_matrix.h5", folder / "cell_feature_matrix"
    return next((place for place in places if place.exists()), None)


def _cell_files(folder: Path) -> Iterator[Path]:
    return (file for name in ("cells.parquet", "cells.csv.gz", "cells.csv") if (file := folder / name).is_file())


def _cells(folder: Path, barcodes: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """Centres [b 2] of the matrix's cells, µm, and a note."""
    import pandas as pd

    file = next(_cell_files(folder), None)
    if file is None:
        raise EosinError("no cells.parquet beside the matrix", file=folder, fix="copy it, or transcripts.parquet")
    columns = ["cell_id", "x_centroid", "y_centroid"]
    with reading(file, "a table of cells"):
        read = pd.read_parquet if file.suffix == ".parquet" else pd.read_csv
        table = read(file)
        missing = [column for column in columns if column not in table]
        if missing:
            fix = f"its columns are {', '.join(map(str, table.columns[:8]))}"
            raise EosinError(f"has no column '{missing[0]}'", file=file, fix=fix)
        ids = [cell if isinstance(cell, bytes) else str(cell).encode() for cell in table["cell_id"]]
        xy_um = table[columns[1:]].to_numpy(np.float64)
    place = {cell: row for row, cell in enumerate(ids)}
    if len(place) != len(ids):
        raise EosinError("a cell_id occurs twice", file=file, fix=AGAIN)
    rows = [place.get(barcode, -1) for barcode in barcodes.tolist()]
    if -1 in rows:
        missing_cell = barcodes[rows.index(-1)].decode()
        raise EosinError(f"has no cell '{missing_cell}' of the matrix", file=file, fix="pair the files of one region")
    note = f"{len(rows)} cells were pooled whole, by their centres; transcripts outside of cells are not counted"
    return xy_um[rows], [note]


def read_frame(folder: Path) -> tuple[Frame, list[str]]:
    """Where the H&E image lies on the transcripts, from the files beside them; notes say what is missing.

    Raises
    ------
    EosinError
        Several alignments; one that is not a matrix of 3 x 3, or maps to no plausible scale.
    """
    places = [folder, folder.parent] if folder.name == "outs" else [folder]
    images = [file for place in places for file in sorted(place.glob("*he_image*.tif*"))]
    tables = [file for place in places for file in sorted(place.glob("*.csv")) if _ALIGNMENT.search(file.name)]
    tables += [file for place in places for file in sorted(place.glob("*he*_alignment_files/matrix.csv"))]
    for files in (images, tables):
        if len(files) > 1:
            raise EosinError(f"{files[0].name} and {files[1].name} both fit", file=folder, fix="keep one")
    if not images or not tables:
        has = "no *he_image.ome.tif" if not images else f"{images[0].name} has no *he_imagealignment.csv"
        return Frame(np.eye(2), np.zeros(2)), [f"{has}: positions are µm, there is no image"]
    pixel_um, notes = _pixel_um(folder)
    matrix = np.diag([pixel_um, pixel_um, 1.0]) @ _alignment(tables[0])  # pixels of the H&E image to Xenium's µm
    stretch = np.linalg.svd(matrix[:2, :2], compute_uv=False)
    mpp = check_mpp(float(np.sqrt(stretch[0] * stretch[1])), tables[0])
    if stretch[0] / stretch[1] - 1 > _STRETCH:
        notes.append(f"the alignment stretches one direction by {stretch[0] / stretch[1] - 1:.1%}; µm are a mean")
    if np.linalg.det(matrix[:2, :2]) < 0:
        notes.append("the H&E image is mirrored against the transcripts")
    back = np.linalg.inv(matrix) * mpp  # Xenium's µm to µm along the image's axes
    return Frame(back[:2, :2], back[:2, 2], images[0], mpp), [*notes, f"{mpp:.4f} µm/px by the alignment"]


def _alignment(file: Path) -> np.ndarray:
    with reading(file, "an alignment"):
        rows = [line.split(",") for line in file.read_text(encoding="utf-8-sig").split()]
        matrix = np.array([[float(cell) for cell in row] for row in rows])
    fix = "export the alignment from Xenium Explorer again"
    if matrix.shape != (3, 3) or not np.isfinite(matrix).all() or not np.allclose(matrix[2], [0, 0, 1]):
        raise EosinError("is no affine matrix of 3 x 3", file=file, fix=fix)
    size = np.abs(matrix[:2, :2]).max()
    if size == 0 or abs(np.linalg.det(matrix[:2, :2])) < 1e-6 * size**2:
        raise EosinError("its matrix maps the image to a line", file=file, fix=fix)
    return matrix


def _pixel_um(folder: Path) -> tuple[float, list[str]]:
    """µm per pixel of the morphology image, and a note where it is assumed."""
    file = folder / "experiment.xenium"
    facts: Any = read_json(file) if file.is_file() else {}
    pixel_um = tenx.positive(facts.get("pixel_size")) if isinstance(facts, dict) else None
    if pixel_um is not None:
        return check_mpp(pixel_um, file), []
    return PIXEL_UM, [f"experiment.xenium does not say the pixel size; {PIXEL_UM} µm is used"]


READERS.add(Xenium.name, Xenium())
