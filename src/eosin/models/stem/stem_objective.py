"""What Stem minimises: the error of the guessed noise, and where the variance is learned, what it costs."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from eosin.generative.diffusion import Guess, Schedule, variational_bits
from eosin.models.parts.objective import ValueObjective, squared_error


@dataclass(frozen=True)
class NoiseAnswer:
    """What a training step got of the network, for s spots at a time of the diffusion each.

    Attributes
    ----------
    number
        [s g] the network's first number per gene: the noise, or the correction of its best linear guess.
    guess
        The noise [s g] that `number` means, and the network's share of variance where it is learned.
    clean, noisy
        [s g] values in the network's units, before and after the noise.
    times
        [s] int.
    """

    number: Tensor
    guess: Guess
    clean: Tensor
    noisy: Tensor
    times: Tensor


@dataclass(frozen=True)
class NoiseError:
    """Error of the noise or of its correction, by default the mean squared one (Ho et al. 2020, equation 14)."""

    of_values: ValueObjective = squared_error

    def __call__(self, answer: NoiseAnswer, wanted: Tensor) -> Tensor:
        """Scalar; `wanted` [s g] is what `answer.number` should have been."""
        return self.of_values(answer.number, wanted)


@dataclass(frozen=True)
class NoiseAndVariance:
    """Error of the noise, plus the bits of a step back, which train the variance (Nichol and Dhariwal 2021)."""

    schedule: Schedule
    of_values: ValueObjective = squared_error

    def __call__(self, answer: NoiseAnswer, wanted: Tensor) -> Tensor:
        """Scalar; `wanted` [s g] is what `answer.number` should have been."""
        bits = variational_bits(self.schedule, answer.clean, answer.noisy, answer.times, answer.guess)
        return self.of_values(answer.number, wanted) + bits.mean()
