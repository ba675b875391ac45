"""Mean correlation by every convention in use: what is done with genes that have none, and whether spots are pooled."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from eosin.metrics.accuracy import mean_defined, moments_of, pooled_moments
from eosin.metrics.matched import MatchedSection, MatchedSections
from eosin.metrics.metric import CONVENTIONS, Metric, register
from eosin.metrics.moments import PairMoments, pair_moments


class PccSummary(NamedTuple):
    """Pearson over the genes of one set of spots, by every convention in use.

    Attributes
    ----------
    mean
        The headline: genes whose truth is constant are left out (nothing can be learnt from them), genes whose
        prediction is constant count as 0, so a model cannot gain by giving up on a gene. NaN without any gene.
    strict
        Plain mean; one undefined gene makes it NaN (HEST-bench, STFlow).
    nan_mean
        Mean over the defined genes (TRIPLEX).
    zero_filled
        Mean with every undefined gene as 0.
    n_constant
        Genes without a PCC.
    n_constant_prediction
        Those among them whose truth does vary.
    """

    mean: float
    strict: float
    nan_mean: float
    zero_filled: float
    n_constant: int
    n_constant_prediction: int


def pcc_summary(truth: np.ndarray, predicted: np.ndarray) -> PccSummary:
    """Summaries of `pearson_per_gene` over genes: see `PccSummary`."""
    return _summary(pair_moments(truth, predicted))


def _summary(moments: PairMoments) -> PccSummary:
    pcc, counted = moments.pearson, moments.pearson_counted
    missing = np.isnan(pcc)
    return PccSummary(
        mean=mean_defined(counted),
        strict=float(pcc.mean()) if pcc.size else np.nan,
        nan_mean=mean_defined(pcc),
        zero_filled=float(np.where(missing, 0.0, pcc).mean()) if pcc.size else np.nan,
        n_constant=int(missing.sum()),
        n_constant_prediction=int((missing & ~np.isnan(counted)).sum()),
    )


def summary_of(section: MatchedSection) -> PccSummary:
    """`pcc_summary` of the mean of a section's draws."""
    return _summary(section.once(moments_of))


def summaries_of(sections: MatchedSections) -> list[PccSummary]:
    """`pcc_summary` of every section."""
    return [section.once(summary_of) for section in sections.sections]


def _strict(sections: MatchedSections) -> float:
    """A section with an undefined gene makes the whole undefined."""
    return float(np.mean([summary.strict for summary in sections.once(summaries_of)]))


def _pooled_strict(sections: MatchedSections) -> float:
    pcc = sections.once(pooled_moments).pearson
    return float(pcc.mean()) if pcc.size else np.nan


register(
    Metric(
        key="pcc.strict",
        function=_strict,
        definition="Pearson per gene within sections, plain mean; undefined if any is",
        better="up",
        group=CONVENTIONS,
        label="strict",
        source="STFlow",
        scope="sections",
    )
)
register(
    Metric(
        key="pcc.nan_mean",
        function=lambda sections: mean_defined(np.array([s.nan_mean for s in sections.once(summaries_of)])),
        definition="Pearson per gene within sections, mean over the defined ones",
        better="up",
        group=CONVENTIONS,
        label="defined only",
        source="TRIPLEX",
        scope="sections",
    )
)
register(
    Metric(
        key="pcc.zero_filled",
        function=lambda sections: mean_defined(np.array([s.zero_filled for s in sections.once(summaries_of)])),
        definition="Pearson per gene within sections, every undefined one as 0",
        better="up",
        group=CONVENTIONS,
        label="undefined as 0",
        source="eosin",
        scope="sections",
    )
)
register(
    Metric(
        key="pcc.pooled_strict",
        function=_pooled_strict,
        definition="Pearson per gene over pooled spots, plain mean; undefined if any is",
        better="up",
        group=CONVENTIONS,
        label="pooled, strict",
        source="HEST-bench",
        scope="sections",
    )
)
