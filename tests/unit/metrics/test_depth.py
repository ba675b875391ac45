"""What a correlation owes to library size."""

from __future__ import annotations

import numpy as np
import pytest

from eosin.metrics import METRICS, MatchedSection
from eosin.metrics.depth import first_component, partial_pcc


def section(mean: np.ndarray, truth: np.ndarray, depth: np.ndarray | None) -> MatchedSection:
    genes = tuple(f"G{j}" for j in range(truth.shape[1]))
    return MatchedSection("S", genes, truth, mean, mean[None], np.zeros((len(truth), 2)), depth=depth)


def test_a_map_of_depth_knows_nothing_beyond_it() -> None:
    rng = np.random.default_rng(0)
    depth = rng.normal(size=300)
    truth = depth[:, None] + 0.5 * rng.normal(size=(300, 4))
    one_map = np.tile(2 * depth[:, None] + 1, (1, 4)) + 1e-3 * rng.normal(size=(300, 4))
    seen = section(one_map, truth, depth)
    assert METRICS["pcc_depth"].function(seen) == pytest.approx(1 / np.sqrt(1.25), abs=0.03)
    assert abs(METRICS["pcc_given_depth"].function(seen)) < 0.1
    assert METRICS["first_component"].function(seen) > 0.999
    knows_more = section(truth + 0.1 * rng.normal(size=(300, 4)), truth, depth)
    assert METRICS["pcc_given_depth"].function(knows_more) > 0.9
    assert METRICS["first_component_truth"].function(seen) < 0.95


def test_partial_correlation_is_that_of_the_formula() -> None:
    rng = np.random.default_rng(1)
    x, y, z = rng.normal(size=(3, 50)) @ np.diag(rng.uniform(1, 2, 50))
    x, y = x + z, y - 0.5 * z
    r = np.corrcoef([x, y, z])
    literal = (r[0, 1] - r[0, 2] * r[1, 2]) / np.sqrt((1 - r[0, 2] ** 2) * (1 - r[1, 2] ** 2))
    assert partial_pcc(x[:, None], y[:, None], z)[0] == pytest.approx(literal)


def test_share_of_one_map_is_that_of_the_largest_eigenvalue() -> None:
    values = np.random.default_rng(2).normal(size=(40, 6)) * np.array([3, 1, 1, 1, 1, 1.0])
    eigenvalues = np.linalg.eigvalsh(np.cov(values.T))
    assert first_component(values) == pytest.approx(eigenvalues[-1] / eigenvalues.sum())
    assert first_component(values[:4]) == pytest.approx(first_component(values[:4][:, ::-1]))  # fewer spots than genes
    assert np.isnan(first_component(np.ones((5, 3))))


def test_without_library_sizes_there_is_no_number() -> None:
    seen = section(np.ones((5, 2)), np.ones((5, 2)), None)
    assert not METRICS["pcc_depth"].needs(seen) and not METRICS["pcc_given_depth"].needs(seen)
