"""What a linear regression needs to know of training spots, gathered in one pass over them, for every fold at once.

Sums over blocks of spots, each around its own means, from which the covariances of any union of blocks follow. What
is fitted without a group is made of the sums of the other groups: no row is read again. Sums are added and never
subtracted, so that a feature that is constant in a fold stays constant.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from eosin.models.base import Training
from eosin.row_blocks import row_blocks
from eosin.types import Batch

NUMBERS_AT_ONCE = 2**22
"""Numbers in one block of rows: 32 MiB."""
MOST_BYTES = 1 << 29
"""What the sums of the groups of one grouping may take."""

RowsOf = Callable[[np.ndarray], np.ndarray]
"""Features [r f] of some training spots, float64 or float32, in an array of their own."""


@dataclass(frozen=True)
class Sums:
    """Sums over some spots.

    Attributes
    ----------
    xx, xy
        [f f] and [f g]: products of features with features and with values, each less its mean over the block.
    n, x, y
        [b] spots of each block, and their means of features [b f] and of values [b g].
    section
        [b] the section that a block is of.
    """

    xx: np.ndarray
    xy: np.ndarray
    n: np.ndarray
    x: np.ndarray
    y: np.ndarray
    section: np.ndarray

    def __add__(self, other: Sums) -> Sums:
        blocks = [np.concatenate([getattr(self, name), getattr(other, name)]) for name in ("n", "x", "y", "section")]
        return Sums(self.xx + other.xx, self.xy + other.xy, *blocks)

    @property
    def n_spots(self) -> int:
        """Number of the spots."""
        return int(self.n.sum())

    def mean_x(self) -> np.ndarray:
        """[f] mean of the features."""
        return self.n @ self.x / self.n.sum()

    def mean_y(self, blocks: np.ndarray | slice = slice(None)) -> np.ndarray:
        """[g] mean of the values, of all blocks or of some."""
        return self.n[blocks] @ self.y[blocks] / self.n[blocks].sum()

    def covariance(self) -> np.ndarray:
        """[f f] of the features, over n."""
        apart = (self.x - self.mean_x()) * np.sqrt(self.n)[:, None]
        return (self.xx + apart.T @ apart) / self.n.sum()

    def covariance_with_values(self, *, within_sections: bool) -> np.ndarray:
        """[f g] of features and values, over n; the values less the means of their sections, or of all spots."""
        y = self.y - self.mean_y()
        if within_sections:
            for label in np.unique(self.section):
                own = self.section == label
                y[own] = self.y[own] - self.mean_y(own)
        return (self.xy + ((self.x - self.mean_x()) * self.n[:, None]).T @ y) / self.n.sum()


Groups = dict[int, Sums]
"""The sums of groups, by label."""


def gather_sums(
    rows_of: RowsOf,
    n_features: int,
    target: np.ndarray,
    section: np.ndarray,
    labelings: Sequence[np.ndarray],
) -> list[Groups]:
    """One pass over all spots: the sums of every group of several groupings.

    Parameters
    ----------
    rows_of, n_features
        The features of spots, and how many there are.
    target
        [s g] values.
    section
        [s] section of each spot.
    labelings
        Groups [s] of spots, each grouping in its turn.

    Returns
    -------
    list of dict
        For each grouping, the sums by label.
    """
    kinds = np.unique(np.stack([section, *labelings]), axis=1, return_inverse=True)[1].reshape(-1)
    n_genes = target.shape[1]
    found: list[dict[int, _Growing]] = [{} for _ in labelings]
    for kind in range(kinds.max() + 1):
        own = np.flatnonzero(kinds == kind)
        for block in row_blocks(len(own), budget=NUMBERS_AT_ONCE, per_row=n_features + n_genes):
            rows = own[block]
            x = rows_of(rows)
            y = target[rows].astype(x.dtype)
            mean_x, mean_y = x.mean(0, dtype=np.float64), y.mean(0, dtype=np.float64)
            x -= mean_x
            y -= mean_y
            xx, xy = x.T @ x, x.T @ y
            for groups, labels in zip(found, labelings):
                group = groups.setdefault(int(labels[rows[0]]), _Growing(n_features, n_genes))
                group.add(xx, xy, len(rows), mean_x, mean_y, int(section[rows[0]]))
    return [{label: group.sums() for label, group in groups.items()} for groups in found]


class _Growing:
    """The sums of one group while blocks are added in place."""

    def __init__(self, n_features: int, n_genes: int):
        self.xx, self.xy = np.zeros((n_features, n_features)), np.zeros((n_features, n_genes))
        self.blocks: list[tuple[int, np.ndarray, np.ndarray, int]] = []

    def add(self, xx: np.ndarray, xy: np.ndarray, n: int, x: np.ndarray, y: np.ndarray, section: int) -> None:
        self.xx += xx
        self.xy += xy
        self.blocks.append((n, x, y, section))

    def sums(self) -> Sums:
        n, x, y, section = zip(*self.blocks)
        return Sums(self.xx, self.xy, np.array(n, dtype=float), np.stack(x), np.stack(y), np.array(section))


def total(groups: Groups) -> Sums:
    """Over the spots of all groups."""
    first, *rest = groups.values()
    for sums in rest:
        first = first + sums
    return first


def without_each(groups: Groups) -> Iterator[tuple[int, Sums]]:
    """(label, the sums over all other groups), by growing label; of a single group, its own.

    A group of a negative label is in all of them and never left out. Halves are added and halved again: of k groups
    k log k additions, and log k tables beside the groups' own.
    """
    labels = sorted(label for label in groups if label >= 0)
    always = [groups[label] for label in groups if label < 0]
    if len(groups) == 1:
        return ((label, groups[label]) for label in labels)
    rest = total(dict(enumerate(always))) if always else None
    return _without_each(groups, labels, rest)


def _without_each(groups: Groups, labels: list[int], rest: Sums | None) -> Iterator[tuple[int, Sums]]:
    if len(labels) == 1:
        assert rest is not None
        yield labels[0], rest
        return
    half = len(labels) // 2
    for own, others in ((labels[:half], labels[half:]), (labels[half:], labels[:half])):
        if not own:
            continue
        outside = total({label: groups[label] for label in others})
        yield from _without_each(groups, own, outside if rest is None else rest + outside)


def in_few_folds(labels: np.ndarray, n_features: int) -> np.ndarray:
    """[s] labels of folds: the groups themselves, or where their sums would be too large, several groups each.

    Negative labels stay.
    """
    most, kept = max(2, _most_groups(n_features)), labels >= 0
    distinct = np.unique(labels[kept])
    if len(distinct) <= most:
        return labels
    result = labels.copy()
    result[kept] = np.searchsorted(distinct, labels[kept]) % most
    return result


class KeptSums:
    """Sums of groups of one training set, kept until its batch is gone: several questions are asked of one pass."""

    def __init__(self) -> None:
        self._batch: weakref.ref[Batch] | None = None
        self._target: np.ndarray | None = None
        self._known: list[tuple[np.ndarray, Groups]] = []

    def of(self, training: Training, rows_of: RowsOf, n_features: int, labelings: Sequence[np.ndarray]) -> list[Groups]:
        """Sums by label for each grouping of the training spots; those that are not known yet in one pass."""
        if self._batch is None or self._batch() is not training.batch or self._target is not training.target:
            self._batch, self._target, self._known = weakref.ref(training.batch, self._forget), training.target, []
        missing: list[np.ndarray] = []
        for labels in labelings:
            if not any(np.array_equal(labels, known) for known in [*missing, *(known for known, _ in self._known)]):
                missing.append(labels)
        if missing:
            section = training.batch.part_of_spot()
            found = gather_sums(rows_of, n_features, training.target, section, missing)
            self._known += list(zip(missing, found))
        return [next(sums for known, sums in self._known if np.array_equal(labels, known)) for labels in labelings]

    def _forget(self, _: object) -> None:
        self._batch, self._target, self._known = None, None, []

    def __deepcopy__(self, memo: object) -> KeptSums:
        return KeptSums()

    def __reduce__(self) -> tuple[type[KeptSums], tuple[()]]:
        return KeptSums, ()  # a copy, here or in another process, gathers its own


def renumbered(labels: np.ndarray) -> np.ndarray:
    """[s] the same groups, numbered from 0 by growing label; negative labels become -1."""
    result = np.full(len(labels), -1, dtype=np.int64)
    kept = labels >= 0
    result[kept] = np.unique(labels[kept], return_inverse=True)[1].reshape(-1)
    return result


def are_small(labels: np.ndarray, n_features: int) -> bool:
    """Whether the sums of all groups [s] fit into what they may take."""
    return len(np.unique(labels)) <= _most_groups(n_features)


def _most_groups(n_features: int) -> int:
    return MOST_BYTES // (8 * n_features**2)
