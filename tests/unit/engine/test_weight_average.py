from __future__ import annotations

import pytest
import torch

from eosin.engine.weight_average import WeightAverage, copy_weights, load_weights


class OneWeight(torch.nn.Module):
    def __init__(self, value: float):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.tensor([value], dtype=torch.float64))
        self.register_buffer("count", torch.zeros(1))


def test_average_is_the_recursion_with_its_warm_up() -> None:
    """After step n the old average keeps (1 + n) / (10 + n), and never more than the decay."""
    model = OneWeight(1.0)
    average, expected = WeightAverage(model, 0.5), 1.0
    for step, value in enumerate((3.0, -2.0, 5.0, 0.5, 7.0, 1.0, 2.0, 4.0, -1.0, 6.0), start=1):
        load_weights(model, {"weight": torch.tensor([value])})
        average.update(model, step)
        keep = min(0.5, (1 + step) / (10 + step))
        expected = keep * expected + (1 - keep) * value
        assert float(average.weights["weight"]) == pytest.approx(expected, rel=1e-12)
    assert (1 + 10) / (10 + 10) > 0.5  # the last steps were above the cap
    assert set(average.weights) == {"weight"}


def test_copies_do_not_change_with_the_model_or_the_average() -> None:
    model = OneWeight(1.0)
    average = WeightAverage(model, 0.9)
    last, first = copy_weights(model), average.copy()
    load_weights(model, {"weight": torch.tensor([3.0])})
    average.update(model, 1)
    assert float(last["weight"]) == float(first["weight"]) == 1.0
    assert float(average.weights["weight"]) > 1.0
