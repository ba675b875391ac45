from __future__ import annotations

import warnings

import numpy as np
import pytest

from eosin.metrics import (
    is_constant,
    mae,
    mean_defined,
    mean_of_rows,
    mse,
    pcc_counted,
    pcc_summary,
    pcc_top,
    pearson_per_gene,
)

# Three spots; genes: perfect, inverted, constant truth, constant prediction.
TRUTH = np.array([[0.0, 0.0, 5.0, 1.0], [1.0, 1.0, 5.0, 2.0], [2.0, 2.0, 5.0, 3.0]])
PREDICTED = np.array([[1.0, 3.0, 1.0, 7.0], [2.0, 2.0, 2.0, 7.0], [3.0, 1.0, 3.0, 7.0]])


@pytest.fixture(autouse=True)
def _no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def test_pearson_by_hand():
    np.testing.assert_allclose(pearson_per_gene(TRUTH, PREDICTED), [1.0, -1.0, np.nan, np.nan])


def test_every_summary_treats_constant_genes_as_it_says():
    summary = pcc_summary(TRUTH, PREDICTED[:, [0, 0, 2, 3]])  # PCC 1, 1, nan (truth), nan (prediction)
    assert summary.mean == pytest.approx(2 / 3)
    assert np.isnan(summary.strict)
    assert summary.nan_mean == pytest.approx(1.0)
    assert summary.zero_filled == pytest.approx(0.5)
    assert (summary.n_constant, summary.n_constant_prediction) == (2, 1)


def test_giving_up_on_a_gene_does_not_raise_the_headline():
    rng = np.random.default_rng(0)
    truth = rng.normal(size=(40, 5))
    honest = truth + rng.normal(scale=[0.1, 0.1, 0.1, 0.1, 3.0], size=(40, 5))
    gives_up = honest.copy()
    gives_up[:, 4] = 0.3
    assert 0 < pearson_per_gene(truth, honest)[4] < 0.9
    assert pcc_summary(truth, gives_up).mean < pcc_summary(truth, honest).mean
    assert pcc_summary(truth, gives_up).nan_mean > pcc_summary(truth, honest).nan_mean  # why it is not the headline


def test_a_large_mean_costs_no_digits():
    rng = np.random.default_rng(1)
    truth, predicted = rng.normal(size=(50, 1)), rng.normal(size=(50, 1))
    np.testing.assert_allclose(
        pearson_per_gene(truth + 1e4, predicted - 1e4), pearson_per_gene(truth, predicted), rtol=1e-9
    )


def test_rounding_noise_of_float32_is_constant_and_small_scales_are_not():
    noise = np.float32(7.3) * (1 + np.float32(1.2e-7) * np.arange(6, dtype=np.float32)[:, None] % 2)
    assert is_constant(noise)[0]
    assert not is_constant(np.arange(6.0)[:, None] * 1e-12)[0]
    assert is_constant(np.zeros((6, 1)))[0]


def test_one_spot_no_gene_and_all_constant_are_nan_without_a_warning():
    assert np.isnan(pearson_per_gene(TRUTH[:1], PREDICTED[:1])).all()
    assert np.isnan(pcc_summary(TRUTH[:1], PREDICTED[:1]).mean)
    assert np.isnan(pcc_summary(TRUTH[:, :0], PREDICTED[:, :0]).zero_filled)
    assert np.isnan(mse(TRUTH[:, :0], PREDICTED[:, :0]))
    assert np.isnan(mean_defined(np.array([np.nan])))
    assert pcc_summary(TRUTH[:, 3:], PREDICTED[:, 3:]).mean == 0.0


def test_pcc_top_picks_the_largest_and_refuses_too_few():
    pcc = np.array([0.1, np.nan, 0.9, -0.5, 0.5])
    assert pcc_top(pcc, 2) == pytest.approx(0.7)
    assert pcc_top(pcc, 4) == pytest.approx(0.25)
    assert np.isnan(pcc_top(pcc, 5))  # NaN must not sort as the largest


def test_counted_is_zero_only_where_the_prediction_alone_is_constant():
    np.testing.assert_allclose(pcc_counted(TRUTH, PREDICTED), [1.0, -1.0, np.nan, 0.0])


def test_errors_by_hand():
    assert mse(np.array([[0.0, 2.0]]), np.array([[1.0, 5.0]])) == pytest.approx(5.0)
    assert mae(np.array([[0.0, 2.0]]), np.array([[1.0, 5.0]])) == pytest.approx(2.0)


def test_shapes_that_would_broadcast_are_refused():
    with pytest.raises(ValueError, match=r"\[s g\]"):
        pearson_per_gene(TRUTH, PREDICTED[:, :1])


def test_mean_of_rows_leaves_out_what_is_not_defined() -> None:
    rows = [np.array([1.0, np.nan, np.nan]), np.array([3.0, 5.0, np.nan])]
    np.testing.assert_array_equal(mean_of_rows(rows, 3), [2.0, 5.0, np.nan])
    assert np.isnan(mean_of_rows([], 2)).tolist() == [True, True]
