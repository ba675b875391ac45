"""Variance-exploding diffusion: x_sigma = x_0 + sigma * noise, and the way back by Heun's method.

Everything is written for a denoiser D(x, sigma), the guess of x_0. The score is (D - x) / sigma^2 (Tweedie), the
probability-flow equation dx / d sigma = (x - D) / sigma. How a network's numbers become a guess is a part of its own:
`Score` (Song et al. 2021; what FLAG publishes) or `LinearGuess` (Karras et al. 2022, with the data's covariance).

Noise levels are tensors that broadcast against x [.. s c], as [s 1] or [1 1].
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn

Denoise = Callable[[Tensor, float], Tensor]
"""D(x, sigma), the guess of clean data."""


@dataclass(frozen=True)
class VE:
    """sigma(t) = smallest * (largest / smallest)^t for t from 0 to 1."""

    smallest: float = 0.01
    largest: float = 10.0

    @property
    def _span(self) -> float:
        return math.log(self.largest / self.smallest)

    def sigma(self, t: Tensor) -> Tensor:
        """Noise levels at times t in [0, 1]."""
        return self.smallest * torch.exp(self._span * t)

    def time(self, sigma: Tensor) -> Tensor:
        """The times in [0, 1] of noise levels."""
        return torch.log(sigma / self.smallest) / self._span

    def sample_times(self, n: int, rng: torch.Generator, *, first: float = 0.01) -> Tensor:
        """Training times [n]: each uniform on [first, 1], together spread evenly, which steadies the loss."""
        offset = torch.rand(1, generator=rng)
        even = (torch.randperm(n, generator=rng) + offset) / n
        return first + (1 - first) * even

    def even_levels(self, n_steps: int, last: float = 0.01) -> list[float]:
        """n_steps + 1 levels at equal distances in t, from t = 1 to `last` (FLAG)."""
        return [self.smallest * math.exp(self._span * t) for t in np.linspace(1.0, last, n_steps + 1)]

    def curved_levels(self, n_steps: int, rho: float = 7.0) -> list[float]:
        """n_steps + 1 levels, denser where they are small (Karras et al. 2022, equation 5)."""
        ends = self.largest ** (1 / rho), self.smallest ** (1 / rho)
        return [float(x) for x in np.linspace(*ends, n_steps + 1) ** rho]


@dataclass(frozen=True)
class Clock:
    """The variable u(sigma) in which the sampler takes its straight steps: dx/du = rate(sigma) * (x - D)."""

    at: Callable[[float], float]
    rate: Callable[[float], float]


SIGMA = Clock(at=lambda sigma: sigma, rate=lambda sigma: 1 / sigma)
LOG_SIGMA = Clock(at=math.log, rate=lambda _sigma: 1.0)


def heun_back(denoise: Denoise, x: Tensor, levels: Sequence[float], clock: Clock = SIGMA) -> Tensor:
    """From noise x at levels[0] to clean data: Heun's steps, then Tweedie's formula at the last level.

    Takes 2 * (len(levels) - 1) + 1 evaluations. With even levels and `LOG_SIGMA`, in which t is linear, this is
    FLAG's Algorithm 2.
    """
    for sigma, sigma_next in pairwise(levels):
        step = clock.at(sigma_next) - clock.at(sigma)
        slope = clock.rate(sigma) * (x - denoise(x, sigma))
        ahead = torch.add(x, slope, alpha=step)
        slope_next = clock.rate(sigma_next) * (ahead - denoise(ahead, sigma_next))
        x = x + step / 2 * (slope + slope_next)
    return denoise(x, levels[-1])


class Output(nn.Module, ABC):
    """How a network's numbers become a guess of clean data, and what its error costs."""

    def observe(self, values: np.ndarray) -> None:
        """Learn once, before training, from the clean values [s c] that are to be generated."""

    @abstractmethod
    def enter(self, x: Tensor, sigma: Tensor) -> Tensor:
        """Noisy data as the network takes it."""

    @abstractmethod
    def guess(self, x: Tensor, answer: Tensor, sigma: Tensor) -> Tensor:
        """Clean data from the network's answer."""

    @abstractmethod
    def error(self, guess: Tensor, clean: Tensor, sigma: Tensor) -> Tensor:
        """What the loss squares, element by element."""

    @abstractmethod
    def start(self, noise: Tensor, sigma: Tensor) -> Tensor:
        """Where sampling begins, from standard normal noise."""


class Score(Output):
    """The network answers with the score, from x as it is; its error is sigma * score + noise (equation 12)."""

    def enter(self, x: Tensor, sigma: Tensor) -> Tensor:
        """The data as they are."""
        return x

    def guess(self, x: Tensor, answer: Tensor, sigma: Tensor) -> Tensor:
        """Tweedie's formula."""
        return x + sigma.square() * answer

    def error(self, guess: Tensor, clean: Tensor, sigma: Tensor) -> Tensor:
        """sigma * score + noise."""
        return (guess - clean) / sigma

    def start(self, noise: Tensor, sigma: Tensor) -> Tensor:
        """Noise of the level itself."""
        return sigma * noise


class LinearGuess(Output):
    """The network corrects the best linear guess, in units of what that guess misses.

    With data of mean 0 and covariance C the best linear guess is C (C + sigma^2)^-1 x. For C = sd^2 this is the
    preconditioning of Karras et al. (2022); the full covariance lets even an untrained network sample data with the
    right covariance.
    """

    axes: Tensor
    variance: Tensor

    def __init__(self, n_channels: int):
        super().__init__()
        self.register_buffer("axes", torch.eye(n_channels))  # columns
        self.register_buffer("variance", torch.ones(n_channels))

    def observe(self, values: np.ndarray) -> None:
        """Covariance of `values`, pulled towards its diagonal where there are few rows; their mean is taken as 0."""
        values = values.astype(np.float64)
        n, c = values.shape
        covariance = values.T @ values / max(n, 1)
        share = c / (c + n)
        covariance = (1 - share) * covariance + share * np.diag(np.diag(covariance))
        variance, axes = np.linalg.eigh(covariance)
        self.axes.copy_(torch.from_numpy(axes))
        self.variance.copy_(torch.from_numpy(np.maximum(variance, 1e-4)))

    def enter(self, x: Tensor, sigma: Tensor) -> Tensor:
        """Each channel divided by the sd of data and noise together."""
        own = self.axes.square() @ self.variance
        return x * (own + sigma.square()).rsqrt()

    def guess(self, x: Tensor, answer: Tensor, sigma: Tensor) -> Tensor:
        """The best linear guess, and the answer in units of what that misses."""
        keep = self.variance / (self.variance + sigma.square())
        return torch.addcmul((x @ self.axes * keep) @ self.axes.T, self._miss(sigma), answer)

    def error(self, guess: Tensor, clean: Tensor, sigma: Tensor) -> Tensor:
        """The error in the same units."""
        return (guess - clean) / self._miss(sigma)

    def start(self, noise: Tensor, sigma: Tensor) -> Tensor:
        """Noise with the covariance that noisy data have."""
        return (noise * (self.variance + sigma.square()).sqrt()) @ self.axes.T

    def _miss(self, sigma: Tensor) -> Tensor:
        """[.. c] sd of what the linear guess misses."""
        left = self.variance * sigma.square() / (self.variance + sigma.square())
        return (left @ self.axes.square().T).sqrt()
