"""Random Fourier features have the correlation that they stand for."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import gamma, kv

from eosin.generative.matern_field import FourierWaves, matern


def test_correlation_is_the_matern_function_of_order_three_halves() -> None:
    distance, length, order = np.array([0.3, 1.0, 2.7, 6.0]), 1.7, 1.5
    r = np.sqrt(2 * order) * distance / length
    literal = 2 ** (1 - order) / gamma(order) * r**order * kv(order, r)
    np.testing.assert_allclose(matern(distance, length), literal, rtol=1e-12)
    assert matern(np.array(0.0), length) == 1


@pytest.mark.parametrize("length", [40.0, 150.0])
def test_waves_have_that_correlation_at_every_distance(length: float) -> None:
    waves = FourierWaves.drawn(length, np.random.default_rng(3), n_frequencies=20_000)
    xy = np.array([[1000.0, 2000.0]]) + np.array([[0, 0], [30, 0], [0, 100], [-90, 120], [300, 400]])
    seen = waves.at(xy)
    away = np.linalg.norm(xy - xy[0], axis=1)
    np.testing.assert_allclose(seen @ seen[0], matern(away, length), atol=0.02)
    np.testing.assert_allclose(np.square(seen).sum(1), 1, atol=1e-5)
