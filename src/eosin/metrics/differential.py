"""Differential expression: do truth and prediction name the same marker genes of each domain of tissue?

FLAG, section 4.5 and appendix H.9: one domain against the rest by the Wilcoxon rank-sum test as scanpy runs it, in
the same reference domains for truth and prediction; the overlap of the first 20 and 50 genes, mean over domains.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from eosin.metrics.accuracy import is_constant, mean_defined
from eosin.metrics.domains import has_label, labels_of
from eosin.metrics.matched import MatchedSection, has_labels
from eosin.metrics.metric import DOMAINS, Metric, register
from eosin.metrics.moments import VALUES_AT_ONCE, moments
from eosin.row_blocks import row_blocks
from eosin.storage.scratch import let_go

MIN_SPOTS = 3
"""A domain, and the rest of the section, needs as many labelled spots to be tested."""


def wilcoxon(values: np.ndarray, inside: np.ndarray, *, tie_correct: bool = False) -> np.ndarray:
    """z of each gene [g] of the rank-sum test, inside against outside; positive is higher inside, 0 where constant.

    `tie_correct=False` is scanpy's default (`rank_genes_groups(method="wilcoxon")`); with True it is
    `scipy.stats.mannwhitneyu(method="asymptotic", use_continuity=False)`.

    Parameters
    ----------
    values
        [s g] in model values.
    inside
        [s] bool, both kinds present.
    """
    values, inside = np.asarray(values), np.asarray(inside, dtype=bool)
    if not inside.any() or inside.all() or len(values) != len(inside):
        raise ValueError(f"values {values.shape} need rows inside ({inside.sum()}) and outside ({(~inside).sum()})")
    rows, genes = np.arange(len(values)), np.arange(values.shape[1])
    return _z_of_domains(values, rows, genes, [inside], tie_correct=tie_correct)[0]


def _z_of_domains(
    values: np.ndarray, rows: np.ndarray, genes: np.ndarray, insides: Sequence[np.ndarray], *, tie_correct: bool
) -> np.ndarray:
    """z [domains n] of some rows and genes of values [s g], ranked a few genes at a time."""
    z = np.zeros((len(insides), len(genes)))
    for block in row_blocks(len(genes), budget=VALUES_AT_ONCE, per_row=len(rows)):
        z[:, block] = _z(
            np.asarray(values[rows[:, None], genes[block]], dtype=np.float64), insides, tie_correct=tie_correct
        )
        let_go(values)
    return z


def _z(values: np.ndarray, insides: Sequence[np.ndarray], *, tie_correct: bool) -> np.ndarray:
    """z [domains g] of values [s g] in memory."""
    from scipy.stats import rankdata

    s, constant, ranks = len(values), is_constant(values), rankdata(values, axis=0)
    ties = _ties(values) if tie_correct else 0.0
    z = np.zeros((len(insides), values.shape[1]))
    for number, inside in enumerate(insides):
        n, m = int(inside.sum()), int((~inside).sum())
        variance = np.full(values.shape[1], n * m * (s + 1) / 12.0) - n * m * ties / (12.0 * s * (s - 1))
        tested = ~constant & (variance > 0)
        above = ranks[inside].sum(axis=0)[tested] - n * (s + 1) / 2.0
        z[number, tested] = above / np.sqrt(variance[tested])
    return z


def marker_overlap(
    truth: np.ndarray, predicted: np.ndarray, labels: Sequence[str], k: int, *, tie_correct: bool = False
) -> dict[str, float]:
    """Share of the k top genes of each domain in the truth that are among its k top genes in the prediction.

    Top is the largest z: genes that mark the domain by being high. Genes that tie for the last place share it, so
    that a prediction which says nothing gets what drawing genes at random gets, k / g, whatever the order of the panel.

    Parameters
    ----------
    truth, predicted
        [s g] in model values.
    labels
        [s]; spots without a label are left out (see `NO_LABEL`).

    Returns
    -------
    dict
        Domain -> overlap in 0 to 1. Domains of fewer than `MIN_SPOTS` spots (or leaving fewer) are not in it; it is
        empty where k is not below the number of genes that vary in the truth, since then the overlap says nothing.
    """
    return _Markers.of(truth, predicted, labels, tie_correct=tie_correct).overlap(k)


def deg_overlap(truth: np.ndarray, predicted: np.ndarray, labels: Sequence[str], k: int) -> float:
    """Mean of `marker_overlap` over domains; NaN where there is none."""
    return mean_defined(np.array(list(marker_overlap(truth, predicted, labels, k).values())))


@dataclass(frozen=True, eq=False)
class _Markers:
    """z [domains n] of the genes that vary in the truth, in truth and prediction, for the domains that are tested."""

    domains: tuple[str, ...]
    truth: np.ndarray
    predicted: np.ndarray

    @classmethod
    def of(
        cls, truth: np.ndarray, predicted: np.ndarray, labels: Sequence[str], *, tie_correct: bool = False
    ) -> _Markers:
        """Of truth and prediction [s g], at the spots with a label."""
        rows = np.flatnonzero(has_label(labels))
        truth, predicted = np.asarray(truth), np.asarray(predicted)
        kept = np.flatnonzero(~moments(truth, rows).constant)
        names = np.array([str(label).strip() for label in labels], dtype=object)[rows]
        inside = {name: names == name for name in sorted(set(names))}
        tested = {name: own for name, own in inside.items() if min(own.sum(), (~own).sum()) >= MIN_SPOTS}
        owns = list(tested.values())
        of_both = (_z_of_domains(x, rows, kept, owns, tie_correct=tie_correct) for x in (truth, predicted))
        return cls(tuple(tested), *of_both)

    def overlap(self, k: int) -> dict[str, float]:
        """`marker_overlap` of the k top genes."""
        if not 0 < k < self.truth.shape[1]:
            return {}
        pairs = zip(self.domains, self.truth, self.predicted)
        return {name: float((_share(a, k) * _share(b, k)).sum() / k) for name, a, b in pairs}


def markers_of(section: MatchedSection) -> _Markers:
    """What the marker genes of a section's domains are told by."""
    return _Markers.of(section.truth, section.mean, labels_of(section))


