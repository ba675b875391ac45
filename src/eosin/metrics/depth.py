"""What a correlation owes to library size: where tissue is rich in RNA, every gene is high.

Depth is ln(1 + counts over all measured genes) of a spot. Its correlation with a gene is what a prediction reaches that
knows nothing but how much RNA there is; the partial correlation given it is what a map knows beyond.
"""

from __future__ import annotations

import numpy as np

from eosin.metrics.accuracy import mean_defined, pearson_per_gene
from eosin.metrics.matched import MatchedSection
from eosin.metrics.metric import DEPTH, Metric, register


def has_depth(section: MatchedSection) -> bool:
    """Whether library sizes are known."""
    return section.depth is not None


def partial_pcc(truth: np.ndarray, predicted: np.ndarray, depth: np.ndarray) -> np.ndarray:
    """Correlation [g] of truth and prediction [s g] after the straight line in depth [s] is taken from both."""
    line = np.stack([np.ones(len(depth)), depth], 1)
    basis, _ = np.linalg.qr(line)
    left = [values - basis @ (basis.T @ values) for values in (truth.astype(float), predicted.astype(float))]
    scale = [np.maximum(np.abs(values).max(0), 1e-12) for values in (truth, predicted)]
    constant = np.any([np.abs(v).max(0) < 1e-7 * s for v, s in zip(left, scale)], axis=0)
    return np.where(constant, np.nan, pearson_per_gene(*left))


def first_component(values: np.ndarray) -> float:
    """Share of the variance of values [s g] over spots that lies on one axis; NaN where nothing varies."""
    centred = values.astype(np.float64) - values.mean(0, dtype=np.float64)
    products = centred.T @ centred if centred.shape[1] <= len(centred) else centred @ centred.T
    total = float(np.trace(products))
    return float(np.linalg.eigvalsh(products)[-1]) / total if total > 0 else np.nan


def _of_depth(section: MatchedSection) -> float:
    assert section.depth is not None
    return mean_defined(pearson_per_gene(section.truth, np.tile(section.depth[:, None], (1, section.truth.shape[1]))))


def _given_depth(section: MatchedSection) -> float:
    assert section.depth is not None
    return mean_defined(partial_pcc(section.truth, section.mean, section.depth))


register(
    Metric(
        key="pcc_depth",
        function=_of_depth,
        definition="PCC that the measured library size of a spot reaches alone, as one map for all genes: what a "
        "correlation owes to where RNA is",
        better="expected",
        group=DEPTH,
        label="PCC of library size alone",
        source="eosin",
        needs=has_depth,
    )
)
register(
    Metric(
        key="pcc_given_depth",
        function=_given_depth,
        definition="partial correlation per gene given the measured library size, mean over genes: what a map knows "
        "beyond where RNA is",
        better="up",
        group=DEPTH,
        label="PCC given library size",
        source="eosin",
        needs=has_depth,
    )
)
register(
    Metric(
        key="first_component",
        function=lambda section: first_component(section.mean),
        definition="share of the variance of the predicted means on their first principal component: near 1, all genes "
        "have one map",
        better="expected",
        group=DEPTH,
        label="share of one map",
        source="eosin",
    )
)
register(
    Metric(
        key="first_component_truth",
        function=lambda section: first_component(section.truth),
        definition="the same of the measured values, counting noise included",
        better="expected",
        group=DEPTH,
        label="… of the truth",
        source="eosin",
    )
)
