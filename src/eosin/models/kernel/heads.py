"""Penalty and smoothing of each head, chosen by inner cross-validation that keeps groups whole."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from eosin.models.kernel.context import Context
from eosin.models.kernel.member import Member, Near, centred
from eosin.models.kernel.settings import KernelSettings
from eosin.models.parts.choose import best, correlations, middle
from eosin.models.parts.patients import SpotOrigins
from eosin.models.parts.principal import mean_and_scale


@dataclass(frozen=True)
class Head:
    """How the regression is used for patients of a kind: its penalty, and the share of the neighbours' mean."""

    penalty: float
    smoothing: float


@dataclass(frozen=True)
class _HeldOut:
    """Spots predicted from a fit without them: their rows, coordinates [o r], and that fit."""

    rows: np.ndarray
    coordinates: np.ndarray
    member: Member

    def values(self, penalty: float) -> np.ndarray:
        return self.member.spectrum.values(self.coordinates, penalty)


@dataclass(frozen=True)
class Judged:
    """What penalties and other numbers are chosen by.

    Attributes
    ----------
    target
        [s g] values of the genes to choose by.
    origins
        Sections and patients of the spots.
    folds
        Rows held out in turn.
    smooth
        [s s] averages over neighbours.
    """

    target: np.ndarray
    origins: SpotOrigins
    folds: Sequence[np.ndarray]
    smooth: sparse.csr_matrix

    def centred(self, rows: np.ndarray, settings: KernelSettings) -> np.ndarray:
        """Values [r g] of some spots less the mean of their section, or of all where sections are not centred."""
        return centred(self.target, self.origins.section, rows, settings)


@dataclass(frozen=True)
class Chosen:
    """A head, and what it says of the spots that it was chosen by.

    Attributes
    ----------
    head
        The head.
    rows
        [r] the spots.
    held_out
        [r g] their values from a fit without them; 0 where they were never held out.
    """

    head: Head
    rows: np.ndarray
    held_out: np.ndarray

    def of(self, fold: np.ndarray) -> np.ndarray:
        """The values of those spots that are in a fold."""
        return self.held_out[np.isin(self.rows, fold)]


def choose_head(context: Context, judged: Judged, settings: KernelSettings, near: Near | None = None) -> Chosen:
    """The penalty of the highest mean correlation over held-out spots, then the smoothing at that penalty.

    Not both together: smoothing hides noise that only a larger penalty would keep out of another patient.

    Parameters
    ----------
    context
        All training spots, with the features of one member.
    judged
        What to choose by; without folds, the middle penalty and the first smoothing are taken.
    settings
        Of the model.
    near
        Places of all spots, with their part in the kernel.
    """
    penalties, shares, target = settings.penalties, settings.smoothing, judged.target
    every = np.arange(len(target))
    plain = np.zeros(target.shape, dtype=np.float32)
    single = len(penalties) == len(shares) == 1 and not settings.registration
    if not judged.folds or single:
        return Chosen(Head(middle(penalties), shares[0]), every, plain)
    held = []
    for rows in judged.folds:
        inside = np.setdiff1d(every, rows)
        member = Member.of(context, target, judged.origins.section, inside, settings, near)
        held.append(_HeldOut(rows, member.coordinates(context, rows, near).astype(np.float32), member))
    scores = [
        float(np.mean([score(target, fold.values(p), fold.rows, judged.origins) for fold in held])) for p in penalties
    ]
    penalty = best(penalties, scores)
    seen = np.zeros(len(target), dtype=bool)
    for fold in held:
        plain[fold.rows], seen[fold.rows] = fold.values(penalty), True
    around = judged.smooth.multiply(seen).tocsr()  # a spot that no fold predicted smooths nothing
    smoothed = [mixed(plain, around, share) for share in shares]
    by_share = [
        float(np.mean([score(target, values[fold.rows], fold.rows, judged.origins) for fold in held]))
        for values in smoothed
    ]
    number = best(range(len(shares)), by_share)
    return Chosen(Head(penalty, shares[number]), every, smoothed[number])


def score(target: np.ndarray, predicted: np.ndarray, rows: np.ndarray, origins: SpotOrigins) -> float:
    """Correlation of predictions [r g] of some rows with the target [s g]: mean over genes, then over sections.

    A gene that is constant in a section counts as 0 there; sections of two spots or fewer are left out.
    """
    return score_of_sections(target[rows], predicted, origins.section[rows])


def score_of_sections(target: np.ndarray, predicted: np.ndarray, section: np.ndarray) -> float:
    """The same of values [r g] of spots of these sections [r]."""
    found = correlations(target, predicted, section)
    return float(np.mean(found)) if found else 0.0


def mixed(
    plain: np.ndarray, around: sparse.csr_matrix, share: float | np.ndarray, of: np.ndarray | None = None
) -> np.ndarray:
    """1 - share of each spot's values [r g] plus share of its neighbours' mean; a spot without any stays as it is.

    The neighbours are those of the averages `around` [r s] over the values `of` [s g], by default `plain` itself.
    """
    if not np.any(share):
        return plain
    total = np.asarray(around.sum(1))
    mean = np.asarray(around @ (plain if of is None else of)) / np.where(total > 0, total, 1)
    return np.where(total > 0, (1 - share) * plain + share * mean, plain)


def choice_genes(target: np.ndarray, n_genes: int) -> np.ndarray:
    """At most `n_genes` columns of the target [s g], evenly over those that vary by their variance, in their order."""
    if target.shape[1] <= n_genes:
        return np.arange(target.shape[1])
    _, sd = mean_and_scale(target)  # infinite where a gene is constant
    order = np.argsort(sd, kind="stable")
    varying = order[np.isfinite(sd[order])]
    if not len(varying):
        return np.arange(n_genes)
    return np.unique(varying[np.round(np.linspace(0, len(varying) - 1, min(n_genes, len(varying)))).astype(int)])
