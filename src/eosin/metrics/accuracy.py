"""Accuracy: Pearson correlation per gene, squared and absolute error.

Shapes: truth and predicted are [s g] in model values, row for row the same spots. A quantity that is not defined is
NaN, never an exception or a warning.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from eosin.metrics.matched import MatchedSection, MatchedSections
from eosin.metrics.metric import ACCURACY, Metric, register
from eosin.metrics.moments import PairMoments, moments, pair_moments, pairs_together


def is_constant(values: np.ndarray) -> np.ndarray:
    """Which columns [g] of values [s g] do not vary beyond rounding; all of them where s < 2."""
    return moments(values).constant


def pearson_per_gene(truth: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Pearson correlation over spots of each gene [g], float64; NaN where truth or prediction is constant.

    Centred before multiplying, so that a large mean costs no digits. Equals `scipy.stats.pearsonr` per column.
    """
    return pair_moments(truth, predicted).pearson


def pcc_counted(truth: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """PCC per gene [g] as the headline counts it: NaN where truth is constant, 0 where only the prediction is."""
    return pair_moments(truth, predicted).pearson_counted


def pcc_top(pcc: np.ndarray, k: int) -> float:
    """PCC-k (Stem): mean of the k largest gene correlations; NaN with fewer than k defined ones.

    The genes are picked on the evaluation data itself, so this describes a prediction and must not choose a model.
    """
    defined = np.sort(pcc[~np.isnan(pcc)])
    return float(defined[-k:].mean()) if 0 < k <= len(defined) else np.nan


def mse(truth: np.ndarray, predicted: np.ndarray) -> float:
    """Mean squared error over spots and genes, in squared model values."""
    return _per_value(pair_moments(truth, predicted).squared_error, truth)


def mae(truth: np.ndarray, predicted: np.ndarray) -> float:
    """Mean absolute error over spots and genes, in model values."""
    return _per_value(pair_moments(truth, predicted).absolute_error, truth)


def mean_of_rows(rows: Sequence[np.ndarray], n_genes: int) -> np.ndarray:
    """Mean [g] over rows [g] of what is not NaN; NaN for a gene that no row defines, or without rows."""
    values = np.array(rows, dtype=np.float64).reshape(-1, n_genes)
    known = ~np.isnan(values)
    return np.where(known.any(0), np.where(known, values, 0).sum(0) / np.maximum(known.sum(0), 1), np.nan)


def mean_defined(values: np.ndarray) -> float:
    """Mean of what is not NaN; NaN (without numpy's warning) where nothing is left."""
    values = np.asarray(values, dtype=np.float64)
    values = values[~np.isnan(values)]
    return float(values.mean()) if values.size else np.nan


def correlate(a: np.ndarray, b: np.ndarray) -> float:
    """Pearson correlation of two vectors; NaN where either is constant or shorter than two."""
    return float(pearson_per_gene(a[:, None], b[:, None])[0])


def _per_value(sums: np.ndarray, table: np.ndarray) -> float:
    """Mean over spots and genes of what was summed over the spots of a table [s g]."""
    return float(sums.sum() / np.size(table)) if np.size(table) else np.nan


def moments_of(section: MatchedSection) -> PairMoments:
    """`pair_moments` of a section's truth and mean."""
    return pair_moments(section.truth, section.mean)


def counted_of(section: MatchedSection) -> np.ndarray:
    """`pcc_counted` [g] of the mean of a section's draws."""
    return section.once(moments_of).pearson_counted


def pooled_moments(sections: MatchedSections) -> PairMoments:
    """`pair_moments` of the spots of all sections together."""
    return pairs_together((section.once(moments_of) for section in sections.sections), len(sections.genes))


def gene_means(sections: MatchedSections) -> dict[str, float]:
    """Each gene's `pcc_counted`, mean over the sections where it is defined; NaN where its truth never varies."""
    per_gene = np.stack([section.once(counted_of) for section in sections.sections])  # [sections g]
    return {gene: mean_defined(per_gene[:, j]) for j, gene in enumerate(sections.genes)}


_STEM = "Stem, section 4"

register(
    Metric(
        key="pcc.mean",
        function=lambda section: mean_defined(section.once(counted_of)),
        definition="Pearson over spots per gene, mean over genes within a section, then over sections; genes with "
        "constant truth left out, genes with constant prediction count as 0",
        better="up",
        group=ACCURACY,
        label="PCC",
        source="eosin",
    )
)
register(
    Metric(
        key="pcc.pooled",
        function=lambda sections: mean_defined(sections.once(pooled_moments).pearson_counted),
        definition="as pcc.mean, but over the spots of all sections put together",
        better="up",
        group=ACCURACY,
        label="PCC pooled",
        source="eosin",
        scope="sections",
    )
)
register(
    Metric(
        key="pcc_top10",
        function=lambda section: pcc_top(section.once(counted_of), 10),
        definition="mean of the 10 best genes' Pearson, picked on the test data: descriptive only",
        better="up",
        group=ACCURACY,
        label="PCC-10",
        source=_STEM,
    )
)
register(
    Metric(
        key="pcc_top50",
        function=lambda section: pcc_top(section.once(counted_of), 50),
        definition="mean of the 50 best genes' Pearson, picked on the test data: descriptive only",
        better="up",
        group=ACCURACY,
        label="PCC-50",
        source=_STEM,
    )
)
register(
    Metric(
        key="mse",
        function=lambda section: _per_value(section.once(moments_of).squared_error, section.truth),
        definition="mean squared error of the predicted mean",
        better="down",
        group=ACCURACY,
        label="MSE",
        source="standard",
    )
)
register(
    Metric(
        key="mae",
        function=lambda section: _per_value(section.once(moments_of).absolute_error, section.truth),
        definition="mean absolute error of the predicted mean",
        better="down",
        group=ACCURACY,
        label="MAE",
        source="standard",
    )
)
