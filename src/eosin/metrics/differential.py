"""Differential expression: do truth and prediction name the same marker genes of each domain of tissue?

FLAG, section 4.5 and appendix H.9: one domain against the rest by the Wilcoxon rank-sum test as scanpy runs it, in
the same reference domains for truth and prediction; the overlap of the first 20 and 50 genes, mean over domains.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from eosin.metrics.accuracy import is_constant, mean_defined
from eosin.metrics.domains import has_label, labels_of
from eosin.metrics.matched import has_labels
from eosin.metrics.metric import DOMAINS, Metric, register

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
    from scipy.stats import rankdata

    values, inside = np.asarray(values, dtype=np.float64), np.asarray(inside, dtype=bool)
    n, m, s = int(inside.sum()), int((~inside).sum()), len(inside)
    if n == 0 or m == 0 or values.shape[0] != s:
        raise ValueError(f"values {values.shape} need rows inside ({n}) and outside ({m})")
    ranks = rankdata(values, axis=0)
    variance = np.full(values.shape[1], n * m * (s + 1) / 12.0)
    if tie_correct:
        variance -= n * m * _ties(values) / (12.0 * s * (s - 1))
    tested = ~is_constant(values) & (variance > 0)
    z = np.zeros(values.shape[1])
    z[tested] = (ranks[inside].sum(axis=0)[tested] - n * (s + 1) / 2.0) / np.sqrt(variance[tested])
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
    known = has_label(labels)
    truth, predicted = np.asarray(truth)[known], np.asarray(predicted)[known]
    kept = np.flatnonzero(~is_constant(truth)) if len(truth) else np.array([], dtype=np.int64)
    if not 0 < k < len(kept):
        return {}
    truth, predicted = truth[:, kept], predicted[:, kept]
    names = np.array([str(label).strip() for label in labels], dtype=object)[known]
    overlaps: dict[str, float] = {}
    for name in sorted(set(names)):
        inside = names == name
        if min(inside.sum(), (~inside).sum()) >= MIN_SPOTS:
            first, second = (_share(wilcoxon(x, inside, tie_correct=tie_correct), k) for x in (truth, predicted))
            overlaps[name] = float((first * second).sum() / k)
    return overlaps


def deg_overlap(truth: np.ndarray, predicted: np.ndarray, labels: Sequence[str], k: int) -> float:
    """Mean of `marker_overlap` over domains; NaN where there is none."""
    return mean_defined(np.array(list(marker_overlap(truth, predicted, labels, k).values())))


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
        function=lambda section: deg_overlap(section.truth, section.mean, labels_of(section), 20),
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
        function=lambda section: deg_overlap(section.truth, section.mean, labels_of(section), 50),
        definition="the same of 50 top genes",
        better="up",
        group=DOMAINS,
        label="top 50 markers",
        source="FLAG, appendix H.9",
        needs=has_labels,
    )
)
