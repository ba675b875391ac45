"""Principal-component ridges without each group of the training spots: of sums over groups, or of rows in memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np

from eosin.models.base import Training
from eosin.models.parts.choose import folds
from eosin.models.parts.patients import Levels, SpotOrigins, within_sections
from eosin.models.parts.principal import Fit
from eosin.models.parts.sums import (
    NUMBERS_AT_ONCE,
    Groups,
    KeptSums,
    are_small,
    in_few_folds,
    total,
    without_each,
)
from eosin.row_blocks import row_blocks
from eosin.storage.lazy_rows import LazyRows

_ROWS_AT_ONCE = 2**18
"""Spots that are predicted out of fold at once: more than are ever judged, so that no group is judged in parts."""


@dataclass(frozen=True)
class HeldOut:
    """Spots as a fit without them sees them.

    Attributes
    ----------
    places
        Which of the spots that were asked for [o].
    components
        Theirs [o c].
    fit, levels
        Of the spots outside the fold.
    """

    places: np.ndarray
    components: np.ndarray
    fit: Fit
    levels: Levels

    def values(self, penalty: float, some: np.ndarray | slice, level: np.ndarray) -> np.ndarray:
        """[r g] float32 of some of them, with their level."""
        return (self.components[some] @ self.fit.weights(penalty) + level).astype(np.float32)


@dataclass(frozen=True)
class FoldFits:
    """How fits are made.

    Attributes
    ----------
    n_components
        Principal components to keep.
    within_sections
        Whether values are taken less their section's mean, and patients have levels.
    kept
        Sums of groups that were asked for.
    """

    n_components: int
    within_sections: bool
    kept: KeptSums = field(default_factory=KeptSums)

    def held_out(
        self, training: Training, origins: SpotOrigins, labels: np.ndarray, rows: np.ndarray
    ) -> Iterator[HeldOut]:
        """Each fold of a grouping [s], as some rows are seen by a fit without it."""
        features, origins = training.batch.features, self._with_names(origins)
        by_sums = self.by_sums(training, labels)
        groups = in_few_folds(labels, features.shape[1]) if by_sums else labels
        for label, fit, levels in (self._fits_of_sums if by_sums else self._fits)(training, origins, groups):
            of_fold = np.flatnonzero(groups[rows] == label)
            for some in row_blocks(len(of_fold), budget=_ROWS_AT_ONCE):
                places = of_fold[some]
                blocks = row_blocks(len(places), budget=NUMBERS_AT_ONCE, per_row=features.shape[1])
                components = [fit.components(features[rows[places[block]]]) for block in blocks]
                yield HeldOut(places, np.concatenate(components), fit, levels)

    def by_sums(self, training: Training, labels: np.ndarray) -> bool:
        """Whether fits are made of sums over groups: for features so wide that these are large, of rows in memory."""
        features = training.batch.features
        return isinstance(features, LazyRows) or are_small(labels, features.shape[1])

    def whole(self, training: Training, origins: SpotOrigins, labels: np.ndarray) -> Fit:
        """The fit to all training spots, whose groups are `labels`."""
        if not self.by_sums(training, labels):
            return self._fit(training, origins, np.arange(len(labels)))
        (groups,) = self.sums(training, [in_few_folds(labels, training.batch.features.shape[1])])
        within = self.within_sections
        return Fit.of_sums(total(groups), self.n_components, within_sections=within)

    def _fits_of_sums(
        self, training: Training, origins: SpotOrigins, labels: np.ndarray
    ) -> Iterator[tuple[int, Fit, Levels]]:
        """(label, fit without the group, levels without it), of one pass over the spots."""
        within = self.within_sections
        (groups,) = self.sums(training, [labels])
        for label, sums in without_each(groups):
            fit = Fit.of_sums(sums, self.n_components, within_sections=within)
            yield label, fit, Levels.of_sums(sums, origins)

    def _fits(self, training: Training, origins: SpotOrigins, labels: np.ndarray) -> Iterator[tuple[int, Fit, Levels]]:
        """The same from the rows of each fold."""
        for inside, outside in folds(labels):
            levels = Levels.of(training.target[inside], origins.take(inside))
            yield int(labels[outside[0]]), self._fit(training, origins, inside), levels

    def _fit(self, training: Training, origins: SpotOrigins, rows: np.ndarray) -> Fit:
        target = training.target[rows]
        if self.within_sections:
            target = within_sections(target, origins.section[rows])
        return Fit.of(training.batch.features[rows], target, self.n_components)

    def _with_names(self, origins: SpotOrigins) -> SpotOrigins:
        """Without names of patients where their levels are not wanted."""
        return origins if self.within_sections else replace(origins, names=())

    def sums(self, training: Training, folds_of: list[np.ndarray]) -> list[Groups]:
        """The sums of the groups of each grouping [s]."""
        features = training.batch.features
        return self.kept.of(training, lambda rows: features[rows].astype(np.float64), features.shape[1], folds_of)
