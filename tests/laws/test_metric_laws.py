"""What must hold for any truth and any prediction."""

from __future__ import annotations

import json
import warnings

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from eosin.genes import TRANSFORMS
from eosin.metrics import (
    coverage,
    crps,
    energy,
    gsc,
    mae,
    pcc_summary,
    pearson_per_gene,
    rvd,
    spatial_weights,
    ssc,
)
from eosin.scores.scoring import score
from eosin.types import GenePanel, Prediction, Section, Spots

few = settings(max_examples=40, deadline=None)
seeds = st.integers(0, 2**32 - 1)


def made(seed: int, s: int = 40, g: int = 6) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.random.Generator]:
    rng = np.random.default_rng(seed)
    xy = rng.uniform(0, 1000, size=(s, 2))
    truth = np.sin(xy[:, :1] / rng.uniform(50, 500, g)) + rng.normal(scale=rng.uniform(0.1, 1, g), size=(s, g))
    return truth, truth + rng.normal(size=(s, g)), xy, rng


@few
@given(seeds, st.floats(0.01, 100), st.floats(-100, 100))
def test_pcc_gsc_ssc_do_not_see_positive_affine_maps(seed, scale, shift):
    truth, predicted, xy, _ = made(seed)
    moved = predicted * scale + shift
    np.testing.assert_allclose(pearson_per_gene(truth, moved), pearson_per_gene(truth, predicted), atol=1e-8)
    np.testing.assert_allclose(pearson_per_gene(truth, -predicted), -pearson_per_gene(truth, predicted), atol=1e-12)
    np.testing.assert_allclose(gsc(truth, moved), gsc(truth, predicted), atol=1e-5)
    np.testing.assert_allclose(ssc(truth, moved, xy), ssc(truth, predicted, xy), atol=1e-8)


@few
@given(seeds)
def test_the_order_of_spots_and_of_genes_does_not_matter(seed):
    truth, predicted, xy, rng = made(seed)
    draws = predicted + rng.normal(size=(5, *predicted.shape))
    rows, columns = rng.permutation(len(truth)), rng.permutation(truth.shape[1])

    def numbers(t, p, d, x):
        return [pcc_summary(t, p).mean, gsc(t, p), ssc(t, p, x), rvd(t, p), crps(t, d), coverage(t, d), energy(t, d)]

    shuffled = (a[..., rows, :][..., columns] for a in (truth, predicted, draws))
    np.testing.assert_allclose(numbers(*shuffled, xy[rows]), numbers(truth, predicted, draws, xy), atol=1e-10)


@few
@given(seeds, st.floats(0, 6.3))
def test_ssc_does_not_see_where_and_how_the_section_lies(seed, angle):
    truth, predicted, xy, _ = made(seed)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    np.testing.assert_allclose(ssc(truth, predicted, xy @ turn * [1, -1] + 777), ssc(truth, predicted, xy), atol=1e-9)


@few
@given(seeds)
def test_the_truth_itself_scores_best(seed):
    truth, _, xy, _ = made(seed)
    assert abs(pcc_summary(truth, truth).mean - 1) < 1e-12
    assert abs(gsc(truth, truth) - 1) < 1e-9
    assert abs(ssc(truth, truth, xy) - 1) < 1e-9
    assert rvd(truth, truth) == 0
    assert crps(truth, truth[None]) == 0
    assert energy(truth, np.stack([truth, truth])) == 0


@few
@given(seeds, st.integers(1, 9))
def test_crps_lies_between_zero_and_the_error_and_equals_it_for_a_point(seed, k):
    truth, predicted, _, rng = made(seed)
    draws = predicted + rng.normal(size=(k, *predicted.shape))
    assert 0 <= crps(truth, draws) <= np.abs(draws - truth).mean() + 1e-12
    np.testing.assert_allclose(crps(truth, np.repeat(predicted[None], k, 0)), mae(truth, predicted), atol=1e-12)
    # only the set of draws counts
    np.testing.assert_allclose(crps(truth, np.concatenate([draws, draws])), crps(truth, draws), atol=1e-12)


@few
@given(seeds, st.integers(2, 12), st.floats(0.01, 0.99), st.floats(0.01, 0.99))
def test_coverage_grows_with_the_level_and_with_the_spread(seed, k, one, other):
    truth, predicted, _, rng = made(seed)
    noise = rng.normal(size=(k, *predicted.shape))
    noise -= noise.mean(0)
    low, high = sorted((one, other))
    assert coverage(truth, predicted + noise, low) <= coverage(truth, predicted + noise, high)


@few
@given(arrays(np.float64, st.tuples(st.integers(1, 12), st.just(2)), elements=st.integers(0, 3).map(float)))
def test_weights_are_symmetric_and_nobody_is_alone(xy):
    weights = spatial_weights(xy, k=3).toarray()
    np.testing.assert_array_equal(weights, weights.T)
    assert set(np.unique(weights)) <= {0.0, 1.0}
    assert np.trace(weights) == 0
    assert (weights.sum(1) >= min(3, len(xy) - 1)).all()


@few
@given(
    st.sampled_from(list(TRANSFORMS)),
    arrays(np.float64, (5, 4), elements=st.integers(0, 10**6).map(float)),
    st.integers(0, 1000),
)
def test_transforms_come_back_and_keep_order(name, counts, others):
    transform, totals = TRANSFORMS[name], counts.sum(1) + others
    values = transform.forward(counts, totals)
    np.testing.assert_allclose(transform.inverse(values, totals), counts, rtol=1e-9, atol=1e-9)
    assert ((values == 0) == (counts == 0)).all()
    assert (np.argsort(values, 1, kind="stable") == np.argsort(counts, 1, kind="stable")).all()


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 4),
    st.integers(1, 4),
    st.integers(1, 12),
    st.data(),
)
def test_a_score_is_json_without_a_warning_whatever_the_data(k, g, s, data):
    genes = tuple(f"G{j}" for j in range(g))
    counts = data.draw(arrays(np.float32, (s, g), elements=st.sampled_from([0.0, 1.0, 5.0])))
    draws = data.draw(arrays(np.float32, (k, s, g), elements=st.sampled_from([0.0, 0.5, -3.0])))
    xy = data.draw(arrays(np.float64, (s, 2), elements=st.sampled_from([0.0, 1.0, 7.0])))
    spots = Spots(xy, 55.0, tuple(map(str, range(s))))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = score(
            Prediction("a", spots, GenePanel(genes), draws, "m", 0),
            Section("a", "p", spots, counts=counts, genes=genes),
        )
    json.dumps(found, allow_nan=False)
