"""Equations solved at a penalty are the regression on the rows themselves."""

from __future__ import annotations

import numpy as np
import pytest

from eosin.models.kernel.landmark_fits import inverse_root
from eosin.models.kernel.normal_equations import NormalEquations
from eosin.models.parts.sums import gather_sums, total

N, C, G = 80, 6, 4
RNG = np.random.default_rng(0)
X = RNG.normal(size=(N, C)) * 2.0 ** -np.arange(C) + 3
Y = X @ RNG.normal(size=(C, G)) + RNG.normal(size=(N, G))
SECTION = np.repeat([0, 1], N // 2)


def equations(x: np.ndarray, dtype: type) -> NormalEquations:
    (groups,) = gather_sums(lambda rows: x[rows], x.shape[1], Y, SECTION, [SECTION])
    return NormalEquations.of(total(groups), slice(None), dtype, within_sections=False)


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-5), (np.float32, 1e-4)])
@pytest.mark.parametrize("penalty", [1e-4, 0.1, 10.0])
def test_a_penalty_gives_the_ridge_of_the_rows(dtype: type, tolerance: float, penalty: float) -> None:
    fit = equations(X.astype(dtype), dtype).solved(penalty)
    apart = X - X.mean(0)
    weights = np.linalg.solve(apart.T @ apart / N + penalty * np.eye(C), apart.T @ (Y - Y.mean(0)) / N)
    np.testing.assert_allclose(fit.values(X.astype(np.float32)), apart @ weights, atol=tolerance)


def test_without_a_penalty_a_coordinate_that_never_changes_says_nothing() -> None:
    x = np.hstack([X, np.full((N, 1), 7.0)])
    fit = equations(x, np.float64).solved(0.0)
    apart = X - X.mean(0)
    expected = apart @ np.linalg.lstsq(apart, Y - Y.mean(0), rcond=None)[0]
    np.testing.assert_allclose(fit.values(x.astype(np.float32)), expected, atol=1e-4)


def test_the_root_of_landmarks_that_look_the_same_is_finite_and_gives_their_kernel_back() -> None:
    points = RNG.normal(size=(12, 2))
    points[7:] = points[2]
    kernel = np.exp(-np.square(points[:, None] - points).sum(-1))
    coordinates = kernel @ inverse_root(kernel.copy())
    np.testing.assert_allclose(coordinates @ coordinates.T, kernel, atol=1e-6)
    assert np.isfinite(inverse_root(np.zeros((3, 3)))).all()
