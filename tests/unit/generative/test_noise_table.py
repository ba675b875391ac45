"""Noise in blocks is the noise of one call."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import toy
from eosin.generative import noise_table
from eosin.generative.noise_table import put_normal
from eosin.generative.prior import ZINB

SHAPES = [(1,), (3, 5), (16,), (17,), (31,), (33,), (47,), (4, 100, 13), (0, 4, 3)]


@pytest.mark.parametrize("at_once", [16, 48, 1 << 20])
@pytest.mark.parametrize("shape", SHAPES)
def test_normal_numbers_are_those_of_torch(
    shape: tuple[int, ...], at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(noise_table, "_AT_ONCE", at_once)
    rng, other = (torch.Generator().manual_seed(3) for _ in range(2))
    table = np.empty(shape, np.float32)
    put_normal(table, rng)
    assert np.array_equal(table, torch.randn(*shape, generator=other).numpy())
    assert torch.equal(torch.rand(3, generator=rng), torch.rand(3, generator=other))  # and so is what comes after


@pytest.mark.parametrize("at_once", [7, 1 << 20])
def test_counts_are_those_of_the_whole_table(at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(noise_table, "_AT_ONCE", at_once)
    shape, rng = (3, 50, 6), torch.Generator().manual_seed(3)
    mean, dispersion, zeros = torch.linspace(0.1, 3, 6), torch.linspace(0.2, 2, 6), torch.linspace(0, 0.5, 6)
    rate = torch._standard_gamma(dispersion.expand(shape).contiguous(), generator=rng) * (mean / dispersion)
    counts = torch.poisson(rate, generator=rng)
    expected = torch.log1p(counts.masked_fill(torch.rand(shape, generator=rng) < zeros, 0.0))
    prior = ZINB(mean.numpy(), dispersion.numpy(), zeros.numpy(), torch.log1p)
    assert torch.equal(prior.sample(3, toy.anywhere(50), 6, torch.Generator().manual_seed(3)), expected)
