"""Unbiased variance of a few draws, independent or mirrored."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from eosin.errors import EosinError
from eosin.generative.mirrored import independent, mirrored
from eosin.types import GenePanel, Prediction, Spots, variance_of_draws

N = 100_000


def draws_of(k: int, answer: Callable[[np.ndarray], np.ndarray], *, mirror: bool) -> np.ndarray:
    """k draws [k N] of a model that turns standard normal noise into `answer(noise)`."""
    rng = torch.Generator().manual_seed(k)
    noise = (mirrored if mirror else independent)(lambda n: torch.randn(n, N, generator=rng, dtype=torch.float64), k)
    return answer(noise.numpy())


@pytest.mark.parametrize("k", [2, 3, 4, 5, 9, 16])
@pytest.mark.parametrize("mirror", [False, True])
def test_the_variance_of_normal_draws_is_unbiased(k: int, *, mirror: bool) -> None:
    draws = draws_of(k, lambda noise: 5 + 3 * noise, mirror=mirror)
    assert variance_of_draws(draws, mirrored=mirror).mean() == pytest.approx(9, rel=0.02)


@pytest.mark.parametrize("k", [3, 4, 5, 8, 9])
def test_it_stays_unbiased_where_the_model_is_not_linear_in_its_noise(k: int) -> None:
    draws = draws_of(k, lambda noise: noise + noise**2, mirror=True)  # variance 1 + 2
    assert variance_of_draws(draws, mirrored=True).mean() == pytest.approx(3, rel=0.05)


@pytest.mark.parametrize("k", [2, 6, 16])
def test_pairs_of_a_linear_model_are_divided_by_k(k: int) -> None:
    draws = draws_of(k, lambda noise: 1 + noise, mirror=True)
    np.testing.assert_allclose(variance_of_draws(draws, mirrored=True), draws.var(0))


def test_one_draw_has_no_variance() -> None:
    with pytest.raises(ValueError, match="no variance"):
        variance_of_draws(np.zeros((1, 3)), mirrored=True)


def test_a_prediction_says_its_sd_by_the_kind_of_its_draws() -> None:
    spots, panel = Spots(np.array([[0.0, 0.0]]), 1.0, ("a",)), GenePanel(("G",), "log1p", "list")
    draws = np.array([1.0, 3.0]).reshape(2, 1, 1)
    assert Prediction("S", spots, panel, draws, "m", 0, mirrored=True).sd[0, 0] == pytest.approx(1)
    assert Prediction("S", spots, panel, draws, "m", 0).sd[0, 0] == pytest.approx(np.sqrt(2))
    with pytest.raises(EosinError, match="one draw"):
        _ = Prediction("S", spots, panel, draws[:1], "m", 0, mirrored=True).sd
