"""Stem: conditional diffusion over the genes of one spot (Zhu et al., ICLR 2025).

A spot's expression is noised in 1000 steps; a transformer with one token per gene (`dit.py`) guesses the noise,
given the spot's features. Spots are independent given their features: a region is just a minibatch, and memory is
linear in spots. The diffusion is in `generative/diffusion.py`.
Where eosin differs from the paper or its release, and why:

- Draws take 20 evaluations of the network by DPM-Solver++ instead of 1000; preset `paper` takes the 1000.
- The network is small and regularised by default, and generates what a tuned ridge leaves over, each gene scaled
  to unit variance (the diffusion ends at unit variance, and small cohorts do not carry 36 million parameters).
- By default the network only corrects the best linear guess of the noise (`precondition`), which is what is called
  v-prediction (Salimans and Ho, 2022).
- The variance of a step back is fixed, as in the paper. The release learns it; `learned_variance` does so too, with
  a density of continuous values at the first time where the release counts 256 grey levels.
- Tiles under flips and rotations are seen with `eosin encode --symmetries` and `train.augment = 0.8`, the paper's four
  turned tiles to one as it lies. They are chosen anew in every step, not once. It is off unless asked for.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from eosin.config import Settings
from eosin.generative.diffusion import (
    DDIM,
    Ancestral,
    DiffusionSampler,
    DPMSolver,
    Guess,
    Schedule,
    at,
    variational_bits,
)
from eosin.models.base import MODELS, ModelEntry, Training
from eosin.models.parts.dit import GeneDiT, TimeEmbedding, start_small
from eosin.models.parts.on_base import OnBase
from eosin.models.parts.scaling import InputMap, ValueScale
from eosin.models.ridge import Ridge, RidgeSettings
from eosin.types import Batch, GenePanel

TOKENS_AT_ONCE = {"cpu": 8192, "cuda": 262_144}  # genes times spots times draws in one evaluation at most


class StemSettings(Settings):
    depth: int = Field(3, ge=1, description="transformer blocks over genes")
    width: int = Field(64, ge=8, description="width of a gene's token")
    n_heads: int = Field(4, ge=1, description="attention heads; must divide the width")
    mlp_ratio: float = Field(4.0, gt=0, description="hidden width of a block's feed-forward map, in widths")
    condition_width: int | None = Field(
        64, ge=8, description="hidden width of the map from features to condition; none: as many as features"
    )
    dropout: float = Field(0.2, ge=0, lt=1, description="dropout rate in blocks")
    feature_dropout: float = Field(0.6, ge=0, lt=1, description="dropout rate of the features")
    n_components: int | None = Field(
        16, ge=1, description="principal components of the features; none: all features, standardised"
    )
    standardise: bool = Field(True, description="give every gene mean 0 and sd 1 inside the diffusion, as its end has")
    base: bool = Field(True, description="generate what a cross-fitted tuned ridge leaves over")
    precondition: bool = Field(True, description="let the network only correct the best linear guess of the noise")
    learned_variance: bool = Field(False, description="learn the variance of each step back, as the release does")
    n_times: int = Field(1000, ge=2, description="noise levels of the diffusion")
    beta_first: float = Field(1e-4, gt=0, lt=1, description="share of noise that the first level adds")
    beta_last: float = Field(0.02, gt=0, lt=1, description="share of noise that the last level adds")
    sampler: Literal["dpm", "ddim", "ancestral"] = Field(
        "dpm", description="how draws are made; ancestral as published"
    )
    n_steps: int = Field(20, ge=1, description="evaluations for a draw by dpm or ddim; ancestral takes all levels")
    mirrored: bool = Field(True, description="start every second draw at the negative noise, which steadies the mean")
    spots_per_step: int = Field(256, ge=1, description="most spots of a training step's regions that are used")


@dataclass
class StemContext:
    """One prepared batch: scaled features [s f] and the base's prediction [s g] (or [1 1] zeros)."""

    features: Tensor
    base: Tensor

    def take(self, rows: Tensor) -> StemContext:
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
        return self.dit.modulations(looked + self.time(t))

    def forward(self, x: Tensor, modulations: list[Tensor]) -> Tensor:
        """[k s g] or [s g] -> [.. g channels]."""
        answer = self.dit.apply_modulations(x, modulations)
        return answer if isinstance(answer, Tensor) else answer[0]


