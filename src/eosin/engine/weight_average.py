"""The moving average of a model's weights over training steps: these weights predict, and are kept.

timm's `ModelEmaV3` (warm-up gamma 9, power 1, update after step -2) gives the same numbers, but importing timm takes as
long as importing everything else that training needs, and adds 190 MB to every process that trains.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn


class WeightAverage:
    """Exponential moving average of parameters; buffers do not change in training and are not averaged.

    Parameters
    ----------
    model
        Its parameters are where the average starts.
    decay
        Share of the old average that a step keeps, once the first steps are over.
    """

    def __init__(self, model: nn.Module, decay: float):
        self.decay = decay
        self.weights = copy_weights(model)

    def update(self, model: nn.Module, step: int) -> None:
        """Mix in the weights after a step, counted from 1."""
        decay = min(self.decay, (1 + step) / (10 + step))  # the first weights, which are random, are soon forgotten
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                self.weights[name].lerp_(parameter, 1 - decay)

    def copy(self) -> dict[str, Tensor]:
        """The averaged weights by name, as tensors of their own."""
        return {name: value.clone() for name, value in self.weights.items()}


def copy_weights(model: nn.Module) -> dict[str, Tensor]:
    """A model's parameters by name, as tensors of their own."""
    return {name: parameter.detach().clone() for name, parameter in model.named_parameters()}


def load_weights(model: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Overwrite a model's parameters by those of the same names."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(weights[name])
