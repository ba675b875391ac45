"""What TRIPLEX minimises: every view's error, and how far each view is from the fused guess."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Distillation:
    """Squared error of the fused guess; each view learns from the target and, by `share`, from the fused guess.

    The gradient also flows from the views into the fused guess.

    Attributes
    ----------
    share
        0 to 1, how much a view learns from the fused guess instead of from the target.
    """

    share: float

    def __call__(self, guesses: Tensor, target: Tensor) -> Tensor:
        """Scalar, for guesses [4 s g], the fused one first, and target [s g]."""
        fused, views = guesses[0], guesses[1:]
        to_target = (views - target).square().mean((1, 2)).sum()
        to_fused = (views - fused).square().mean((1, 2)).sum()
        return (fused - target).square().mean() + (1 - self.share) * to_target + self.share * to_fused
