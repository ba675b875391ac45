"""What a learned model minimises: one interface for every loss.

An objective is a callable object that is handed to a model when the model is built. The model makes two things for the
same spots, what the network says and what it should have said, and the objective compares them:

    cost = objective(guess, target)     # a scalar tensor that has a gradient

- It knows no settings record, no batch and no device: a loss with numbers of its own is a frozen dataclass with
  `__call__`; a loss without numbers is a function.
- It holds no trained parameters. What is trained belongs to the model, which hands its answers over.
- Tensors are on the network's scale: features and values standardised, what the base predicts subtracted.

What `guess` and `target` are depends on the kind of model:

============  ==========================================  =============================================
model         guess                                       target
============  ==========================================  =============================================
flows         data end of the path [s g]                  values [s g]
regressions   guesses of all heads [h s g]                values [s g], the same for all heads
Stem          `NoiseAnswer`                               noise, or its correction [s g]
FLAG          `Answer`                                    clean state [1 s c]
BLEEP         embedded images [s w]                       embedded expression [s w]
============  ==========================================  =============================================

Every `build` of a model with such a part takes `objective=`: see "A loss of your own" in `docs/extend.md`.
"""

from __future__ import annotations

from typing import Protocol, TypeVar

from torch import Tensor

Guess = TypeVar("Guess", contravariant=True)
Target = TypeVar("Target", contravariant=True)


class Objective(Protocol[Guess, Target]):
    """A loss: scalar to minimise, from what a network says of some spots and what it should have said."""

    def __call__(self, guess: Guess, target: Target, /) -> Tensor:
        """Scalar tensor with a gradient."""
        ...


ValueObjective = Objective[Tensor, Tensor]
"""An objective of numbers per spot and gene; `target` broadcasts against `guess`."""


def squared_error(guess: Tensor, target: Tensor) -> Tensor:
    """Mean squared error over all numbers of `guess` [.. s g]; `target` [s g] is the same for all leading axes."""
    return (guess - target).square().mean()
