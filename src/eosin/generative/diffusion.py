"""Diffusion in discrete steps that keeps the variance (Ho et al., NeurIPS 2020), and three ways back.

The data x_0 are noised in T steps: x_t = sqrt(abar_t) x_0 + sqrt(1 - abar_t) noise, abar_t the product of 1 - beta.
A network guesses the noise from x_t; a sampler walks from pure noise back to data, and every sampler here is an
object with one signature, so that they can be exchanged. Times are 0 to T - 1 as in code that is in use, one less
than in the papers: the data themselves have no number.

- `Ancestral`: T evaluations and fresh noise in every step, as Stem was published;
- `DDIM`: deterministic, first order, on a few of the T times (Song et al., ICLR 2021);
- `DPMSolver`: DPM-Solver++(2M), deterministic, second order, on even steps of log(signal / noise)
  (Lu et al. 2022).
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import ClassVar, NamedTuple

import numpy as np
import torch
from torch import Tensor


class Guess(NamedTuple):
    """A network's guess from x_t: the noise in it, and, if it learned one, a share of variance in [-1, 1]."""

    noise: Tensor
    share: Tensor | None = None


PredictNoise = Callable[[Tensor, int], Guess]
"""(x, t) -> Guess, for x of any shape and one time t of 0 to T - 1."""


@dataclass(frozen=True, eq=False)
class Schedule:
    """The amounts of noise of each step, `betas` [T] in (0, 1)."""

    betas: np.ndarray

    @classmethod
    def linear(cls, n_times: int = 1000, first: float = 1e-4, last: float = 0.02) -> Schedule:
        """Betas rise evenly; the defaults are those of Ho et al. and of Stem."""
        return cls(np.linspace(first, last, n_times))

    @property
    def n_times(self) -> int:
        """Number of noise levels T."""
        return len(self.betas)

    @cached_property
    def kept(self) -> np.ndarray:
        """abar [T]: share of the data's variance that is left at each time."""
        return np.cumprod(1 - self.betas)

    @cached_property
    def signal(self) -> np.ndarray:
        """Weight of the data [T] in x_t."""
        return np.sqrt(self.kept)

    @cached_property
    def noise(self) -> np.ndarray:
        """Weight of the noise [T] in x_t."""
        return np.sqrt(1 - self.kept)

    @cached_property
    def log_ratio(self) -> np.ndarray:
        """log(signal / noise) [T], falling."""
        return np.log(self.signal / self.noise)

    @cached_property
    def before(self) -> np.ndarray:
        """abar of the time before [T]; 1 before the first."""
        return np.concatenate([[1.0], self.kept[:-1]])

    @cached_property
    def posterior_variance(self) -> np.ndarray:
        """Variance [T] of x_{t-1} given x_t and x_0; 0 at the first time, where x_{t-1} is x_0."""
        return self.betas * (1 - self.before) / (1 - self.kept)

    @cached_property
    def log_variances(self) -> tuple[np.ndarray, np.ndarray]:
        """Logarithms [T] of the smallest and the largest sensible variance of a step back.

        The smallest is the posterior's. At the first time that is 0, and the next one stands in, as is usual.
        """
        low = self.posterior_variance.copy()
        low[0] = low[1] if len(low) > 1 else self.betas[0]
        return np.log(low), np.log(self.betas)

    def posterior_weights(self) -> tuple[np.ndarray, np.ndarray]:
        """Weights [T] of x_0 and of x_t in the mean of x_{t-1}."""
        clean = self.betas * np.sqrt(self.before) / (1 - self.kept)
        noisy = (1 - self.before) * np.sqrt(1 - self.betas) / (1 - self.kept)
        return clean, noisy

    def noised(self, clean: Tensor, noise: Tensor, t: Tensor) -> Tensor:
        """x_t for times `t` [b] of rows `clean` [b ...]."""
        return at(self.signal, t, clean) * clean + at(self.noise, t, clean) * noise

    def clean(self, x: Tensor, noise: Tensor, t: int) -> Tensor:
        """x_0 that x_t and its noise imply."""
        return torch.add(x, noise, alpha=-float(self.noise[t])) / float(self.signal[t])


def at(values: np.ndarray, t: Tensor, like: Tensor) -> Tensor:
    """Values [T] at times t [b], shaped to go over `like` [b ...] (on its device, of its type)."""
    chosen = torch.from_numpy(values).to(like.device, like.dtype)[t.to(like.device)]
    return chosen.view(-1, *([1] * (like.ndim - 1)))


class DiffusionSampler(ABC):
    """From pure noise x to a draw from the data. Independent of all that shares no noise with it.

    `adds_noise` says that the way back draws noise of its own.
    """

    adds_noise: ClassVar[bool] = False

    @abstractmethod
    def n_evaluations(self, schedule: Schedule) -> int:
        """Calls of the network for one draw."""

    @abstractmethod
    def __call__(self, schedule: Schedule, predict_noise: PredictNoise, x: Tensor, rng: torch.Generator) -> Tensor:
        """Walk back from x, standard normal noise of any shape. `rng` lives on the CPU."""


@dataclass(frozen=True)
class Ancestral(DiffusionSampler):
    """Every time, backwards, with fresh noise; the variance is the posterior's, or the network's where it gave one."""

    adds_noise: ClassVar[bool] = True

    def n_evaluations(self, schedule: Schedule) -> int:
        """All T times."""
        return schedule.n_times

    def __call__(self, schedule: Schedule, predict_noise: PredictNoise, x: Tensor, rng: torch.Generator) -> Tensor:
        """Walk back with fresh noise from `rng` at every time but the first."""
        clean_weight, noisy_weight = schedule.posterior_weights()
        for t in reversed(range(schedule.n_times)):
            guess = predict_noise(x, t)
            clean = schedule.clean(x, guess.noise, t)
            x = float(clean_weight[t]) * clean + float(noisy_weight[t]) * x
            if t > 0:
                fresh = torch.randn(x.shape, generator=rng, dtype=x.dtype).to(x.device)
                x = x + _sd(schedule, guess, t) * fresh
        return x


