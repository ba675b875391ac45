"""The closed-form model beneath a learned one: what it must offer, and the one place where it is made.

A learned model with a base predicts or generates what the base leaves over. Which models can be a base is a question
of the methods that they have, not of their names.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

import numpy as np
from torch import Tensor

from eosin.errors import EosinError
from eosin.models.base import MODELS, Training
from eosin.types import Batch, GenePanel

DEFAULT_BASE = "kernel"
"""Beneath every learned model, unless a setting says otherwise."""
NO_BASE = "none"
"""What a setting calls no base."""


@runtime_checkable
class BaseModel(Protocol):
    """A closed-form point model that can say what it would have predicted for its own training spots."""

    def solve(self, training: Training) -> None:
        """Learn from the training sections."""
        ...

    def predict(self, batch: Batch) -> np.ndarray:
        """Mean expression [s g] in the panel's values."""
        ...

    def out_of_fold(self, training: Training) -> np.ndarray:
        """[s g] what `predict` would say of each training spot had its group not been trained on."""
        ...

    def remarks(self, batch: Batch) -> dict[str, Any]:
        """What there is to say of how these spots are predicted."""
        ...

    def arrays(self) -> dict[str, Tensor]:
        """All that was learned, by name; checkpoints keep it behind the prefix `base.`."""
        ...

    def load_arrays(self, arrays: Mapping[str, Tensor]) -> None:
        """Take back what `arrays` gave."""
        ...

    @property
    def n_parameters(self) -> int:
        """Fitted numbers."""
        ...


@runtime_checkable
class SomeOutOfFold(Protocol):
    """A base that predicts some spots out of fold without predicting all of them."""

    def some_out_of_fold(self, training: Training, rows: np.ndarray) -> np.ndarray:
        """[r g]: the rows of `out_of_fold`."""
        ...


@runtime_checkable
class SeesAlike(Protocol):
    """A model with a kernel: it says how alike two spots look to it."""

    def alike(self, one: Batch, rows: np.ndarray, other: Batch, other_rows: np.ndarray) -> np.ndarray:
        """[r t] between spots `rows` of a batch and spots `other_rows` of another."""
        ...


def base_of(name: str, n_features: int, panel: GenePanel) -> BaseModel | None:
    """The untrained base that a setting asks for, with its own default settings.

    Parameters
    ----------
    name
        Of a model, or `NO_BASE`.
    n_features
        Features of a spot.
    panel
        The genes.

    Raises
    ------
    EosinError
        No model has that name, or the model cannot be a base: it has no `predict` or no `out_of_fold`.
    """
    if name == NO_BASE:
        return None
    entry = MODELS[name]
    model = entry.build(entry.settings.of(), n_features, panel)
    if not isinstance(model, BaseModel):
        raise EosinError(
            f"'{name}' cannot be a base, for it has no prediction out of fold", fix=f"use base = '{DEFAULT_BASE}'"
        )
    return model
