"""How members are fitted and their heads chosen: by the kernel between all training spots, or by landmarks."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy import sparse

from eosin.geometry.patches import patches
from eosin.models.base import Training
from eosin.models.kernel.context import Context
from eosin.models.kernel.heads import Chosen, Judged, choose_head
from eosin.models.kernel.landmark_choice import (
    MOST_JUDGED,
    SmoothedSpots,
    choose_by_landmarks,
    folds_of_known,
    folds_of_new,
)
from eosin.models.kernel.landmark_fits import LandmarkFits
from eosin.models.kernel.member import Member, Near
from eosin.models.kernel.settings import KernelSettings
from eosin.models.parts.patients import SpotOrigins
from eosin.models.parts.sums import total


@dataclass(frozen=True)
class Fitting(ABC):
    """The training spots, and what to choose by.

    Attributes
    ----------
    training, origins
        All spots.
    genes
        Columns of the target by which heads are chosen.
    smooth
        [s s] averages over neighbours.
    """

    training: Training
    origins: SpotOrigins
    genes: np.ndarray
    smooth: sparse.csr_matrix

    @abstractmethod
    def folds(self, *, known: bool) -> Sequence[np.ndarray]:
        """Rows held out in turn to choose the head for patients of training, or that for new ones."""

    @abstractmethod
    def choose(
        self, context: Context, settings: KernelSettings, near: Near | None = None, *, known: bool = True
    ) -> Chosen:
        """Penalty and smoothing of one member, by what is held out for known or for new patients."""

    @abstractmethod
    def member(self, context: Context, settings: KernelSettings, near: Near | None = None) -> Member:
        """The regression of all training spots."""

    @property
    def alike(self) -> bool:
        """Whether both heads are chosen by the same folds, and so are the same."""
        one, other = self.folds(known=True), self.folds(known=False)
        return len(one) == len(other) and all(np.array_equal(a, b) for a, b in zip(one, other))


@dataclass(frozen=True)
class ExactFitting(Fitting):
    """By the kernel between all spots; each fold has scales, components and width of its own."""

    def folds(self, *, known: bool) -> Sequence[np.ndarray]:
        """As for `Fitting`."""
        return self.origins.folds_of_known() if known else self.origins.folds_of_new()

    def choose(
        self, context: Context, settings: KernelSettings, near: Near | None = None, *, known: bool = True
    ) -> Chosen:
        """As for `Fitting`."""
        return choose_head(context, self.judged(known=known), settings, near)

    def member(self, context: Context, settings: KernelSettings, near: Near | None = None) -> Member:
        """As for `Fitting`."""
        every = np.arange(len(context))
        return Member.of(context, self.training.target, self.origins.section, every, settings, near)

    def judged(self, *, known: bool) -> Judged:
        """What heads are chosen by."""
        target = self.training.target[:, self.genes].astype(np.float64)
        return Judged(target, self.origins, self.folds(known=known), self.smooth)


@dataclass(frozen=True)
class LandmarkFitting(Fitting):
    """By landmarks: one pass over all spots for all folds, few spots to choose by.

    Attributes
    ----------
    fits
        What was fitted, by context, settings and places.
    """

    fits: list[tuple[tuple[Context, KernelSettings, Near | None], LandmarkFits]] = field(default_factory=list)

    def folds(self, *, known: bool) -> Sequence[np.ndarray]:
        """As for `Fitting`."""
        labels = folds_of_known(self.origins) if known else folds_of_new(self.origins)
        kinds = np.unique(labels[labels >= 0])
        return [np.flatnonzero(labels == label) for label in kinds] if len(np.unique(labels)) > 1 else []

    def choose(
        self, context: Context, settings: KernelSettings, near: Near | None = None, *, known: bool = True
    ) -> Chosen:
        """As for `Fitting`."""
        batch, labelings = self.training.batch, [folds_of_known(self.origins), folds_of_new(self.origins)]
        fits = self.of(context, settings, near)
        fits.sums(self.training, labelings if near is None else labelings[:1])  # in one pass
        labels = labelings[0 if known else 1]
        rows = patches(batch.xy_um, MOST_JUDGED, starts=batch.starts)
        spots = SmoothedSpots.of(rows[labels[rows] >= 0], self.smooth)
        return choose_by_landmarks(fits, self.training, spots, labels, self.genes)

    def member(self, context: Context, settings: KernelSettings, near: Near | None = None) -> Member:
        """As for `Fitting`."""
        fits = self.of(context, settings, near)
        (groups,) = fits.sums(self.training, [folds_of_known(self.origins)])
        return fits.member(total(groups))

    def of(self, context: Context, settings: KernelSettings, near: Near | None) -> LandmarkFits:
        """The fits of one member, made when they are first asked for."""
        asked = context, settings, near
        for known, fits in self.fits:
            if all(one is other for one, other in zip(known, asked)):
                return fits
        self.fits.append((asked, LandmarkFits.of(context, self.origins.section, settings, near)))
        return self.fits[-1][1]

    def fits_of(self, settings: KernelSettings) -> tuple[list[LandmarkFits], list[LandmarkFits]]:
        """What was fitted with these settings to each member, in order: without places, and with them."""
        own = [(near, fits) for (_, given, near), fits in self.fits if given is settings]
        return [fits for near, fits in own if near is None], [fits for near, fits in own if near is not None]
