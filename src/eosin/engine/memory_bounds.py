"""How much memory a prediction may take, and into how large pieces a section is cut for that."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

import psutil

from eosin.errors import EosinError
from eosin.models import Learned, Model

log = logging.getLogger("eosin")

DEFAULT_GIB = 4.0
_GIB = 2**30
_LEAST_GIB = 1.0
"""What a process takes with its libraries and the model, whatever it predicts."""
_SHARE = 0.35
"""Of the rest, what a piece's own spots may take by the estimate: as many lie around them, and features in memory."""
_FEWEST, _MOST = 2048, 98_304
"""Spots of a piece: below, most of the work is that around pieces; above, nothing is gained."""
_BY_ITSELF, _PER_DRAW, _PER_GENE = 4096, 1024, 6 * 4
"""Bytes: of a spot with its neighbours; of a draw of a spot in a network; of a gene of a draw."""
_DRAWS_AT_ONCE = 16


@dataclass(frozen=True)
class Memory:
    """What a prediction may take.

    Attributes
    ----------
    gib
        Memory of the process, GiB. A section that would take more is predicted in pieces, by models that look no
        further than some neighbours; the result is the same.
    folder
        Where what does not fit in memory is kept meanwhile; by default the system's folder for such files.
    piece_spots
        Spots of a piece; None: as many as fit. Given, every section is predicted in pieces.
    """

    gib: float = DEFAULT_GIB
    folder: Path | None = None
    piece_spots: int | None = None

    def __post_init__(self) -> None:
        if not self.gib >= 1.5:
            raise EosinError(f"--memory is {self.gib:g} GiB", fix="give 1.5 or more")

    def spots_of_piece(self, model: Model, n_spots: int, n_features: int, n_genes: int, n_draws: int) -> int | None:
        """Own spots of a piece for a section of `n_spots`; None: it is predicted as a whole.

        Raises
        ------
        EosinError
            A model that looks at the whole section, whose features alone take more than the memory that is there.
        """
        if self.piece_spots is not None and model.reach is not None:
            return self.piece_spots
        n_bytes, kept = bytes_of_spot(model, n_features, n_genes, n_draws), 8 * n_genes * (n_draws + 1)
        room = (self.gib - _LEAST_GIB) * _GIB
        if n_spots * (n_bytes + kept) <= room / 2:  # the estimate is rough, and pieces cost little
            return None
        if model.reach is None:
            _need_room(n_spots, n_features, n_bytes, self.gib)
            return None
        return int(min(max(_SHARE * room / n_bytes, _FEWEST), _MOST))


USUAL = Memory()


def bytes_of_spot(model: Model, n_features: int, n_genes: int, n_draws: int) -> int:
    """About what a spot takes while it is predicted, bytes."""
    at_once = min(n_draws, _DRAWS_AT_ONCE) if model.generates else 1
    of_draws = at_once * (_PER_GENE * n_genes + (_PER_DRAW if isinstance(model, Learned) else 0))
    return _BY_ITSELF + (0 if model.reads_rows else 4 * n_features) + of_draws


def _need_room(n_spots: int, n_features: int, n_bytes: int, gib: float) -> None:
    """Say that a section is predicted as a whole, or refuse it."""
    free = psutil.virtual_memory().available
    if 4 * n_spots * n_features > free:
        raise EosinError(
            f"this model looks at the whole section: features of {n_spots:,} spots alone take "
            f"{4 * n_spots * n_features / _GIB:.1f} GiB, and {free / _GIB:.1f} GiB are free",
            fix="predict by a model that looks at what is near (stflow, kernel, ridge), or where there is more memory",
        )
    log.warning(
        "this model looks at the whole section, which is not cut into pieces: %s spots take about %.1f GiB, "
        "more than --memory %g",
        f"{n_spots:,}",
        n_spots * n_bytes / _GIB,
        gib,
    )
