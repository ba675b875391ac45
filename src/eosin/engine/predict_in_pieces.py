"""Draws and mean of a section that does not fit in memory: piece by piece, into tables that may lie on disk.

What comes out is what `eosin.engine.predict` makes of the whole section, but for rounding: noise is drawn for all spots
in one order, levels of the slide once, and every piece holds all that its spots look at.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from eosin.engine.adaptation import LearnedUpdate
from eosin.engine.checkpoint import Trained
from eosin.engine.verdict import ADDED_NOTHING
from eosin.models.parts.on_base import OnBase
from eosin.models.parts.pieces import Pieces
from eosin.progress import Tick
from eosin.row_blocks import row_blocks
from eosin.storage.scratch import let_go
from eosin.trust import ErrorModel
from eosin.types import Section

_NUMBERS_AT_ONCE = 1 << 22


@dataclass(frozen=True)
class Asked:
    """What is asked of a prediction.

    Attributes
    ----------
    draws
        Draws that are handed over.
    least
        Draws that the mean of a generative network is made of at least.
    seed
        Of the draws.
    keep_draws
        False: of a large section the draws are not kept where error bars stand for them.
    """

    draws: int
    least: int
    seed: int
    keep_draws: bool


class _Taken:
    """Draws of a section as they come: their mean, and where they are wanted the draws themselves."""

    def __init__(self, pieces: Pieces, n_genes: int, *, keep: bool, tick: Tick):
        self.pieces, self.n_genes, self.keep, self.tick = pieces, n_genes, keep, tick
        self.mean = pieces.table(len(pieces), n_genes)
        self.draws: np.ndarray | None = None

    def take(self, rows: np.ndarray, drawn: np.ndarray) -> None:
        """Draws [k r g] of some spots."""
        if self.keep and self.draws is None and len(drawn) > 1:
            self.draws = self.pieces.table(len(drawn), len(self.pieces), self.n_genes)
        if self.draws is not None:
            self.draws[:, rows] = drawn
        self.mean[rows] = drawn.mean(0, dtype=np.float64)
        let_go(self.mean, self.draws)
        self.tick(len(rows))


def draws_and_mean_in_pieces(
    trained: Trained, section: Section, pieces: Pieces, update: LearnedUpdate | None, asked: Asked, tick: Tick
) -> tuple[np.ndarray, np.ndarray, ErrorModel | None]:
    """Draws [k s g], mean [s g] and errors, as `eosin.engine.predict` makes them of a section as a whole.

    Draws that are not kept come back as one, the mean.
    """
    model, errors, patient, n_genes = trained.model, trained.errors, section.patient, len(trained.panel)
    mean, own = None, None
    if trained.metrics.get("network") == ADDED_NOTHING and isinstance(model, OnBase):
        mean = model.predict_base_in_pieces(pieces)
    if mean is None or errors is None or not errors.can_draw(patient):
        n_made = asked.draws if errors is None or not model.generates else max(asked.draws, asked.least)
        taken = _Taken(pieces, n_genes, keep=asked.keep_draws or errors is None, tick=tick)
        model.draw_in_pieces(pieces, n_made, torch.Generator().manual_seed(asked.seed), taken.take)
        mean = taken.mean if mean is None else mean
        own = taken.draws if taken.draws is not None else taken.mean[None]
    if errors is None:
        assert own is not None
        return own, mean, None
    plain = own is not None and not model.generates and not errors.can_draw(patient) and asked.keep_draws
    if update is not None:
        errors = update.errors
        if plain:
            own = pieces.table(1, *mean.shape)
        _put_update(update, pieces, mean, own if plain else None)
    if not asked.keep_draws:
        return mean[None], mean, errors
    if own is not None and model.generates:
        out = own if len(own) > 1 else pieces.table(1, *mean.shape)  # a single one is the mean itself
        made = errors.of_own_draws(own, mean, patient, asked.seed, mirrored=model.mirrored, out=out)
        return made[: asked.draws], mean, errors
    if plain:
        assert own is not None
        return own, mean, errors
    drawn = pieces.table(asked.draws, *mean.shape)
    return errors.draws(mean, pieces.batch.xy_um, patient, asked.draws, asked.seed, out=drawn), mean, errors


def _put_update(update: LearnedUpdate, pieces: Pieces, mean: np.ndarray, moved: np.ndarray | None) -> None:
    """Add what measured spots say to the mean [s g], which is not below 0; `moved` [1 s g] gets it as it is."""
    assert update.hops is not None
    for piece in pieces.around(update.hops):
        places = np.flatnonzero(piece.is_own)
        for block in row_blocks(len(places), budget=_NUMBERS_AT_ONCE, per_row=mean.shape[1]):
            rows = piece.rows[places[block]]
            values = mean[rows] + update.added(piece.batch, places[block])
            if moved is not None:
                moved[0, rows] = values
            mean[rows] = np.maximum(values, 0)
        let_go(mean, moved)
