"""Samplers: from a prior draw to a data draw along a velocity field, on a grid of times.

All have one signature, `(velocity, x, times) -> x`, so that they can be exchanged. Randomness is in `x`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

Velocity = Callable[[Tensor, float], Tensor]
"""v(x, t), defined for t < 1."""

Sampler = Callable[[Velocity, Tensor, Sequence[float]], Tensor]


def euler(velocity: Velocity, x: Tensor, times: Sequence[float]) -> Tensor:
    """First order. With v = (x_1 - x) / (1 - t) and a grid that ends at 1 this is STFlow's Algorithm 2:
    the last step lands on the last denoised expression itself.
    """
    for t, t_next in pairwise(times):
        x = torch.add(x, velocity(x, t), alpha=t_next - t)
    return x


def heun(velocity: Velocity, x: Tensor, times: Sequence[float]) -> Tensor:
    """Second order; two evaluations a step. A step that ends at t = 1 is Euler's, as v is not defined there."""
    for t, t_next in pairwise(times):
        v = velocity(x, t)
        ahead = x + (t_next - t) * v
        x = ahead if t_next >= 1 else x + (t_next - t) * (v + velocity(ahead, t_next)) / 2
    return x


def even_times(n_steps: int) -> list[float]:
    """The paper's grid: 0, 1/S, ..., 1, hence S evaluations (Algorithm 2)."""
    return [step / n_steps for step in range(n_steps)] + [1.0]


def release_times(n_steps: int) -> list[float]:
    """The grid of STFlow's released code: S points from 0.01 to 1, hence S - 1 evaluations."""
    return [float(t) for t in np.linspace(0.01, 1.0, max(n_steps, 2))]
