"""Where a run of training stands, and which of its epochs is the best so far."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

SELECT, REFIT, VALIDATE = "select", "refit", "validate"
"""Phases of a run."""


@dataclass
class Progress:
    """Where a run stands; travels with the arrays in the state file."""

    phase: str
    epochs: int
    epoch: int = 0
    step: int = 0
    best_epoch: int = 0
    best_score: float | None = None
    gain_epoch: int = 0
    """The best epoch with training in it: an untrained model may be the best of all, but does not end the search."""
    gain_score: float | None = None
    history: list[dict[str, Any]] = field(default_factory=list)

    def note(self, score: float) -> bool:
        """Whether this epoch's score (higher is better) is the best of all so far; the first of equals counts."""
        if self.epoch and (self.gain_score is None or score > self.gain_score):
            self.gain_epoch, self.gain_score = self.epoch, score
        if self.best_score is not None and score <= self.best_score:
            return False
        self.best_epoch, self.best_score = self.epoch, score
        return True

    def chosen(self) -> dict[str, Any]:
        """The record of the best epoch; nothing where none was judged."""
        judged = (one for one in self.history if one["phase"] != REFIT and one["epoch"] == self.best_epoch)
        return {} if self.best_score is None else next(judged, {})
