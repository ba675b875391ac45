"""Several draws of symmetric noise: independent ones, or every second one the mirror image of the one before.

With noise z also -z is a fair draw. In the mean over both, whatever a sampler does linearly with noise cancels, so that
a few mirrored draws give the mean that many independent ones would (antithetic variates; Hammersley and Morton 1956).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

DrawNoise = Callable[[int], Tensor]
"""n -> n independent draws [n ...] of a distribution that is symmetric around 0."""

Noise = Callable[[DrawNoise, int], Tensor]
"""(draw, k) -> k draws [k ...]: `mirrored` or `independent`."""


def independent(draw: DrawNoise, k: int) -> Tensor:
    """k independent draws [k ...]."""
    return draw(k)


def mirrored(draw: DrawNoise, k: int) -> Tensor:
    """k draws [k ...], of which draws 2i and 2i + 1 are z and -z; with odd k the last one stands alone."""
    half = draw((k + 1) // 2)
    return torch.stack([half, -half], 1).flatten(0, 1)[:k]
