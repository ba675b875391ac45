"""Penalty and smoothing of each head, chosen by inner cross-validation that keeps groups whole."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from eosin.metrics import pearson_per_gene
from eosin.models.kernel.context import Context
from eosin.models.kernel.member import Member
from eosin.models.kernel.settings import KernelSettings
from eosin.models.parts.choose import best, middle
from eosin.models.parts.patients import SpotOrigins


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


def choose_head(
    context: Context,
    target: np.ndarray,
    origins: SpotOrigins,
    folds: Sequence[np.ndarray],
    settings: KernelSettings,
    smooth: sparse.csr_matrix,
) -> Head:
    """The penalty of the highest mean correlation over held-out spots, then the smoothing at that penalty.

    Not both together: smoothing hides noise that only a larger penalty would keep out of another patient.

    Parameters
    ----------
    context, target, origins
        All training spots, with the features of one member, and values [s g] of the genes to choose by.
    folds
        Rows held out in turn; without any, the middle penalty and the first smoothing are taken.
    settings
        Of the model.
    smooth
        [s s] averages over neighbours.
    """
    penalties, shares = settings.penalties, settings.smoothing
    if not folds or len(penalties) == len(shares) == 1:
        return Head(middle(penalties), shares[0])
    held = []
    for rows in folds:
        inside = np.setdiff1d(np.arange(len(target)), rows)
        member = Member.of(context, target, origins.section, inside, settings)
        held.append(_HeldOut(rows, member.coordinates(context, rows).astype(np.float32), member))
    scores = [np.mean([score(target, fold.values(p), fold.rows, origins) for fold in held]) for p in penalties]
    penalty = best(penalties, scores)
    plain = np.zeros(target.shape, dtype=np.float32)
    seen = np.zeros(len(target), dtype=bool)
    for fold in held:
        plain[fold.rows], seen[fold.rows] = fold.values(penalty), True
    around = smooth.multiply(seen).tocsr()  # a spot that no fold predicted smooths nothing
    smoothed = [mixed(plain, around, share) for share in shares]
    shares_score = [np.mean([score(target, values[f.rows], f.rows, origins) for f in held]) for values in smoothed]
    return Head(penalty, best(shares, shares_score))


def score(target: np.ndarray, predicted: np.ndarray, rows: np.ndarray, origins: SpotOrigins) -> float:
    """Correlation of predictions [r g] of some rows with the target [s g]: mean over genes, then over sections.

    A gene that is constant in a section counts as 0 there; sections of two spots or fewer are left out.
    """
    per_section = []
    for label in np.unique(origins.section[rows]):
        own = origins.section[rows] == label
        if own.sum() > 2:
            per_section.append(np.nan_to_num(pearson_per_gene(target[rows[own]], predicted[own])).mean())
    return float(np.mean(per_section)) if per_section else 0.0


def mixed(plain: np.ndarray, around: sparse.csr_matrix, share: float) -> np.ndarray:
    """1 - share of each spot's values [s g] plus share of its neighbours' mean; a spot without any stays as it is."""
    if share == 0:
        return plain
    total = np.asarray(around.sum(1))
    mean = np.asarray(around @ plain) / np.where(total > 0, total, 1)
    return np.where(total > 0, (1 - share) * plain + share * mean, plain)


def choice_genes(target: np.ndarray, n_genes: int) -> np.ndarray:
    """At most `n_genes` columns of the target [s g], evenly over those that vary by their variance, in their order."""
    if target.shape[1] <= n_genes:
        return np.arange(target.shape[1])
    variance = target.var(0)
    order = np.argsort(variance, kind="stable")
    varying = order[variance[order] > 0]
    if not len(varying):
        return np.arange(n_genes)
    return np.unique(varying[np.round(np.linspace(0, len(varying) - 1, min(n_genes, len(varying)))).astype(int)])
