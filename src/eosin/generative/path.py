"""Paths from the prior (t = 0) to the data (t = 1): x_t = a(t) x_0 + b(t) x_1."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Weights:
    """The two weights of a path and their slopes at one time (tensors that broadcast against x)."""

    prior: Tensor
    data: Tensor
    prior_slope: Tensor
    data_slope: Tensor


class ProbabilityPath(ABC):
    """Two weights and their slopes; everything else follows and is written once."""

    @abstractmethod
    def weights(self, t: Tensor) -> Weights:
        """Weights of prior and data at times t in [0, 1], and their slopes in t."""

    def sample_times(self, n: int, rng: torch.Generator) -> Tensor:
        """Training times [n], uniform on [0, 1)."""
        return torch.rand(n, generator=rng)

    def at(self, x0: Tensor, x1: Tensor, t: Tensor) -> Tensor:
        """The point of the path between a prior draw and a data point."""
        w = self.weights(t)
        return w.prior * x0 + w.data * x1

    def slope(self, x0: Tensor, x1: Tensor, t: Tensor) -> Tensor:
        """d x_t / dt along the path that joins x0 and x1."""
        w = self.weights(t)
        return w.prior_slope * x0 + w.data_slope * x1

    def velocity(self, x: Tensor, x1: Tensor, t: Tensor) -> Tensor:
        """The slope at the point x, given where the path ends; for t < 1.

        Solves x = a x_0 + b x_1 for x_0. For the linear path it is (x_1 - x) / (1 - t).
        """
        w = self.weights(t)
        back = w.prior_slope / w.prior
        return torch.addcmul(back * x, w.data_slope - back * w.data, x1)

    def linear_guess(self, t: Tensor) -> tuple[Tensor, Tensor]:
        """Best linear guess of x_1 from x_t when both ends have variance 1 and are independent.

        Returns the factor of x_t and the sd of what that guess misses (Karras et al. 2022, for this path).
        """
        w = self.weights(t)
        total = w.prior.square() + w.data.square()
        return w.data / total, w.prior / total.sqrt()


class LinearPath(ProbabilityPath):
    """x_t = (1 - t) x_0 + t x_1 (STFlow, section 3.2)."""

    def weights(self, t: Tensor) -> Weights:
        """1 - t and t."""
        one = torch.ones_like(t)
        return Weights(1 - t, t, -one, one)


class NoPath(ProbabilityPath):
    """Regression as a degenerate path: training only ever sees the prior (STFlow's "w/o FM")."""

    def weights(self, t: Tensor) -> Weights:
        """The prior alone, with the slopes of a straight line."""
        one = torch.ones_like(t)
        return Weights(one, 0 * one, -one, one)

    def sample_times(self, n: int, rng: torch.Generator) -> Tensor:
        """[n] of zeros: nothing is drawn from `rng`."""
        return torch.zeros(n)
