from __future__ import annotations

import warnings

import numpy as np
import pytest
from scipy import sparse

from eosin.metrics import gsc, morans_i, rvd, rvd_per_gene, spatial_weights, ssc

SQUARE = np.stack(np.meshgrid(np.arange(6.0), np.arange(6.0)), -1).reshape(-1, 2) * 100


@pytest.fixture(autouse=True)
def _no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def test_rvd_by_hand():
    truth = np.array([[0.0, 0.0, 4.0], [2.0, 2.0, 4.0]])  # variances 1, 1, 0
    predicted = np.array([[0.0, 1.0, 0.0], [4.0, 1.0, 9.0]])  # variances 4, 0, any
    np.testing.assert_allclose(rvd_per_gene(truth, predicted), [9.0, 1.0, np.nan])
    assert rvd(truth, predicted) == pytest.approx(5.0)


def test_gsc_is_one_for_equal_and_minus_one_for_mirrored_structure():
    rng = np.random.default_rng(0)
    base = rng.normal(size=(200, 3))
    truth = np.column_stack([base[:, 0], base[:, 0] + base[:, 1], base[:, 2]])
    assert gsc(truth, truth * 3 + 1) == pytest.approx(1.0, abs=1e-6)
    pairs = np.corrcoef(truth.T)[np.triu_indices(3, 1)]
    predicted = np.column_stack([-truth[:, 0], truth[:, 1], truth[:, 2]])
    expected = np.corrcoef(pairs, np.corrcoef(predicted.T)[np.triu_indices(3, 1)])[0, 1]
    assert gsc(truth, predicted) == pytest.approx(expected, abs=1e-6)


def test_gsc_in_blocks_equals_gsc_whole(monkeypatch):
    rng = np.random.default_rng(1)
    truth, predicted = rng.normal(size=(30, 11)), rng.normal(size=(30, 11))
    whole = gsc(truth, predicted)
    monkeypatch.setattr("eosin.metrics.structure._BLOCK", 4)
    assert gsc(truth, predicted) == pytest.approx(whole, abs=1e-12)


def test_gsc_leaves_out_constant_truth_and_counts_constant_prediction_as_uncorrelated():
    rng = np.random.default_rng(2)
    truth = rng.normal(size=(50, 6)) @ rng.normal(size=(6, 6))
    predicted = truth + rng.normal(scale=0.5, size=truth.shape)
    with_constant = np.column_stack([truth, np.full(50, 3.3)])
    assert gsc(with_constant, np.column_stack([predicted, predicted[:, 0]])) == pytest.approx(gsc(truth, predicted))
    flat = predicted.copy()
    flat[:, 0] = 7 * (1 + 1.2e-7 * rng.integers(0, 2, 50))  # constant up to the rounding of float32
    correlations = np.corrcoef(predicted.T)
    correlations[0], correlations[:, 0] = 0, 0
    above = np.triu_indices(6, 1)
    expected = np.corrcoef(np.corrcoef(truth.T)[above], correlations[above])[0, 1]
    assert gsc(truth, flat) == pytest.approx(expected, abs=1e-6)


def test_weights_of_a_row_of_spots_by_hand():
    # 0, 1 and 10: with k = 1 spot 2 is nobody's nearest, but names spot 1; the union makes that mutual
    weights = spatial_weights(np.array([[0.0, 0], [1, 0], [10, 0]]), k=1).toarray()
    np.testing.assert_array_equal(weights, [[0, 1, 0], [1, 0, 1], [0, 1, 0]])


def test_an_inner_spot_of_a_square_grid_has_its_eight():
    weights = spatial_weights(SQUARE).toarray().reshape(6, 6, 6, 6)
    expected = np.zeros((6, 6))
    expected[1:4, 1:4] = 1
    expected[2, 2] = 0
    own = spatial_weights(SQUARE[np.r_[0:36]]).toarray()[14].reshape(6, 6)
    np.testing.assert_array_equal(own[1:4, 1:4], expected[1:4, 1:4])
    np.testing.assert_array_equal(weights[2, 2], own)


def test_ties_on_a_hexagonal_grid_are_all_taken_in_any_order():
    row, column = np.divmod(np.arange(144), 12)
    xy = np.column_stack([(column + 0.5 * (row % 2)) * 100, row * 50 * np.sqrt(3)])
    order = np.random.default_rng(0).permutation(144)
    weights = spatial_weights(xy).toarray()
    assert weights[6 * 12 + 6].sum() == 12
    np.testing.assert_array_equal(spatial_weights(xy[order]).toarray(), weights[np.ix_(order, order)])


@pytest.mark.parametrize("s", [1, 2, 5, 8, 9])
def test_few_spots_are_all_neighbours(s):
    xy = np.random.default_rng(s).normal(size=(s, 2))
    np.testing.assert_array_equal(spatial_weights(xy, k=8).toarray(), 1 - np.eye(s))


def test_coinciding_spots_are_never_their_own_neighbours():
    weights = spatial_weights(np.zeros((200, 2)), k=8)
    assert weights.diagonal().sum() == 0
    assert 8 * 200 <= weights.nnz <= 2 * 24 * 200


def test_morans_i_of_four_spots_in_a_row_by_hand():
    path = sparse.csr_matrix(np.eye(4, k=1) + np.eye(4, k=-1))
    values = np.array([[0.0, 1, 0, 1], [0, 0, 1, 1], [2, 2, 2, 2]]).T  # alternating, split, constant
    np.testing.assert_allclose(morans_i(values, path), [-1.0, 1 / 3, np.nan])


def test_degenerate_inputs_are_nan_without_a_warning():
    rng = np.random.default_rng(3)
    xy, values = rng.normal(size=(20, 2)), rng.normal(size=(20, 4))
    assert np.isnan(ssc(values[:1], values[:1], xy[:1]))
    assert np.isnan(ssc(values[:, :1], values[:, :1], xy))
    assert np.isnan(ssc(values, np.zeros_like(values), xy))
    assert np.isnan(gsc(values[:, :2], values[:, :2]))
    assert np.isnan(gsc(values[:1], values[:1]))
    assert np.isnan(gsc(values, np.zeros_like(values)))
    assert np.isnan(rvd(np.ones((5, 2)), rng.normal(size=(5, 2))))
    assert np.isnan(morans_i(values[:1], spatial_weights(xy[:1]))).all()


def test_a_constant_prediction_counts_as_without_spatial_structure():
    rng = np.random.default_rng(4)
    xy = rng.uniform(size=(60, 2)) * 1000
    truth = np.column_stack([np.sin(xy[:, 0] / s) + rng.normal(scale=0.3, size=60) for s in (50, 100, 200, 400, 800)])
    flat = truth.copy()
    flat[:, 4] = 1.0
    i = morans_i(truth, spatial_weights(xy))
    expected = np.corrcoef(i, np.r_[i[:4], 0.0])[0, 1]
    assert ssc(truth, flat, xy) == pytest.approx(expected)
    constant_truth = np.column_stack([truth, np.ones(60)])
    assert ssc(constant_truth, np.column_stack([truth, xy[:, 0]]), xy) == pytest.approx(1.0)
