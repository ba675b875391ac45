"""What a correlation owes to library size: where tissue is rich in RNA, every gene is high.

Depth is ln(1 + counts over all measured genes) of a spot. Its correlation with a gene is what a prediction reaches that
knows nothing but how much RNA there is; the partial correlation given it is what a map knows beyond.
"""

from __future__ import annotations

import numpy as np

from eosin.metrics.accuracy import mean_defined, pearson_per_gene
from eosin.metrics.matched import MatchedSection
from eosin.metrics.metric import DEPTH, Metric, register
from eosin.metrics.moments import PairMoments, moments, pairs_together, products, table_blocks


def has_depth(section: MatchedSection) -> bool:
    """Whether library sizes are known."""
    return section.depth is not None


def partial_pcc(truth: np.ndarray, predicted: np.ndarray, depth: np.ndarray) -> np.ndarray:
    """Correlation [g] of truth and prediction [s g] after the straight line in depth [s] is taken from both."""
    basis, _ = np.linalg.qr(np.stack([np.ones(len(depth)), depth], 1))
    n_genes = truth.shape[1]
    lines, scale = np.zeros((2, basis.shape[1], n_genes)), np.full((2, n_genes), 1e-12)
    for rows, blocks in table_blocks(truth, predicted):
        lines += np.stack([basis[rows].T @ block for block in blocks])
        scale = np.maximum(scale, [np.abs(block).max(0) for block in blocks])
    left = pairs_together(
        (
            PairMoments.of_block(*(block - basis[rows] @ line for block, line in zip(blocks, lines)))
            for rows, blocks in table_blocks(truth, predicted)
        ),
        n_genes,
    )
    constant = (np.stack([left.truth.largest, left.predicted.largest]) < 1e-7 * scale).any(axis=0)
    return np.where(constant, np.nan, left.pearson)


def first_component(values: np.ndarray) -> float:
    """Share of the variance of values [s g] over spots that lies on one axis; NaN where nothing varies."""
    values = np.asarray(values)
    mean = moments(values).mean
    if values.shape[1] <= len(values):
        found = products(values, np.arange(values.shape[1]), mean)
    else:
        centred = values.astype(np.float64) - mean
        found = centred @ centred.T
    total = float(np.trace(found))
    return float(np.linalg.eigvalsh(found)[-1]) / total if total > 0 else np.nan


def _of_depth(section: MatchedSection) -> float:
    assert section.depth is not None
    return mean_defined(pearson_per_gene(section.truth, np.broadcast_to(section.depth[:, None], section.truth.shape)))


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
