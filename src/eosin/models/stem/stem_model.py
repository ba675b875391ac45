"""Stem's network and the diffusion around it; settings are in `stem.py`, losses in `stem_objective.py`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from eosin.generative.diffusion import DiffusionSampler, Guess, Schedule, at
from eosin.generative.mirrored import Noise, mirrored
from eosin.generative.noise_table import put_normal
from eosin.models.base import TakeDraws, Training
from eosin.models.parts.chunks import by_rows
from eosin.models.parts.dit import GeneDiT, TimeEmbedding, start_small
from eosin.models.parts.objective import Objective
from eosin.models.parts.on_base import NetworkUnits, OnBase
from eosin.models.parts.pieces import Hop, Pieces
from eosin.models.parts.rows_within import rows_within
from eosin.models.stem.stem_objective import NoiseAnswer
from eosin.storage.scratch import let_go
from eosin.types import Batch

TOKENS_AT_ONCE = {"cpu": 8192, "cuda": 262_144}
"""Genes times spots times draws in one evaluation of the network at most."""


@dataclass
class StemContext:
    """One prepared batch: inputs [s n] of the network, and the base's prediction [s g] (or [1 1] zeros)."""

    features: Tensor
    base: Tensor

    def take(self, rows: Tensor) -> StemContext:
        """Some of the spots."""
        return StemContext(self.features[rows], self.base if len(self.base) == 1 else self.base[rows])


class NoiseNet(nn.Module):
    """Noisy values, time and features of spots -> what the diffusion asks for, per gene."""

    def __init__(self, dit: GeneDiT, n_features: int, hidden: int, feature_dropout: float):
        super().__init__()
        self.dit = dit
        self.time = TimeEmbedding(dit.width)
        self.condition = nn.Sequential(nn.Linear(n_features, hidden), nn.SiLU(), nn.Linear(hidden, dit.width))
        start_small(self.condition)
        self.dropout = nn.Dropout(feature_dropout)

    def look(self, features: Tensor) -> Tensor:
        """The part of the condition that does not depend on time, [s width]."""
        return self.condition(self.dropout(features))

    def modulations(self, looked: Tensor, t: Tensor) -> list[Tensor]:
        """The whole condition at times t [s] or [1], as `GeneDiT` takes it."""
        return self.dit.modulations(looked + self.time(t))

    def forward(self, x: Tensor, modulations: list[Tensor]) -> Tensor:
        """[k s g] or [s g] -> [.. g channels]."""
        answer = self.dit.apply_modulations(x, modulations)
        return answer if isinstance(answer, Tensor) else answer[0]