def _sd(schedule: Schedule, guess: Guess, t: int) -> Tensor | float:
    if guess.share is None:
        return math.sqrt(schedule.posterior_variance[t])
    low, high = schedule.log_variances
    return torch.exp(0.5 * mix(guess.share, float(low[t]), float(high[t])))


def mix(share: Tensor, low: Tensor | float, high: Tensor | float) -> Tensor:
    """A learned log variance: `low` where the share is -1, `high` where it is 1 (Nichol and Dhariwal 2021)."""
    part = (share + 1) / 2
    return part * high + (1 - part) * low


def _spread(first: float, last: float, n: int) -> np.ndarray:
    """`n` numbers from first to last, evenly spread.

    Two are the first and the middle: at the last, where nearly no noise is left, a guess changes nothing.
    """
    return np.linspace(first, last, n, endpoint=n != 2)


@dataclass(frozen=True)
class DDIM(DiffusionSampler):
    """Deterministic steps of first order on times evenly spread over 0 to T - 1."""

    n_steps: int = 50

    def times(self, schedule: Schedule) -> list[int]:
        """`n_steps` times from T - 1 to 0, evenly spread and rounded, no time twice; two are T - 1 and half of it."""
        even = _spread(schedule.n_times - 1, 0, min(self.n_steps, schedule.n_times))
        return list(dict.fromkeys(int(t) for t in np.round(even)))

    def n_evaluations(self, schedule: Schedule) -> int:
        """As many as there are times left after rounding."""
        return len(self.times(schedule))

    def __call__(self, schedule: Schedule, predict_noise: PredictNoise, x: Tensor, rng: torch.Generator) -> Tensor:
        """Walk back; `rng` is not used."""
        times = self.times(schedule)
        for t, following in pairwise(times):
            noise = predict_noise(x, t).noise
            clean = schedule.clean(x, noise, t)
            x = float(schedule.signal[following]) * clean + float(schedule.noise[following]) * noise
        return schedule.clean(x, predict_noise(x, times[-1]).noise, times[-1])


@dataclass(frozen=True)
class DPMSolver(DiffusionSampler):
    """DPM-Solver++(2M): each step extends the last two guesses of x_0 linearly in log(signal / noise).

    The first step has one guess only and is DDIM's. The last one lands on the last guess of x_0 itself.
    """

    n_steps: int = 20

    def times(self, schedule: Schedule) -> list[int]:
        """Even steps of the log ratio, rounded to times that the network has seen, no time twice.

        Of two, the second is half of the way.
        """
        ratio = schedule.log_ratio
        even = _spread(ratio[-1], ratio[0], min(self.n_steps, schedule.n_times))
        nearest = np.interp(even, ratio[::-1], np.arange(schedule.n_times)[::-1])
        return list(dict.fromkeys(int(t) for t in np.round(nearest)))

    def n_evaluations(self, schedule: Schedule) -> int:
        """As many as there are times left after rounding."""
        return len(self.times(schedule))

    def __call__(self, schedule: Schedule, predict_noise: PredictNoise, x: Tensor, rng: torch.Generator) -> Tensor:
        """Walk back; `rng` is not used."""
        times, ratio = self.times(schedule), schedule.log_ratio
        last, last_step = x, 0.0
        for t, following in pairwise(times):
            clean = schedule.clean(x, predict_noise(x, t).noise, t)
            step = float(ratio[following] - ratio[t])
            ahead = clean if last_step == 0 else clean + (step / (2 * last_step)) * (clean - last)
            shrink = float(schedule.noise[following] / schedule.noise[t])
            x = shrink * x - float(schedule.signal[following]) * math.expm1(-step) * ahead
            last, last_step = clean, step
        return schedule.clean(x, predict_noise(x, times[-1]).noise, times[-1])


def variational_bits(schedule: Schedule, clean: Tensor, noisy: Tensor, t: Tensor, guess: Guess) -> Tensor:
    """What the step back from x_t costs in bits, per row [b]: the loss that trains a learned variance.

    For t > 0 it is the divergence of the true posterior from the guessed one, both normal. For t = 0 it is minus
    the log density of x_0 under the guessed normal: the data are continuous, so there are no bins as for the 256
    grey levels of images. The guessed mean is not trained by it (as in Nichol and Dhariwal 2021).
    """
    if guess.share is None:
        raise ValueError("the guess has no share of variance")
    clean_weight = at(schedule.posterior_weights()[0], t, clean)
    low, high = (at(v, t, clean) for v in schedule.log_variances)
    noise = guess.noise.detach()
    guessed = (noisy - at(schedule.noise, t, clean) * noise) / at(schedule.signal, t, clean)
    miss = (clean_weight * (clean - guessed)).square()  # the part of x_t is the same in both means
    log_variance = mix(guess.share, low, high)
    divergence = 0.5 * (log_variance - low - 1 + torch.exp(low - log_variance) + miss * torch.exp(-log_variance))
    density = 0.5 * (math.log(2 * math.pi) + log_variance + miss * torch.exp(-log_variance))
    first = (t.to(clean.device) == 0).view(-1, *([1] * (clean.ndim - 1)))
    return torch.where(first, density, divergence).flatten(1).mean(1) / math.log(2)
