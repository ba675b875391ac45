"""The best linear guess of a path's end, by regression on many draws."""

from __future__ import annotations

import pytest
import torch

from eosin.generative import LinearPath


@pytest.mark.parametrize("t", [0.0, 0.2, 0.7, 1.0])
def test_the_linear_guess_is_the_regression_and_its_miss_the_sd_of_what_is_left(t: float) -> None:
    start, end = torch.randn(2, 200_000, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    time = torch.tensor(t, dtype=torch.float64)
    x = LinearPath().at(start, end, time)
    keep, miss = LinearPath().linear_guess(time)
    assert float(keep) == pytest.approx(float((x * end).mean() / (x * x).mean()), abs=0.01)
    assert float(miss) == pytest.approx(float((end - keep * x).std()), abs=0.01)