class Stem(OnBase):
    """A diffusion over each spot's expression with its parts handed in.

    Parameters
    ----------
    net
        The network; it gives one number per gene, or two with `learned_variance`.
    schedule, sampler, noise
        Noise levels of the diffusion, the way back, and the noise that it starts from.
    units
        What stands between a batch and the network.
    objective
        What training minimises, of a `NoiseAnswer` and what its `number` should have been.
    precondition
        The network only corrects the best linear guess of the noise.
    learned_variance
        The network's second number is a share of the variance of a step back.
    spots_per_step
        Most spots of a training step's regions that are used.
    """

    def __init__(
        self,
        net: NoiseNet,
        schedule: Schedule,
        sampler: DiffusionSampler,
        noise: Noise,
        units: NetworkUnits,
        objective: Objective[NoiseAnswer, Tensor],
        *,
        precondition: bool,
        learned_variance: bool,
        spots_per_step: int,
    ):
        super().__init__(units)
        self.net, self.objective = net, objective
        self.schedule, self.sampler, self.noise = schedule, sampler, noise
        self.precondition, self.learned_variance = precondition, learned_variance
        self.spots_per_step = spots_per_step

    def observe_left_over(self, training: Training, left_over: np.ndarray) -> None:
        """Nothing more is fitted."""

    @property
    def generates(self) -> bool:
        """Draws are those of the diffusion."""
        return True

    @property
    def mirrored(self) -> bool:
        """Whether draws start from mirrored noise and the sampler adds none of its own."""
        return self.noise is mirrored and not self.sampler.adds_noise

    def prepare(self, batch: Batch) -> StemContext:
        """Inputs and the base's prediction."""
        return StemContext(*self.enter(batch))

    def loss(self, context: StemContext, target: Tensor, rng: torch.Generator) -> Tensor:
        """The objective for some of the spots, each at a random time."""
        if len(target) > self.spots_per_step:
            rows = torch.randperm(len(target), generator=rng)[: self.spots_per_step].to(target.device)
            context, target = context.take(rows), target[rows]
        clean = self.to_network(target, context.base)
        t = torch.randint(self.schedule.n_times, (len(clean),), generator=rng)
        noise = torch.randn(clean.shape, generator=rng).to(clean.device)
        noisy = self.schedule.noised(clean, noise, t)
        looked = self.net.look(context.features)
        answer = self.net(noisy, self.net.modulations(looked, t.to(clean.device)))
        signal, spread = at(self.schedule.signal, t, clean), at(self.schedule.noise, t, clean)
        wanted = signal * noise - spread * clean if self.precondition else noise
        guess = self._guess(answer, noisy, signal, spread)
        return self.objective(NoiseAnswer(answer[..., 0], guess, clean, noisy, t), wanted)

    def _guess(self, answer: Tensor, x: Tensor, signal: Tensor | float, spread: Tensor | float) -> Guess:
        """Noise in x as the network's answer means it. With values and noise of variance 1, the best linear guess of
        the noise is `spread * x`, and `signal` is the sd of what it misses."""
        noise = spread * x + signal * answer[..., 0] if self.precondition else answer[..., 0]
        return Guess(noise, answer[..., 1] if self.learned_variance else None)

    @property
    def reach(self) -> tuple[Hop, ...] | None:
        """A spot by itself, unless the way back draws noise for all spots at every step."""
        return () if self.base_in_pieces and not self.sampler.adds_noise else None

    @torch.no_grad()
    def draw_in_pieces(self, pieces: Pieces, n_draws: int, rng: torch.Generator, take: TakeDraws) -> None:
        """The base first, then the noise of all spots, then the way back, piece by piece."""
        base = self.predict_base_in_pieces(pieces)
        n_noise = (n_draws + 1) // 2 if self.mirrored else n_draws
        noise = pieces.table(n_noise, len(pieces), self.n_genes)
        put_normal(noise, rng)
        for piece in pieces.around(()):
            start = self.noise(lambda _, rows=piece.rows: torch.from_numpy(noise[:, rows]), n_draws)
            let_go(noise)
            take(piece.own, self._walk(StemContext(*self.enter_piece(piece, base)), start, rng).numpy())

    @torch.no_grad()
    def draw(self, context: StemContext, n_draws: int, rng: torch.Generator) -> Tensor:
        """Walk back from noise, all draws of a spot together."""
        shape = len(context.features), self.n_genes
        return self._walk(context, self.noise(lambda n: torch.randn(n, *shape, generator=rng), n_draws), rng)

    def _walk(self, context: StemContext, start: Tensor, rng: torch.Generator) -> Tensor:
        looked = self.net.look(context.features)

        def predict_noise(x: Tensor, t: int) -> Guess:
            signal, spread = float(self.schedule.signal[t]), float(self.schedule.noise[t])
            return self._guess(self._answer(x, looked, t), x, signal, spread)

        drawn = self.sampler(self.schedule, predict_noise, start.to(looked.device), rng)
        return self.to_values(drawn, context.base).cpu()

    def _answer(self, x: Tensor, looked: Tensor, t: int) -> Tensor:
        """The network at one time for all draws [k s g], in pieces that bound the memory.

        What depends on time and spot only is computed once per spot, for all draws.
        """
        k, n_spots, n_genes = x.shape
        at_once = rows_within(TOKENS_AT_ONCE, x.device, n_genes)  # rows of k times s
        time = torch.full((1,), t, device=x.device)

        def answer(rows: slice) -> Tensor:
            shared, n_draws = self.net.modulations(looked[rows], time), min(k, at_once)
            return torch.cat([self.net(x[a : a + n_draws, rows], shared) for a in range(0, k, n_draws)])

        return by_rows(answer, n_spots, max(1, at_once // k))
