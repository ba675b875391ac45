"""Registration of a section that is predicted in pieces: what it takes of the whole section, gathered piece by piece.

Laying a section over a reference takes a few numbers of every spot; the gate takes two predictions of all spots, which
lie in tables on disk.
"""

from __future__ import annotations

import numpy as np

from eosin.metrics import pearson_per_gene
from eosin.models.kernel.atlas import Atlas, Places
from eosin.models.kernel.context import Context
from eosin.models.parts.pieces import Hop, Pieces
from eosin.row_blocks import row_blocks
from eosin.storage.scratch import let_go

_RING = Hop(8, include_ties=True)
_NUMBERS_AT_ONCE = 1 << 24


def lay_pieces(atlas: Atlas, pieces: Pieces, frame: int) -> Places | None:
    """Where the spots of a section lie on a reference; None where it fits nowhere."""
    numbers = np.empty((len(pieces), atlas.basis.shape[1]))
    for piece in pieces.around((_RING,)):
        numbers[piece.own] = atlas.seen(Context.of(piece.batch, (8,)), np.flatnonzero(piece.is_own))
    placement = atlas.references[frame].place(pieces.batch.xy_um, numbers - numbers.mean(0))
    return None if placement is None else Places(np.full(len(pieces), frame, dtype=np.int64), placement.xy)


def agreement_of_tables(one: np.ndarray, other: np.ndarray, genes: np.ndarray) -> float:
    """Mean correlation of some genes of a table [s g] with those of another [s n], which may lie on disk.

    As `agreement`: a gene that is constant in one counts as 0.
    """
    found = np.empty(len(genes))
    for columns in row_blocks(len(genes), budget=_NUMBERS_AT_ONCE, per_row=len(one)):
        numbers = np.arange(columns.start, columns.stop)
        found[columns] = pearson_per_gene(_columns(one, genes[columns]), _columns(other, numbers))
    return float(np.nan_to_num(found).mean())


def _columns(table: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Some columns of a table that may lie on disk, in memory."""
    found = np.empty((len(table), len(columns)), dtype=table.dtype)
    for rows in row_blocks(len(table), budget=_NUMBERS_AT_ONCE, per_row=table.shape[1]):
        found[rows] = table[rows][:, columns]
        let_go(table)
    return found
