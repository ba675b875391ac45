"""Registration of a section that is predicted in pieces: what it takes of the whole section, gathered piece by piece.

Laying a section over a reference takes a few numbers of every spot; the gate takes two predictions of all spots, which
lie in tables on disk.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from eosin.metrics import pearson_per_gene
from eosin.models.kernel.atlas import Atlas, Places
from eosin.models.kernel.context import Context
from eosin.models.parts.pieces import Hop, Piece, Pieces
from eosin.row_blocks import row_blocks
from eosin.storage.scratch import let_go

_RING = Hop(8, include_ties=True)
_NUMBERS_AT_ONCE = 1 << 24

PredictPiece = Callable[[Piece], np.ndarray]
"""Values [r g] of all spots of a piece, of which those of its own spots are right."""


def lay_pieces(atlas: Atlas, pieces: Pieces, frame: int) -> Places | None:
    """Where the spots of a section lie on a reference; None where it fits nowhere."""
    numbers = np.empty((len(pieces), atlas.basis.shape[1]))
    for piece in pieces.around((_RING,)):
        numbers[piece.own] = atlas.seen(Context.of(piece.batch, (8,)), np.flatnonzero(piece.is_own))
    placement = atlas.references[frame].place(pieces.batch.xy_um, numbers - numbers.mean(0))
    return None if placement is None else Places(np.full(len(pieces), frame, dtype=np.int64), placement.xy)


def agreement_in_pieces(
    pieces: Pieces, hops: tuple[Hop, ...], one: PredictPiece, other: PredictPiece, genes: np.ndarray
) -> float:
    """Mean correlation over some genes of two predictions of a section, as `agreement`; 0 where one is constant."""
    tables = [pieces.gathered(lambda piece, of=of: of(piece)[:, genes], len(genes), hops) for of in (one, other)]
    found = np.empty(len(genes))
    for columns in row_blocks(len(genes), budget=_NUMBERS_AT_ONCE, per_row=len(pieces)):
        found[columns] = pearson_per_gene(*(_columns(table, columns) for table in tables))
    return float(np.nan_to_num(found).mean())


def _columns(table: np.ndarray, columns: slice) -> np.ndarray:
    """Some columns of a table that may lie on disk, in memory."""
    found = np.empty((len(table), columns.stop - columns.start), dtype=table.dtype)
    for rows in row_blocks(len(table), budget=_NUMBERS_AT_ONCE, per_row=table.shape[1]):
        found[rows] = table[rows, columns]
        let_go(table)
    return found
