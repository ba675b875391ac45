"""Flow matching over expression: a prior, a path, a sampler and any denoiser (STFlow, section 3.2).

The denoiser guesses the data end Y_1 from a point Y_t of the path; training minimises an objective of guess and truth
(the squared error in the paper), sampling follows the velocity that the guess implies (Algorithms 1 and 2). Two
optional parts go beyond the paper:

- the flow's ends may be what a closed-form model leaves over, on features that are standardised or reduced
  (`on_base.py`);
- `precondition`: the network only corrects the best linear guess of Y_1 from Y_t, so that even an untrained one
  samples the right spread.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor, nn

from eosin.generative import Prior, ProbabilityPath, Sampler, SpotPlaces
from eosin.models.base import TakeDraws, Training
from eosin.models.parts.objective import ValueObjective
from eosin.models.parts.on_base import NetworkUnits, OnBase
from eosin.models.parts.pieces import Hop, Pieces
from eosin.models.parts.smoothing import rows_to_judge
from eosin.storage.scratch import let_go
from eosin.types import Batch


@runtime_checkable
class LooksAround(Protocol):
    """A network that says how far one evaluation looks; of others sections are predicted as a whole."""

    @property
    def hops(self) -> tuple[Hop, ...]:
        """One for each layer."""
        ...


class DenoiserPart(Protocol):
    """What a flow needs of a network."""

    @property
    def heads(self) -> Iterable[nn.Linear]:
        """The last linear maps; with all of them at 0 the network's answer is 0."""
        ...

    def geometry(self, batch: Batch, features: Tensor) -> Any:
        """Neighbours and offsets as tensors beside `features` [s f]."""
        ...

    def precompute(self, geometry: Any) -> Any:
        """What all steps and draws share; inference only."""
        ...

    def __call__(self, geometry: Any, y: Tensor, t: Tensor) -> Tensor:
        """The data end [k s g] guessed from y [k s g] at times t ([s], one per spot, or [1])."""
        ...


@dataclass(frozen=True)
class FlowParts:
    """Where a flow starts, how it goes, and how it is followed.

    Attributes
    ----------
    prior, path, sampler
        See `eosin.generative`.
    times
        Grid of the sampler, ending at 1.
    precondition
        Let the network only correct the best linear guess of the data end.
    """

    prior: Prior
    path: ProbabilityPath
    sampler: Sampler
    times: list[float]
    precondition: bool


@dataclass
class FlowContext:
    """One prepared batch: geometry for the denoiser, and the base's prediction (0 without a base)."""

    geometry: Any
    base: Tensor  # [s g] or [1 1]
    places: SpotPlaces


