from __future__ import annotations

import warnings

import numpy as np
import pytest

from eosin.metrics import METRICS, MatchedSection, coverage, crps, crps_per_gene, energy, expected_coverage
from eosin.reporting.charts import calibration


@pytest.fixture(autouse=True)
def _no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def test_crps_by_hand():
    # draws 0 and 2, truth 1: E|X−y| = 1, E|X−X'| = 1 (pairs 0, 2, 2, 0), so 1 − ½
    assert crps(np.array([[1.0]]), np.array([[[0.0]], [[2.0]]])) == pytest.approx(0.5)


def test_crps_rewards_the_right_spread():
    rng = np.random.default_rng(0)
    truth = rng.normal(size=(400, 3))
    right, narrow, wide = (crps(truth, rng.normal(scale=sd, size=(64, 400, 3))) for sd in (1.0, 0.1, 5.0))
    assert right < narrow
    assert right < wide
    assert right == pytest.approx(1 / np.sqrt(np.pi), abs=0.03)  # ½ E|X − X'| of a standard normal


def test_blocks_do_not_change_anything(monkeypatch):
    rng = np.random.default_rng(1)
    truth, draws = rng.normal(size=(23, 4)), rng.normal(size=(7, 23, 4))
    whole = crps_per_gene(truth, draws), coverage(truth, draws), energy(truth, draws)
    monkeypatch.setattr("eosin.metrics.calibration._BLOCK_VALUES", 100)
    for before, after in zip(whole, (crps_per_gene(truth, draws), coverage(truth, draws), energy(truth, draws))):
        np.testing.assert_allclose(after, before)


def test_coverage_by_hand_bounds_included():
    draws = np.linspace(0, 1, 11)[:, None, None] * np.ones((1, 5, 1))
    truth = np.array([[0.04], [0.06], [0.5], [0.94], [0.96]])
    assert coverage(truth, draws, 0.9) == pytest.approx(3 / 5)
    assert coverage(np.ones((5, 1)), np.ones((4, 5, 1))) == 1.0


@pytest.mark.parametrize("k", [2, 8, 20, 100])
def test_expected_coverage_is_what_a_perfect_model_gets(k):
    rng = np.random.default_rng(k)
    found = coverage(rng.uniform(size=(4000, 2)), rng.uniform(size=(k, 4000, 2)))
    assert found == pytest.approx(expected_coverage(k), abs=0.025)


def test_energy_of_one_gene_is_crps_and_sees_joint_draws():
    rng = np.random.default_rng(2)
    truth, draws = rng.normal(size=(30, 1)), rng.normal(size=(9, 30, 1))
    assert energy(truth, draws) == pytest.approx(crps(truth, draws))
    factor = rng.normal(size=(41, 300, 1)) * np.ones(6)
    shuffled = np.stack([rng.permuted(factor[1:, :, j], axis=0) for j in range(6)], -1)
    assert crps(factor[0], shuffled) == pytest.approx(crps(factor[0], factor[1:]))
    assert energy(factor[0], shuffled) > energy(factor[0], factor[1:])


def test_one_draw_has_no_interval_and_no_data_has_no_score():
    assert np.isnan(coverage(np.ones((3, 1)), np.ones((1, 3, 1))))
    assert np.isnan(expected_coverage(1))
    assert np.isnan(crps(np.ones((0, 2)), np.ones((3, 0, 2))))
    assert np.isnan(energy(np.ones((0, 2)), np.ones((3, 0, 2))))


def test_wrong_shapes_are_refused():
    with pytest.raises(ValueError, match=r"\[k s g\]"):
        crps(np.ones((3, 2)), np.ones((3, 2)))


def _mirrored_normal(k: int, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Truth [n 4] and k mirrored draws [k n 4] of a perfect model that is linear in its noise."""
    rng = np.random.default_rng(k)
    centre, noise = rng.normal(size=(n, 4)), rng.normal(size=((k + 1) // 2, n, 4))
    draws = np.stack([centre + noise, centre - noise], 1).reshape(-1, n, 4)[:k]
    return centre + rng.normal(size=(n, 4)), draws


@pytest.mark.parametrize("k", [2, 3, 5, 8, 9, 16])
def test_expected_coverage_of_mirrored_draws(k):
    truth, draws = _mirrored_normal(k, 20_000)
    expected = expected_coverage(k, mirrored=True)
    assert coverage(truth, draws) == pytest.approx(expected, abs=0.005)
    assert expected > expected_coverage(k)


@pytest.mark.parametrize("k", [2, 3, 4, 5, 9, 16])
def test_shares_between_mirrored_draws(k):
    truth, draws = _mirrored_normal(k, 20_000)
    nominal, observed = calibration(truth, draws, mirrored=True)
    np.testing.assert_allclose(observed, nominal, atol=0.006)


def test_the_metric_knows_whether_draws_are_mirrored():
    truth, draws = _mirrored_normal(4, 30)
    expected = {
        mirrored: METRICS["coverage_90_expected"].function(
            MatchedSection("S", tuple("abcd"), truth, draws.mean(0), draws, np.zeros((30, 2)), None, mirrored)
        )
        for mirrored in (False, True)
    }
    assert expected == {False: expected_coverage(4), True: expected_coverage(4, mirrored=True)}
