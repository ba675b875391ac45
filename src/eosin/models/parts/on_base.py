"""A learned model of what a closed-form model leaves over: what all models with a ridge as base have in common."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from eosin.models.base import Learned, Training
from eosin.models.ridge import Ridge
from eosin.types import Batch


class OnBase(Learned):
    """A learned model that may stand on a ridge: it keeps the ridge, its predictions, and its arrays.

    For training spots the ridge's prediction is made out of fold, else the model would learn to trust it too much.
    """

    def __init__(self, base: Ridge | None):
        super().__init__()
        self.base = base
        self._out_of_fold: np.ndarray | None = None

    @property
    def starts_from_base(self) -> bool:
        return self.base is not None

    def left_over(self, training: Training) -> np.ndarray:
        """Solve the base; returns what it leaves of the target [s g], or all of it without a base."""
        if self.base is None:
            return training.target
        self.base.solve(training)
        self._out_of_fold = self.base.out_of_fold(training).astype(np.float32)
        return training.target - self._out_of_fold

    def base_of(self, batch: Batch) -> Tensor:
        """The base's prediction [s g], out of fold for training spots; [1 1] of zero without a base."""
        if self.base is None:
            return torch.zeros(1, 1)
        if batch.training_rows is not None and self._out_of_fold is not None:
            return torch.from_numpy(self._out_of_fold[batch.training_rows])
        return torch.from_numpy(self.base.predict(batch).astype(np.float32))

    def arrays(self) -> dict[str, Tensor]:
        own = super().arrays()
        return own if self.base is None else own | {f"base.{k}": v for k, v in self.base.arrays().items()}

    def load_arrays(self, arrays: Mapping[str, Tensor]) -> None:
        if self.base is not None:
            self.base.load_arrays({k.removeprefix("base."): v for k, v in arrays.items() if k.startswith("base.")})
        super().load_arrays({k: v for k, v in arrays.items() if not k.startswith("base.")})

    @property
    def n_parameters(self) -> int:
        return super().n_parameters + (0 if self.base is None else self.base.n_parameters)
