from __future__ import annotations

import warnings

import numpy as np
import pytest
from scipy.stats import mannwhitneyu

from eosin.metrics import deg_overlap, marker_overlap, wilcoxon


def counts(s: int = 60, g: int = 40, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = np.array(["tumour", "stroma", "immune"], dtype=object)[np.arange(s) % 3]
    level = {name: rng.uniform(0.2, 4, g) for name in ("tumour", "stroma", "immune")}
    return np.log1p(np.stack([rng.poisson(level[name]) for name in labels]).astype(float)), labels


def test_z_by_hand():
    values = np.array([[1.0], [2.0], [3.0], [4.0]])
    # ranks 3 + 4 = 7 of an expected 5; variance 2 · 2 · 5 / 12
    assert wilcoxon(values, np.array([False, False, True, True])) == pytest.approx([2 / np.sqrt(20 / 12)])


def test_corrected_for_ties_it_is_scipys():
    values, labels = counts()
    inside = labels == "tumour"
    ours = wilcoxon(values, inside, tie_correct=True)
    for j in range(values.shape[1]):
        known = mannwhitneyu(values[inside, j], values[~inside, j], method="asymptotic", use_continuity=False)
        half = inside.sum() * (~inside).sum() / 2
        assert np.sign(ours[j]) == np.sign(known.statistic - half)
        assert 2 * (1 - _normal(abs(ours[j]))) == pytest.approx(known.pvalue, abs=1e-9)


def _normal(z: float) -> float:
    from scipy.stats import norm

    return float(norm.cdf(z))


# What scanpy 1.11.5 gave for domain "a" (frozen, since it compiles for half a minute): sc.tl.rank_genes_groups(data,
# "d", method="wilcoxon", tie_correct=...) on the values and labels below.
SCANPY = {
    False: [-0.5059326, -0.5939208, 1.3198240, 0.6599120, -0.2199707],
    True: [-0.5269871, -0.6463794, 1.5545632, 0.7772816, -0.2692583],
}


@pytest.mark.parametrize("tie_correct", [False, True])
def test_it_is_scanpys(tie_correct):
    i, j = np.meshgrid(np.arange(1, 31), np.arange(1, 6), indexing="ij")
    values = np.log1p(np.floor(np.abs(np.sin(i * i * 0.37 * j + 0.11 * i) * 3 / j) * 2))
    found = wilcoxon(values, np.arange(30) % 3 == 0, tie_correct=tie_correct)
    np.testing.assert_allclose(found, SCANPY[tie_correct], atol=1e-6)


def test_overlap_by_hand():
    # one gene marks each domain in the truth; the prediction has a's right and takes another gene for b's
    labels = ["a"] * 3 + ["b"] * 3
    high = np.array([5.0, 6, 7])
    truth, predicted = np.zeros((6, 4)), np.zeros((6, 4))
    truth[:3, 0], truth[3:, 1] = high, high
    truth[:, 2:] = [[1, 0], [0, 1], [1, 1], [0, 0], [1, 0], [1, 1]]
    predicted[:3, 0], predicted[3:, 2] = high, high
    assert marker_overlap(truth, predicted, labels, 1) == {"a": 1.0, "b": 0.0}
    assert deg_overlap(truth, predicted, labels, 1) == 0.5


def test_overlap_of_the_top_is_the_top_of_scanpys_table():
    truth, labels = counts(seed=2)
    predicted = truth + np.random.default_rng(3).normal(scale=1.0, size=truth.shape)
    found = marker_overlap(truth, predicted, list(labels), 10)
    for name, share in found.items():
        tops = [set(np.argsort(-wilcoxon(x, labels == name), kind="stable")[:10]) for x in (truth, predicted)]
        assert share == pytest.approx(len(tops[0] & tops[1]) / 10, abs=0.05)  # ties at the tenth place share it
    assert 0.3 < np.mean(list(found.values())) < 1


def test_the_truth_overlaps_wholly_and_nothing_gets_what_chance_gets():
    truth, labels = counts(seed=4)
    exact = truth + 1e-9 * np.random.default_rng(0).normal(size=truth.shape)
    assert deg_overlap(exact, exact, list(labels), 20) == pytest.approx(1)
    assert deg_overlap(truth, np.zeros_like(truth), list(labels), 20) == pytest.approx(20 / 40)
    assert deg_overlap(truth, np.full_like(truth, 0.1 + 0.2), list(labels), 20) == pytest.approx(20 / 40)


def test_the_order_of_the_panel_plays_no_part():
    truth, labels = counts(seed=5)
    flat = np.zeros_like(truth)
    flat[:, :5] = truth[:, :5]
    order = np.random.default_rng(1).permutation(40)
    assert deg_overlap(truth, flat, list(labels), 10) == pytest.approx(
        deg_overlap(truth[:, order], flat[:, order], list(labels), 10)
    )


def test_where_all_genes_would_be_the_top_it_is_undefined():
    truth, labels = counts()
    assert np.isnan(deg_overlap(truth, truth, list(labels), 40))
    assert np.isnan(deg_overlap(truth, truth, list(labels), 50))
    truth[:, 0] = 2.0  # constant: 39 are left
    assert np.isnan(deg_overlap(truth, truth, list(labels), 39))
    assert deg_overlap(truth, truth, list(labels), 38) > 0.9


def test_unlabelled_spots_and_tiny_domains_are_left_out():
    truth, labels = counts()
    labels[:2] = "rare"
    labels[2:10] = "nan"
    spoilt = truth.copy()
    spoilt[2:10] = 100.0
    found = marker_overlap(truth, spoilt, list(labels), 10)
    assert set(found) == {"tumour", "stroma", "immune"}
    assert found == marker_overlap(truth[[0, 1, *range(10, 60)]], truth[[0, 1, *range(10, 60)]], _but(labels), 10)


def _but(labels: np.ndarray) -> list[str]:
    return [*labels[:2], *labels[10:]]


def test_no_labels_no_warning():
    truth, _ = counts()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for labels in ([""] * 60, ["a"] * 60, ["a"] * 59 + ["b"]):
            assert np.isnan(deg_overlap(truth, truth, labels, 10))
