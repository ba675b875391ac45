"""The time of a flow or diffusion as a network takes it."""

from __future__ import annotations

import torch
from torch import Tensor


def time_waves(t: Tensor, n: int = 128) -> Tensor:
    """Cosines and sines [s n] of times [s] in [0, 1], 1 to 100 radians per unit, evenly in their logarithm."""
    angle = t.float()[:, None] * torch.logspace(0, 2, n // 2, device=t.device)
    return torch.cat([angle.cos(), angle.sin()], -1)
