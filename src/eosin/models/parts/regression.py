"""Point prediction by a network that sees all spots of a part: what TRIPLEX and HisToGene have in common.

A network guesses expression at every spot, perhaps more than once (several heads, the first one counts); an objective
compares the guesses with the target. As in `flow.py`, the network may work on standardised genes, and on what a
closed-form model leaves over.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from eosin.models.base import Training
from eosin.models.parts.objective import ValueObjective
from eosin.models.parts.on_base import NetworkUnits, OnBase
from eosin.models.parts.zero_start import start_at_zero
from eosin.types import Batch


class NetworkPart(Protocol):
    """What a regression needs of a network."""

    @property
    def heads(self) -> Iterable[nn.Linear]:
        """The last linear maps; with all of them at 0 every guess is 0."""
        ...

    def geometry(self, batch: Batch, features: Tensor) -> Any:
        """Neighbours and positions as tensors beside `features` [s f]."""
        ...

    def __call__(self, geometry: Any) -> Tensor:
        """Guesses [h s g], the answer first."""
        ...


@dataclass
class RegressionContext:
    """One prepared batch: what the network sees, and the base's prediction (0 without a base)."""

    geometry: Any
    base: Tensor  # [s g] or [1 1]


class RegressionModel(OnBase):
    """A regression with its parts handed in.

    Parameters
    ----------
    network
        A `NetworkPart`. With a base its heads are set to 0: a correction starts as none.
    objective
        What training minimises, of guesses [h s g] and target [s g] in the network's units.
    units
        What stands between a batch and the network.
    clamp
        Raise guesses below 0 (in the panel's values) to 0, in training too; there their gradient is 0.
    """

    def __init__(self, network: nn.Module, objective: ValueObjective, units: NetworkUnits, *, clamp: bool = False):
        super().__init__(units)
        self.network, self.objective, self.clamp = network, objective, clamp
        if units.base is not None:
            start_at_zero(network.heads)

    def observe_left_over(self, training: Training, left_over: np.ndarray) -> None:
        """Nothing more is fitted."""

    def prepare(self, batch: Batch) -> RegressionContext:
        """What the network sees, and the base's prediction."""
        features, base = self.enter(batch)
        return RegressionContext(self.network.geometry(batch, features), base)

    def loss(self, context: RegressionContext, target: Tensor, rng: torch.Generator) -> Tensor:
        """The objective of all guesses."""
        return self.objective(self._guesses(context), (target - self._offset(context)) / self.scale.sd)

    @torch.no_grad()
    def draw(self, context: RegressionContext, n_draws: int, rng: torch.Generator) -> Tensor:
        """The first guess [1 s g], whatever number of draws was asked for."""
        return (self._guesses(context)[:1] * self.scale.sd + self._offset(context)).cpu()

    def _guesses(self, context: RegressionContext) -> Tensor:
        """[h s g] in the network's units."""
        guesses = self.network(context.geometry)
        return torch.maximum(guesses, -self._offset(context) / self.scale.sd) if self.clamp else guesses

    def _offset(self, context: RegressionContext) -> Tensor:
        """What a guess of 0 stands for, in the panel's values."""
        return context.base + self.scale.mean
