from __future__ import annotations

import numpy as np
import pytest
import torch

from eosin.encoders import get_encoder
from eosin.encoders.parts.slide_densities import SlideDensities
from reference import stain_literal as literal


@pytest.fixture(scope="module")
def windows() -> torch.Tensor:
    rng = np.random.default_rng(0)
    coarse = rng.integers(90, 256, (4, 28, 28, 3)).repeat(8, 1).repeat(8, 2)
    return torch.from_numpy(np.clip(coarse + rng.normal(0, 12, coarse.shape), 0, 255).astype(np.uint8))


def test_percentiles_and_factors_are_those_of_the_definition(windows):
    found = SlideDensities.of(windows)
    percentiles, factors = literal.factors(windows.numpy())
    np.testing.assert_allclose(found.percentiles, percentiles, rtol=1e-5)
    np.testing.assert_allclose((*found.factors, 1.0), factors, rtol=1e-5)
    assert not np.isin(found.factors, (0.33, 1.0, 2.0)).any()  # else the test would see no percentile


@pytest.mark.parametrize("factors", [(0.55, 1.9), (1.31, 0.42), (0.33, 2.0), (2.0, 0.33)])
def test_pixels_are_those_of_the_definition(factors):
    pixels = np.random.default_rng(1).integers(0, 256, (200_000, 3)).astype(np.uint8)
    rgb = torch.from_numpy(pixels).T.reshape(1, 3, 400, 500)
    found = SlideDensities((1.0, 1.0), factors).applied(rgb)[0].reshape(3, -1).T.numpy()
    exact = literal.normalised(pixels, np.array([*factors, 1.0]))
    assert (found == np.round(exact)).mean() > 0.9999  # float32 differs where the exact value lies at a half
    assert np.abs(found - exact).max() < 0.5 + 1e-3


def test_the_encoder_sees_those_pixels(windows):
    """Version 2 is version 1 on normalised pixels, bit for bit."""
    made = get_encoder("stain").for_slide([windows])
    rows = windows.permute(0, 3, 1, 2).contiguous()
    seen = made._slide.applied(rows).permute(0, 2, 3, 1).contiguous()
    assert not torch.equal(seen, windows)
    assert torch.equal(made.encode([windows, windows]), get_encoder("stain?version=1").encode([seen, seen]))
