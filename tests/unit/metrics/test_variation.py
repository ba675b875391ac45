from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import gaussian_kde

from eosin import metrics
from eosin.metrics import sample_statistics, variation_curve
from eosin.metrics.variation import draws_mode

RNG = np.random.default_rng(0)


def test_the_curve_by_hand():
    truth = np.array([[0.0, 1, 5], [4, 1, 7]])  # variances 4, 0, 1
    predicted = np.array([[0.0, 0, 0], [2, 0, 6]])  # 1, 0, 9
    curve = variation_curve(truth, predicted)
    assert curve.order.tolist() == [1, 2, 0]
    assert curve.truth.tolist() == [0, 1, 4]
    assert curve.predicted.tolist() == [0, 9, 1]
    assert curve.truth_share == pytest.approx([0, 0.2, 0.8])
    assert curve.predicted_share == pytest.approx([0, 0.9, 0.1])


def test_of_draws_it_is_the_mean_of_their_curves_not_the_curve_of_their_mean():
    truth, draws = RNG.normal(size=(40, 6)), RNG.normal(size=(5, 40, 6))
    curve = variation_curve(truth, draws)
    each = [variation_curve(truth, draw).predicted for draw in draws]
    assert curve.predicted == pytest.approx(np.mean(each, axis=0))
    assert (curve.predicted > 2 * variation_curve(truth, draws.mean(0)).predicted).all()


def test_rvd_is_read_off_the_curve():
    truth, predicted = RNG.normal(size=(40, 6)), RNG.normal(size=(40, 6)) * 0.5
    curve = variation_curve(truth, predicted)
    assert ((curve.predicted / curve.truth - 1) ** 2).mean() == pytest.approx(metrics.rvd(truth, predicted))


def test_a_constant_prediction_has_no_shares_and_bad_shapes_are_refused():
    truth = RNG.normal(size=(10, 3))
    assert np.isnan(variation_curve(truth, np.ones((10, 3))).predicted_share).all()
    for bad in (np.ones((9, 3)), np.ones(3), np.ones((2, 10, 4))):
        with pytest.raises(ValueError, match="must be"):
            variation_curve(truth, bad)


def test_the_mode_is_the_draw_of_highest_kernel_density():
    draws = np.concatenate([RNG.normal(size=(14, 5, 3)), RNG.normal(8, 0.1, size=(7, 5, 3))])
    mode = draws_mode(draws)
    for i, j in np.ndindex(5, 3):
        x = draws[:, i, j]
        assert mode[i, j] == pytest.approx(x[np.argmax(gaussian_kde(x)(x))])  # Scott's width is its default


def test_the_mode_of_few_or_equal_draws():
    assert draws_mode(np.array([[[1.0]], [[3.0]]])).item() == 2
    assert draws_mode(np.array([[[5.0]]])).item() == 5
    assert draws_mode(np.full((4, 1, 1), 2.5)).item() == 2.5
    assert draws_mode(np.array([0.0, 0.0, 0.0, 9.0]).reshape(4, 1, 1)).item() == 0


def test_the_mode_in_blocks_is_the_mode(monkeypatch):
    draws = RNG.normal(size=(6, 11, 4))
    whole = draws_mode(draws)
    monkeypatch.setattr("eosin.metrics.variation._BLOCK_VALUES", 24)
    assert (draws_mode(draws) == whole).all()


def test_statistics_are_judged_by_what_they_minimise():
    # skewed draws: the mean has the least squared error, the median the least absolute one
    truth = RNG.exponential(size=(300, 12)) * np.linspace(1, 3, 12)
    draws = RNG.exponential(size=(60, 300, 12)) * np.linspace(1, 3, 12)
    found = sample_statistics(truth, draws)
    assert list(found) == ["mean", "median", "mode"]
    assert min(found, key=lambda name: found[name]["mse"]) == "mean"
    assert min(found, key=lambda name: found[name]["mae"]) == "median"
    mean = draws.mean(axis=0)
    assert found["mean"]["rvd"] == pytest.approx(metrics.rvd(truth, mean))
    assert found["mean"]["pcc"] == pytest.approx(metrics.pcc_summary(truth, mean).mean)
    assert np.isnan(found["mean"]["pcc_top50"])
