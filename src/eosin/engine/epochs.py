"""Where a run of training stands, and which of its epochs is the best so far."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

SELECT, REFIT, VALIDATE = "select", "refit", "validate"
"""Phases of a run: choose the epoch on a held-out group, train on all, choose it on sections outside."""


@dataclass
class Progress:
    """Where a run stands; saved beside the arrays in the state file.

    Attributes
    ----------
    phase
        SELECT, REFIT or VALIDATE.
    epochs
        Most epochs of this phase.
    epoch, step
        Epochs and gradient steps done in this phase.
    best_epoch, best_score
        The epoch of the highest score so far; 0 is the untrained model.
    gain_epoch, gain_score
        The same among epochs with training in them: an untrained model may be the best of all, but does not end the
        search.
    history
        One record for each epoch of all phases.
    held_out_scale
        [g] sd of what the model of the best epoch misses within the held-out spots; None until the epoch is chosen.
    """

    phase: str
    epochs: int
    epoch: int = 0
    step: int = 0
    best_epoch: int = 0
    best_score: float | None = None
    gain_epoch: int = 0
    gain_score: float | None = None
    history: list[dict[str, Any]] = field(default_factory=list)
    held_out_scale: list[float] | None = None

    def note(self, score: float, least_gain: float = 0.0) -> bool:
        """Take this epoch's score (higher is better); returns whether it is the best so far. Equals are no gain.

        An untrained model stays the best until an epoch is better by more than `least_gain`.
        """
        if self.epoch and (self.gain_score is None or score > self.gain_score):
            self.gain_epoch, self.gain_score = self.epoch, score
        needed = least_gain if self.epoch and not self.best_epoch else 0.0
        if self.best_score is not None and score <= self.best_score + needed:
            return False
        self.best_epoch, self.best_score = self.epoch, score
        return True

    def chosen(self) -> dict[str, Any]:
        """The record of the best epoch; empty where no epoch was scored."""
        at_best = (r for r in self.history if r["phase"] != REFIT and r["epoch"] == self.best_epoch)
        return {} if self.best_score is None else next(at_best, {})
