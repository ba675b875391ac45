"""Point prediction by a network that sees all spots of a part: what TRIPLEX and HisToGene have in common.

A network guesses expression at every spot, perhaps more than once (several heads, the first one counts); an objective
compares the guesses with the target. As in `flow.py`, the network may work on standardised genes, and on what a
cross-fitted ridge leaves over.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from eosin.models.base import Training
from eosin.models.parts.on_base import OnBase
from eosin.models.parts.scaling import InputMap, ValueScale
from eosin.models.ridge import Ridge
from eosin.types import Batch

Objective = Callable[[Tensor, Tensor], Tensor]  # guesses [h s g], target [s g] -> scalar


def squared_error(guesses: Tensor, target: Tensor) -> Tensor:
    """Mean squared error of the first guess."""
    return (guesses[0] - target).square().mean()


class NetworkPart(Protocol):
    """What a regression needs of a network."""

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
    clamp
        Raise guesses below 0 (in the panel's values) to 0, in training too; there their gradient is 0.
    """

    def __init__(
        self,
        network: nn.Module,
        objective: Objective,
        inputs: InputMap,
        scale: ValueScale,
        base: Ridge | None,
        *,
        clamp: bool = False,
    ):
        super().__init__(base)
        self.network, self.inputs, self.scale = network, inputs, scale
        self.objective, self.clamp = objective, clamp

    def observe(self, training: Training) -> None:
        self.inputs.observe(training.batch.features)
        left = self.left_over(training)
        self.scale.observe(left)

    def prepare(self, batch: Batch) -> RegressionContext:
        device = self.scale.mean.device
        features = self.inputs(torch.from_numpy(batch.features).to(device))
        return RegressionContext(self.network.geometry(batch, features), self.base_of(batch).to(device))

    def loss(self, context: RegressionContext, target: Tensor, rng: torch.Generator) -> Tensor:
        return self.objective(self._guesses(context), (target - self._offset(context)) / self.scale.sd)

    @torch.no_grad()
    def draw(self, context: RegressionContext, n_draws: int, rng: torch.Generator) -> Tensor:
        return (self._guesses(context)[:1] * self.scale.sd + self._offset(context)).cpu()

    def _guesses(self, context: RegressionContext) -> Tensor:
        """[h s g] on the network's scale."""
        guesses = self.network(context.geometry)
        return torch.maximum(guesses, -self._offset(context) / self.scale.sd) if self.clamp else guesses

    def _offset(self, context: RegressionContext) -> Tensor:
        return context.base + self.scale.mean