def _overlap_in(section: MatchedSection, k: int) -> float:
    return mean_defined(np.array(list(section.once(markers_of).overlap(k).values())))


def _share(z: np.ndarray, k: int) -> np.ndarray:
    """[g] each gene's chance to be among the k largest when ties are broken at random; sums to k."""
    last = np.sort(z)[-k]
    above, tied = z > last, z == last
    return above + tied * (k - above.sum()) / tied.sum()


def _ties(values: np.ndarray) -> np.ndarray:
    """Σ (t³ − t) over the groups of equal values of each column [g]."""
    total = np.zeros(values.shape[1])
    for j in range(values.shape[1]):
        t = np.unique(values[:, j], return_counts=True)[1].astype(np.float64)
        total[j] = (t**3 - t).sum()
    return total


register(
    Metric(
        key="deg_overlap_20",
        function=lambda section: _overlap_in(section, 20),
        definition="share of each domain's 20 top genes (Wilcoxon, one domain against the rest) that prediction and "
        "truth have in common, mean over domains; chance is 20 / genes; undefined with 20 genes or fewer",
        better="up",
        group=DOMAINS,
        label="top 20 markers",
        source="FLAG, appendix H.9",
        needs=has_labels,
    )
)
register(
    Metric(
        key="deg_overlap_50",
        function=lambda section: _overlap_in(section, 50),
        definition="the same of 50 top genes",
        better="up",
        group=DOMAINS,
        label="top 50 markers",
        source="FLAG, appendix H.9",
        needs=has_labels,
    )
)