class FlowModel(OnBase):
    """A flow with its parts handed in.

    Parameters
    ----------
    denoiser
        A network that is a `DenoiserPart`.
    flow
        Prior, path and sampler.
    units
        What stands between a batch and the denoiser.
    objective
        What training minimises, of guessed and true data ends [s g] in the network's units.
    max_draws
        Draws that go through the network at once; even, so that mirrored pairs stay together.
    """

    def __init__(
        self,
        denoiser: nn.Module,
        flow: FlowParts,
        units: NetworkUnits,
        objective: ValueObjective,
        *,
        max_draws: int = 16,
    ):
        super().__init__(units)
        if max_draws % 2:
            raise ValueError(f"max_draws is {max_draws}, which would part a mirrored pair; give an even number")
        self.denoiser, self.prior, self.path = denoiser, flow.prior, flow.path
        self.sampler, self.times, self.precondition = flow.sampler, flow.times, flow.precondition
        self.objective, self.max_draws = objective, max_draws

    def observe_left_over(self, training: Training, left_over: np.ndarray) -> None:
        """Fit the prior, to some spots of very many."""
        rows = rows_to_judge(training.batch, self.n_genes)
        values = left_over if self.prior.of_residuals else training.target
        self.prior.observe(np.asarray(training.counts[rows]), values[rows], _places(training.batch).take(rows))

    @property
    def generates(self) -> bool:
        """Whether the prior has any noise; from a fixed start all draws are one."""
        return self.prior.generates

    @property
    def mirrored(self) -> bool:
        """Whether the prior's draws are: the sampler adds no noise."""
        return self.prior.mirrored

    def prepare(self, batch: Batch) -> FlowContext:
        """Neighbours, inputs and the base's prediction, for all times and draws."""
        return self._context(batch, *self.enter(batch))

    def _context(self, batch: Batch, features: Tensor, base: Tensor) -> FlowContext:
        return FlowContext(self.denoiser.geometry(batch, features), base, _places(batch))

    @property
    def reach(self) -> tuple[Hop, ...] | None:
        """One hop for each layer and evaluation, where network and base look at what is near; else None."""
        if not isinstance(self.denoiser, LooksAround) or not self.base_in_pieces:
            return None
        return self.denoiser.hops * self._n_evaluations()

    def _n_evaluations(self) -> int:
        """How often the sampler asks the network for one draw."""
        asked = []

        def velocity(y: Tensor, t: float) -> Tensor:
            asked.append(t)
            return y

        self.sampler(velocity, torch.zeros(1), self.times)
        return len(asked)

    def loss(self, context: FlowContext, target: Tensor, rng: torch.Generator) -> Tensor:
        """The objective at one random time per part (Algorithm 1)."""
        y1 = self.to_network(target, context.base)
        y0 = self._prior(context, 1, rng)[0]
        part = torch.from_numpy(context.places.section).to(y1.device)
        t = self.path.sample_times(int(part.max()) + 1, rng).to(y1.device)[part]  # [s], one per part
        guess = self._guess(context, self.path.at(y0, y1, t[:, None])[None], t)[0]
        return self.objective(guess, y1)

    @torch.no_grad()
    def draw(self, context: FlowContext, n_draws: int, rng: torch.Generator) -> Tensor:
        """Follow the flow from draws of the prior (Algorithm 2), `max_draws` at once."""
        self.denoiser.precompute(context.geometry)
        return torch.cat([self._follow(context, self._prior(context, k, rng)) for k in self._groups(n_draws)])

    def _groups(self, n_draws: int) -> list[int]:
        """Numbers of draws that go through the network together."""
        return [min(self.max_draws, n_draws - a) for a in range(0, n_draws, self.max_draws)]

    @torch.no_grad()
    def draw_in_pieces(self, pieces: Pieces, n_draws: int, rng: torch.Generator, take: TakeDraws) -> None:
        """The base first, then the prior's noise of all spots, then the flow, piece by piece."""
        assert self.reach is not None
        base, groups, places = self.predict_base_in_pieces(pieces), self._groups(n_draws), _places(pieces.batch)
        noise = [pieces.table(self.prior.n_noise(k), len(pieces), self.n_genes) for k in groups]
        for table in noise:
            self.prior.fill(table, places, rng)
        for piece in pieces.around(self.reach):
            context = self._context(piece.batch, *self.enter_piece(piece, base))
            self.denoiser.precompute(context.geometry)
            drawn, own = np.empty((n_draws, int(piece.is_own.sum()), self.n_genes), np.float32), piece.is_own
            for start, k, table in zip(np.cumsum([0, *groups]), groups, noise):
                y0 = self.prior.of_noise(torch.from_numpy(table[:, piece.rows]), k)
                let_go(table)
                drawn[start : start + k] = self._follow(context, self._start(context, y0)).numpy()[:, own]
            del context
            take(piece.own, drawn)

    def _follow(self, context: FlowContext, y0: Tensor) -> Tensor:
        """Draws [k s g] of values, on the CPU, from where the flow starts."""
        one = y0.new_ones(1)

        def velocity(y: Tensor, t: float) -> Tensor:
            return self.path.velocity(y, self._guess(context, y, t * one), t * one)

        return self.to_values(self.sampler(velocity, y0, self.times), context.base).cpu()

    def _guess(self, context: FlowContext, y: Tensor, t: Tensor) -> Tensor:
        """The data end of the path, guessed from y [k s g] at times t [s] or [1]."""
        guess = self.denoiser(context.geometry, y, t)
        if not self.precondition:
            return guess
        keep, miss = self.path.linear_guess(t[:, None])
        return keep * y + miss * guess

    def _prior(self, context: FlowContext, k: int, rng: torch.Generator) -> Tensor:
        """Prior draws [k s g] on the denoiser's scale; draws of values lose the base, of residuals have none."""
        return self._start(context, self.prior.sample(k, context.places, self.n_genes, rng))

    def _start(self, context: FlowContext, y0: Tensor) -> Tensor:
        y0 = y0.to(context.base.device)
        if self.prior.of_residuals:
            return (y0 - self.scale.mean) / self.scale.sd
        return self.to_network(y0, context.base)


def _places(batch: Batch) -> SpotPlaces:
    return SpotPlaces(batch.xy_um, batch.part_of_spot())
