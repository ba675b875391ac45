from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import pearsonr

import toy
from eosin.models import Training
from eosin.models.parts.choose import best_along, choose, folds, mean_correlation


@pytest.fixture(scope="module")
def training() -> Training:
    return toy.training()


def test_folds_hold_out_each_group_once_and_fit_on_the_others() -> None:
    groups = np.array([3, 1, 3, 7, 1])
    assert [(list(inside), list(outside)) for inside, outside in folds(groups)] == [
        ([0, 2, 3], [1, 4]),
        ([1, 3, 4], [0, 2]),
        ([0, 1, 2, 4], [3]),
    ]


def test_a_single_group_is_fitted_and_predicted_itself() -> None:
    ((inside, outside),) = folds(np.zeros(3, dtype=int))
    assert list(inside) == list(outside) == [0, 1, 2]


def test_every_candidate_predicts_every_group_from_the_others(training: Training) -> None:
    asked = []

    def predict_all(inside: np.ndarray, outside: np.ndarray) -> Iterable[np.ndarray]:
        assert not set(inside) & set(outside)
        assert not set(training.groups[inside]) & set(training.groups[outside])
        asked.append(outside)
        noise = np.random.default_rng(0).normal(size=training.target[outside].shape)
        return (training.target[outside] + share * noise for share in (2.0, 0.0, 1.0))

    assert choose(training, ("much", "none", "some"), predict_all) == "none"
    assert np.array_equal(np.sort(np.concatenate(asked)), np.arange(len(training.target)))


def test_mean_correlation_is_the_definition(training: Training) -> None:
    rng = np.random.default_rng(0)
    predicted = training.target + rng.normal(size=training.target.shape)
    per_group = [
        np.mean([pearsonr(training.target[rows, g], predicted[rows, g])[0] for g in range(predicted.shape[1])])
        for rows in (training.groups == label for label in np.unique(training.groups))
    ]
    assert len(per_group) > 1
    assert mean_correlation(training, predicted) == pytest.approx(np.mean(per_group), abs=1e-6)


def test_constant_genes_count_as_0_and_tiny_groups_are_left_out(training: Training) -> None:
    half = training.target.copy()
    half[:, 0] = 1.0
    n_genes = half.shape[1]
    assert mean_correlation(training, half) == pytest.approx((n_genes - 1) / n_genes, abs=1e-6)
    alone = replace(training, groups=np.arange(len(training.groups)))
    assert mean_correlation(alone, training.target) == 0.0


def test_groups_of_two_are_left_out_and_of_three_count(training: Training) -> None:
    """Two spots correlate by 1 or -1 whatever is predicted."""
    groups = np.full(len(training.groups), 7)
    groups[:2], groups[2:5] = 1, 3
    mixed = replace(training, groups=groups)
    predicted = np.random.default_rng(2).normal(size=training.target.shape) + training.target
    per_group = [
        np.nanmean([pearsonr(training.target[rows, g], predicted[rows, g])[0] for g in range(predicted.shape[1])])
        for rows in (groups == 3, groups == 7)
    ]
    assert mean_correlation(mixed, predicted) == pytest.approx(np.mean(per_group), abs=1e-6)


def noisy(training: Training, levels: tuple[float, ...], calls: list[int]):
    """Candidates whose predictions are the target with noise of these levels."""

    def predict_all(inside: np.ndarray, outside: np.ndarray) -> Iterable[np.ndarray]:
        calls.append(len(outside))
        noise = np.random.default_rng(1).normal(size=training.target[outside].shape)
        return (training.target[outside] + level * noise for level in levels)

    return predict_all


def test_the_best_candidate_is_chosen_and_the_first_among_equals(training: Training) -> None:
    names = ("bad", "good", "as good", "worse")
    calls: list[int] = []
    assert choose(training, names, noisy(training, (1.0, 0.1, 0.1, 2.0), calls)) == "good"
    assert sum(calls) == len(training.groups)


def test_where_nothing_can_be_held_out_the_middle_candidate_is_taken(training: Training) -> None:
    calls: list[int] = []
    whole = replace(training, groups=np.zeros_like(training.groups))
    assert choose(whole, (1, 2, 3), noisy(whole, (0.1, 0.2, 0.3), calls)) == 2
    assert choose(training, (5,), noisy(training, (0.1,), calls)) == 5
    assert calls == []


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 9, 22])
def test_a_search_along_candidates_finds_the_one_top_by_few_looks(n: int) -> None:
    for top in range(n):
        for skew in (0.2, 1.0, 5.0):
            looked: list[int] = []

            def score(number: int, top: int = top, skew: float = skew, looked: list[int] = looked) -> float:
                looked.append(number)
                return -abs(number - top) * (skew if number > top else 1.0)

            assert best_along(range(n), score) == top
            assert len(looked) == len(set(looked)) <= max(n // 4 + 6, 1)
