"""What a unit of a Xenium region is: squares in which transcripts are counted, or cells."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import sparse

from eosin.data.packed import unpack_command
from eosin.data.readers.tenx.xenium_frame import Frame
from eosin.errors import EosinError
from eosin.genes.columns import GeneNames, Naming
from eosin.row_blocks import row_blocks
from eosin.types import Footprints

UNREAD = ("transcripts.zarr.zip", "cell_feature_matrix.zarr.zip", "cell_feature_matrix.tar.gz")
"""Recognised, so that one line can say what to do instead."""


@dataclass(frozen=True)
class Measured:
    """Units of a region with their counts.

    Attributes
    ----------
    file
        Where the counts are from.
    ids, xy_um, width_um
        Names [s]; centres [s 2] in the frame of the H&E image; width.
    counts, genes
        [s g], and what the genes are called, in the order of their names.
    notes
        What was left out or assumed.
    footprints
        Areas and outlines, of cells.
    """

    file: Path
    ids: tuple[str, ...]
    xy_um: np.ndarray
    width_um: float
    counts: sparse.csr_matrix
    genes: GeneNames
    notes: tuple[str, ...]
    footprints: Footprints | None = None


class Units(ABC):
    """A way to make units of a region."""

    @abstractmethod
    def read(self, folder: Path, frame: Frame, naming: Naming) -> Measured:
        """The units of a region.

        Raises
        ------
        EosinError
            A file is missing, cut short, or of another kind.
        """


def no_table(folder: Path, what: str, fix: str) -> EosinError:
    """The error of a region that lacks the file which is read, by what lies there in its place."""
    there = next((name for name in UNREAD if (folder / name).exists()), None)
    if there is not None and there.endswith(".tar.gz"):
        file = folder / there
        return EosinError("the matrix is packed", file=file, fix=unpack_command(file, has_own_folder=True))
    unread = "" if there is None else f"{there} is not read, and there is "
    return EosinError(f"{unread}{what}", file=folder, fix=fix)


def by_name(counts: sparse.csr_matrix, genes: GeneNames) -> tuple[sparse.csr_matrix, GeneNames]:
    """Columns in the order of their names, so that regions of one panel have the same; `counts` change in place."""
    order = np.argsort(genes.names)
    place = np.argsort(order).astype(counts.indices.dtype)
    for block in row_blocks(counts.nnz, budget=1 << 22):
        counts.indices[block] = place[counts.indices[block]]
    counts.has_sorted_indices = False
    counts.sort_indices()
    return counts, genes.take(order)
