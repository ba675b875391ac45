"""What a unit of a Xenium region is: squares in which transcripts are counted, or cells."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import sparse

from eosin.data.readers.tenx.xenium_frame import Frame
from eosin.genes.columns import GeneNames, Naming
from eosin.row_blocks import row_blocks
from eosin.types import Footprints


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


def by_name(counts: sparse.csr_matrix, genes: GeneNames) -> tuple[sparse.csr_matrix, GeneNames]:
    """Columns in the order of their names, so that regions of one panel have the same; `counts` change in place."""
    order = np.argsort(genes.names)
    place = np.argsort(order).astype(counts.indices.dtype)
    for block in row_blocks(counts.nnz, budget=1 << 22):
        counts.indices[block] = place[counts.indices[block]]
    counts.has_sorted_indices = False
    counts.sort_indices()
    return counts, genes.take(order)
