"""Flow matching over expression: a prior, a path, a sampler and any denoiser (STFlow, section 3.2).

The denoiser guesses the data end Y_1 from a point Y_t of the path; training minimises its squared error, sampling
follows the velocity that the guess implies (Algorithms 1 and 2). Two optional parts go beyond the paper:

- `inputs`: features standardised on training spots (the paper takes an encoder's vectors as they are), or reduced;
- `base`: a closed-form model whose prediction is subtracted, so that the flow generates what that model leaves
  over. For training spots its prediction is made out of fold, else the flow would learn to trust it too much;
- `precondition`: the network only corrects the best linear guess of Y_1 from Y_t, so that even an untrained one
  samples the right spread.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from eosin.generative import Prior, ProbabilityPath, Sampler
from eosin.models.base import Training
from eosin.models.parts.on_base import OnBase
from eosin.models.parts.scaling import InputMap, ValueScale
from eosin.models.ridge import Ridge
from eosin.types import Batch


class DenoiserPart(Protocol):
    """What a flow needs of a network."""

    def geometry(self, batch: Batch, features: Tensor) -> Any:
        """Neighbours and offsets as tensors beside `features` [s f]."""
        ...

    def precompute(self, geometry: Any) -> Any:
        """What all steps and draws share; inference only."""
        ...

    def __call__(self, geometry: Any, y: Tensor, t: Tensor) -> Tensor: ...


@dataclass
class FlowContext:
    """One prepared batch: geometry for the denoiser, and the base's prediction (0 without a base)."""

    geometry: Any
    base: Tensor  # [s g] or [1 1]
    part: Tensor  # [s] part of each spot
    n_spots: int


class FlowModel(OnBase):
    """A flow with its parts handed in."""

    def __init__(
        self,
        denoiser: nn.Module,
        prior: Prior,
        path: ProbabilityPath,
        sampler: Sampler,
        times: list[float],
        inputs: InputMap,
        scale: ValueScale,
        base: Ridge | None,
        n_genes: int,
        *,
        precondition: bool = False,
        max_draws: int = 16,
    ):
        super().__init__(base)
        self.denoiser, self.prior, self.inputs, self.scale = denoiser, prior, inputs, scale
        self.path, self.sampler, self.times = path, sampler, times
        self.n_genes, self.max_draws, self.precondition = n_genes, max_draws, precondition

    def observe(self, training: Training) -> None:
        self.inputs.observe(training.batch.features)
        left = self.left_over(training)
        self.scale.observe(left)
        self.prior.observe(training.counts, left)

    def prepare(self, batch: Batch) -> FlowContext:
        device = self.scale.mean.device
        features = self.inputs(torch.from_numpy(batch.features).to(device))
        geometry = self.denoiser.geometry(batch, features)
        part = torch.from_numpy(batch.part_of_spot()).to(device)
        return FlowContext(geometry, self.base_of(batch).to(device), part, len(batch))

    def loss(self, context: FlowContext, target: Tensor, rng: torch.Generator) -> Tensor:
        y1 = self._inwards(target, context)
        y0 = self._prior(context, 1, rng)[0]
        t = self.path.sample_times(int(context.part.max()) + 1, rng).to(y1.device)[context.part]  # [s], one per part
        guess = self._guess(context, self.path.at(y0, y1, t[:, None])[None], t)[0]
        return (guess - y1).square().mean()

    @torch.no_grad()
    def draw(self, context: FlowContext, n_draws: int, rng: torch.Generator) -> Tensor:
        self.denoiser.precompute(context.geometry)
        groups = [min(self.max_draws, n_draws - a) for a in range(0, n_draws, self.max_draws)]
        return torch.cat([self._draw(context, k, rng) for k in groups])

    def _draw(self, context: FlowContext, k: int, rng: torch.Generator) -> Tensor:
        y0 = self._prior(context, k, rng)
        one = y0.new_ones(1)

        def velocity(y: Tensor, t: float) -> Tensor:
            return self.path.velocity(y, self._guess(context, y, t * one), t * one)

        return self._outwards(self.sampler(velocity, y0, self.times), context).cpu()

    def _guess(self, context: FlowContext, y: Tensor, t: Tensor) -> Tensor:
        """The data end of the path, guessed from y [k s g] at times t [s] or [1]."""
        guess = self.denoiser(context.geometry, y, t)
        if not self.precondition:
            return guess
        keep, miss = self.path.linear_guess(t[:, None])
        return keep * y + miss * guess

    def _prior(self, context: FlowContext, k: int, rng: torch.Generator) -> Tensor:
        """Prior draws [k s g] on the denoiser's scale; draws of values lose the base, of residuals have none."""
        y0 = self.prior.sample(k, context.n_spots, self.n_genes, rng).to(context.base.device)
        if self.prior.of_residuals:
            return (y0 - self.scale.mean) / self.scale.sd
        return self._inwards(y0, context)

    def _inwards(self, values: Tensor, context: FlowContext) -> Tensor:
        return (values - context.base - self.scale.mean) / self.scale.sd

    def _outwards(self, values: Tensor, context: FlowContext) -> Tensor:
        return values * self.scale.sd + self.scale.mean + context.base
