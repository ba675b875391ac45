"""Choose a setting of a closed-form model by cross-validation that keeps groups (patients, sections, regions) whole.

Each candidate predicts every group from a fit to the other groups. The best one has the highest correlation with the
measured expression. Test sections are never seen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

import numpy as np

from eosin.metrics import pearson_per_gene
from eosin.models.base import Training

T = TypeVar("T")
PredictAll = Callable[[np.ndarray, np.ndarray], Iterable[np.ndarray]]
"""(rows to fit on, rows held out [o]) -> one prediction [o g] of the held-out rows for each candidate, in order."""


def choose(training: Training, candidates: Sequence[T], predict_all: PredictAll) -> T:
    """The candidate of the highest `mean_correlation` on held-out groups; the first among equals.

    A single candidate is returned as it is. One group leaves nothing to hold out: the middle candidate is returned.
    """
    if len(candidates) == 1 or not can_hold_out(training):
        return middle(candidates)
    scores: list[list[float]] = [[] for _ in candidates]
    for inside, outside in folds(training.groups):  # scored fold by fold: no table of candidates x spots x genes
        for own, values in zip(scores, predict_all(inside, outside)):
            predicted = np.asarray(values, dtype=np.float32)
            own += correlations(training.target[outside], predicted, training.groups[outside])
    return best(candidates, [float(np.mean(own)) if own else 0.0 for own in scores])


def can_hold_out(training: Training) -> bool:
    """Whether there are at least two groups."""
    return len(np.unique(training.groups)) > 1


def middle(candidates: Sequence[T]) -> T:
    """The candidate to take where nothing tells them apart."""
    return candidates[len(candidates) // 2]


def best(candidates: Sequence[T], scores: Sequence[float]) -> T:
    """The candidate of the highest score; the first among equals."""
    return candidates[int(np.argmax(scores))]


def best_along(candidates: Sequence[T], score: Callable[[T], float]) -> T:
    """The candidate of the highest score, where scores rise to one top along the candidates, as along penalties do.

    Every fourth candidate and the last are looked at, then those two and one steps beside the best: of 22 candidates
    eleven.
    """
    known: dict[int, float] = {}

    def top(numbers: Iterable[int]) -> int:
        for number in numbers:
            if 0 <= number < len(candidates) and number not in known:
                known[number] = score(candidates[number])
        return min(known, key=lambda number: (-known[number], number))

    if len(candidates) == 1:
        return candidates[0]
    found = top([*range(0, len(candidates), 4), len(candidates) - 1])
    for step in (2, 1):
        found = top([found - step, found + step])
    return candidates[found]


def folds(groups: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """(rows to fit on, rows held out) for each group of `groups` [s]; a single group is fitted and predicted itself.

    Spots of a negative label are always fitted on and never held out.
    """
    labels = np.unique(groups)
    for label in labels[labels >= 0]:
        outside = groups == label
        inside = ~outside if len(labels) > 1 else outside
        yield np.flatnonzero(inside), np.flatnonzero(outside)


def mean_correlation(training: Training, predicted: np.ndarray) -> float:
    """Pearson correlation of `predicted` [s g] with the target: mean over genes within a group, then over groups.

    A gene that is constant in a group counts as 0 there. Groups of two spots or fewer, and those of a negative label,
    are left out; where all are so, the answer is 0.
    """
    per_group = correlations(training.target, predicted, training.groups)
    return float(np.mean(per_group)) if per_group else 0.0


def correlations(target: np.ndarray, predicted: np.ndarray, groups: np.ndarray) -> list[float]:
    """Pearson correlation of values [s g] in each group of more than two spots, mean over genes; as above."""
    per_group = []
    for label in np.unique(groups):
        rows = groups == label
        if rows.sum() > 2 and label >= 0:
            per_group.append(float(np.nan_to_num(pearson_per_gene(target[rows], predicted[rows])).mean()))
    return per_group