class Stem(OnBase):
    """A diffusion over each spot's expression with its parts handed in."""

    def __init__(
        self,
        net: NoiseNet,
        schedule: Schedule,
        sampler: DiffusionSampler,
        inputs: InputMap,
        scale: ValueScale,
        base: Ridge | None,
        n_genes: int,
        *,
        precondition: bool = True,
        learned_variance: bool = False,
        mirrored: bool = True,
        spots_per_step: int = 256,
    ):
        super().__init__(base)
        self.net, self.inputs, self.scale = net, inputs, scale
        self.schedule, self.sampler, self.n_genes = schedule, sampler, n_genes
        self.precondition, self.learned_variance, self.mirrored = precondition, learned_variance, mirrored
        self.spots_per_step = spots_per_step

    def observe(self, training: Training) -> None:
        self.inputs.observe(training.batch.features)
        left = self.left_over(training)
        self.scale.observe(left)

    def prepare(self, batch: Batch) -> StemContext:
        device = self.scale.mean.device
        features = self.inputs(torch.from_numpy(batch.features).to(device))
        return StemContext(features, self.base_of(batch).to(device))

    def loss(self, context: StemContext, target: Tensor, rng: torch.Generator) -> Tensor:
        """Mean squared error of the noise (of its correction, with `precondition`), plus the bits of the variance."""
        if len(target) > self.spots_per_step:
            rows = torch.randperm(len(target), generator=rng)[: self.spots_per_step].to(target.device)
            context, target = context.take(rows), target[rows]
        clean = (target - context.base - self.scale.mean) / self.scale.sd
        t = torch.randint(self.schedule.n_times, (len(clean),), generator=rng)
        noise = torch.randn(clean.shape, generator=rng).to(clean.device)
        noisy = self.schedule.noised(clean, noise, t)
        looked = self.net.look(context.features)
        answer = self.net(noisy, self.net.modulations(looked, t.to(clean.device)))
        signal, spread = at(self.schedule.signal, t, clean), at(self.schedule.noise, t, clean)
        wanted = signal * noise - spread * clean if self.precondition else noise
        error = (answer[..., 0] - wanted).square().mean()
        if not self.learned_variance:
            return error
        guess = self._guess(answer, noisy, signal, spread)
        return error + variational_bits(self.schedule, clean, noisy, t, guess).mean()

    def _guess(self, answer: Tensor, x: Tensor, signal: Tensor | float, spread: Tensor | float) -> Guess:
        """Noise in x as the network's answer means it. With values and noise of variance 1, the best linear guess of
        the noise is `spread * x`, and `signal` is the sd of what it misses."""
        noise = spread * x + signal * answer[..., 0] if self.precondition else answer[..., 0]
        return Guess(noise, answer[..., 1] if self.learned_variance else None)

    @torch.no_grad()
    def draw(self, context: StemContext, n_draws: int, rng: torch.Generator) -> Tensor:
        looked = self.net.look(context.features)
        n_spots = len(looked)

        def predict_noise(x: Tensor, t: int) -> Guess:
            return self._guess(self._answer(x, looked, t), x, float(self.schedule.signal[t]), self._spread(t))

        start = self._start(n_draws, n_spots, rng).to(looked.device)
        drawn = self.sampler(self.schedule, predict_noise, start, rng)
        return (drawn * self.scale.sd + self.scale.mean + context.base).cpu()

    def _spread(self, t: int) -> float:
        return float(self.schedule.noise[t])

    def _start(self, k: int, n_spots: int, rng: torch.Generator) -> Tensor:
        if not self.mirrored:
            return torch.randn(k, n_spots, self.n_genes, generator=rng)
        half = torch.randn((k + 1) // 2, n_spots, self.n_genes, generator=rng)
        return torch.stack([half, -half], 1).flatten(0, 1)[:k]

    def _answer(self, x: Tensor, looked: Tensor, t: int) -> Tensor:
        """The network at one time for all draws [k s g], in pieces that bound the memory.

        What depends on time and spot only is computed once per spot, for all draws.
        """
        k, n_spots, n_genes = x.shape
        budget = max(1, TOKENS_AT_ONCE.get(x.device.type, TOKENS_AT_ONCE["cuda"]) // n_genes)  # rows of k times s
        spots, draws = max(1, budget // k), max(1, min(k, budget))
        time = torch.full((1,), t, device=x.device)
        pieces = []
        for a in range(0, n_spots, spots):
            shared = self.net.modulations(looked[a : a + spots], time)
            here = [self.net(x[d : d + draws, a : a + spots], shared) for d in range(0, k, draws)]
            pieces.append(torch.cat(here))
        return torch.cat(pieces, 1)


_SAMPLERS: dict[str, Callable[[int], DiffusionSampler]] = {
    "dpm": DPMSolver,
    "ddim": DDIM,
    "ancestral": lambda n_steps: Ancestral(),
}


def build(settings: StemSettings, n_features: int, panel: GenePanel) -> Stem:
    """Put the parts together; no I/O, no device."""
    s, n_genes = settings, len(panel)
    inputs = InputMap(n_features, s.n_components)
    channels = 2 if s.learned_variance else 1
    dit = GeneDiT(n_genes, s.width, s.depth, s.n_heads, s.mlp_ratio, channels, dropout=s.dropout)
    return Stem(
        NoiseNet(dit, inputs.n_out, s.condition_width or inputs.n_out, s.feature_dropout),
        Schedule.linear(s.n_times, s.beta_first, s.beta_last),
        _SAMPLERS[s.sampler](s.n_steps),
        inputs,
        ValueScale(n_genes, standardise=s.standardise),
        Ridge(RidgeSettings.of(), n_features, panel) if s.base else None,
        n_genes,
        precondition=s.precondition,
        learned_variance=s.learned_variance,
        mirrored=s.mirrored,
        spots_per_step=s.spots_per_step,
    )


_PAPER = {
    "depth": 12,
    "width": 384,
    "n_heads": 6,
    "condition_width": None,
    "dropout": 0.0,
    "feature_dropout": 0.0,
    "n_components": None,
    "standardise": False,
    "base": False,
    "precondition": False,
    "sampler": "ancestral",
    "mirrored": False,
}

MODELS.add(
    "stem",
    ModelEntry(
        build,
        StemSettings,
        "conditional diffusion over the genes of each spot",
        "Zhu et al., ICLR 2025",
        drawing=("sampler", "n_steps", "mirrored"),
        presets={
            "paper": {
                "model": _PAPER,
                "train": {
                    "lr": 1e-4,
                    "weight_decay": 0.0,
                    "clip": 1e9,
                    "ema": 0.9999,
                    "epochs": 800,
                    "regions_per_section": 40,
                    "regions_per_step": 4,
                    "early_stopping": False,
                },
            },
            "small": {
                "model": {"depth": 2, "width": 48, "n_steps": 10, "spots_per_step": 128},
                "train": {"lr": 1e-3, "epochs": 30, "patience": 8},
            },
        },
    ),
)
