"""Structure: do predictions vary, co-vary and cluster in space as the truth does?

Shapes: truth and predicted are [s g] in model values. Undefined is NaN. A gene that is constant in the truth is left
out; one that is constant only in the prediction counts as having no structure, so that giving up is never rewarded.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import sparse
from scipy.spatial import cKDTree

from eosin.metrics.accuracy import correlate, is_constant, mean_defined
from eosin.metrics.matched import MatchedSection, has_draws
from eosin.metrics.metric import STRUCTURE, Metric, register
from eosin.row_blocks import row_blocks

SSC_NEIGHBOURS = 8
_BLOCK = 512  # genes handled at once: bounds memory at [s 512] and [512 g] for any panel


def rvd_per_gene(truth: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """((var predicted − var truth) / var truth)² over spots for each gene [g]; NaN where the truth is constant."""
    truth, predicted = np.asarray(truth, dtype=np.float64), np.asarray(predicted, dtype=np.float64)
    defined = ~is_constant(truth)
    result = np.full(truth.shape[1], np.nan)
    true_var = truth[:, defined].var(axis=0)
    result[defined] = ((predicted[:, defined].var(axis=0) - true_var) / true_var) ** 2
    return result


def rvd(truth: np.ndarray, predicted: np.ndarray) -> float:
    """Relative variation distance: mean of `rvd_per_gene` over genes whose truth varies; 0 is best.

    Stem, section 4 (RVD). A constant prediction scores 1; there is no upper bound. The paper does not say what to do
    where the true variance is 0: those genes are left out.
    """
    return mean_defined(rvd_per_gene(truth, predicted))


def gsc(truth: np.ndarray, predicted: np.ndarray, *, eps: float = 1e-8) -> float:
    """Gene structural correlation: Pearson between the upper triangles of the two gene-gene correlation matrices.

    FLAG, appendix C.2, equations 18 and 19. Columns are standardised as (x − µ) / (σ + eps); the paper leaves eps open.
    Genes that are constant in the truth are left out; a gene constant only in the prediction has correlation 0 with
    all others. NaN with fewer than three genes (two give one pair) or when either triangle is constant.

    The g x g matrices are made in blocks, never whole: a panel of 20 000 genes needs no 6 GB.
    """
    kept = ~is_constant(truth)
    a, b = _standardise(truth, eps)[:, kept], _standardise(predicted, eps)[:, kept]
    g = a.shape[1]
    if len(a) < 2 or g < 3:
        return np.nan
    n, sums, products = 0, np.zeros(2), np.zeros((2, 2))
    for genes in row_blocks(g, budget=_BLOCK):
        above = np.triu(np.ones((genes.stop - genes.start, g - genes.start), dtype=bool), k=1)
        pair = np.stack([(x[:, genes].T @ x[:, genes.start :])[above] for x in (a, b)]) / (len(a) - 1)
        n, sums, products = n + pair.shape[1], sums + pair.sum(axis=1), products + pair @ pair.T
    cov = products - np.outer(sums, sums) / n
    if np.any(np.diag(cov) <= 1e-12 * np.diag(products)) or np.any(np.diag(products) == 0):
        return np.nan
    return float(np.clip(cov[0, 1] / np.sqrt(cov[0, 0] * cov[1, 1]), -1.0, 1.0))


def spatial_weights(xy_um: np.ndarray, k: int = SSC_NEIGHBOURS) -> sparse.csr_matrix:
    """Symmetric 0/1 weights [s s], sparse: j is near i, or i near j, when among the k nearest (FLAG, equation 20).

    Spots exactly as far as the k-th nearest are neighbours too: on a regular grid any choice among them would depend
    on the order of the spots. Fewer than k + 1 spots take all the others; one spot has none.

    Parameters
    ----------
    xy_um
        Centres [s 2] in µm.
    """
    xy = np.asarray(xy_um, dtype=np.float64)
    s, k = len(xy), min(k, len(xy) - 1)
    if k < 1:
        return sparse.csr_matrix((s, s))
    asked = min(3 * k, s - 1)  # room for ties (12 on a hexagonal grid with k = 8), bounded where spots coincide
    distance, near = cKDTree(xy).query(xy, k=asked + 1)
    distance[near == np.arange(s)[:, None]] = np.inf  # the spot itself
    reach = np.sort(distance, axis=1)[:, k - 1 : k]
    rows, columns = np.nonzero(distance <= reach * (1 + 1e-6))
    ones = np.ones(len(rows))
    directed = sparse.csr_matrix((ones, (rows, near[rows, columns])), shape=(s, s))
    return sparse.csr_matrix(directed.maximum(directed.T))


def morans_i(values: np.ndarray, weights: sparse.spmatrix) -> np.ndarray:
    """Moran's I of each gene [g]: (N / S0) · zᵀWz / zᵀz, z centred (FLAG, equation 21; Moran 1950).

    NaN for a constant gene, and for all where no spot has a neighbour.
    """
    values = np.asarray(values)
    result = np.full(values.shape[1], np.nan)
    total = float(weights.sum())
    if total == 0:
        return result
    for genes in row_blocks(values.shape[1], budget=_BLOCK):
        block = np.asarray(values[:, genes], dtype=np.float64)
        varies = ~is_constant(block)
        z = block[:, varies] - block[:, varies].mean(axis=0)
        found = np.full(block.shape[1], np.nan)
        found[varies] = len(z) / total * (z * (weights @ z)).sum(axis=0) / (z * z).sum(axis=0)
        result[genes] = found
    return result


def ssc(
    truth: np.ndarray,
    predicted: np.ndarray,
    xy_um: np.ndarray,
    k: int = SSC_NEIGHBOURS,
    *,
    weights: sparse.spmatrix | None = None,
) -> float:
    """Spatial structural correlation: Pearson across genes between Moran's I of truth and of prediction.

    FLAG, appendix C.2, equation 22. Genes constant in the truth are left out; one constant only in the prediction
    counts with I = 0. NaN with fewer than two genes. `weights` saves making them again for every draw.
    """
    weights = spatial_weights(xy_um, k) if weights is None else weights
    true_i, predicted_i = morans_i(truth, weights), morans_i(predicted, weights)
    kept = ~np.isnan(true_i)
    return correlate(true_i[kept], np.nan_to_num(predicted_i[kept], nan=0.0))


def _standardise(values: np.ndarray, eps: float) -> np.ndarray:
    values = np.asarray(values, dtype=np.float64)
    if len(values) < 2:
        return np.zeros_like(values)
    constant = is_constant(values)  # else (σ + eps) would blow rounding noise up to a pattern
    scaled = (values - values.mean(axis=0)) / (values.std(axis=0, ddof=1) + eps)
    return np.where(constant, 0.0, scaled)


def weights_of(section: MatchedSection) -> sparse.csr_matrix:
    """`spatial_weights` [s s] of a section's spots."""
    return spatial_weights(section.xy_um)


def _ssc(section: MatchedSection, predicted: np.ndarray) -> float:
    return ssc(section.truth, predicted, section.xy_um, weights=section.once(weights_of))


def _over_draws(section: MatchedSection, measure: Callable[[np.ndarray], float]) -> float:
    return mean_defined(np.array([measure(draw) for draw in section.draws]))


_STEM, _FLAG = "Stem, section 4", "FLAG, appendix C.2"
_OF_EACH_DRAW = ", of each draw, then averaged over draws"

register(
    Metric(
        key="rvd",
        function=lambda section: rvd(section.truth, section.mean),
        definition="squared relative error of each gene's variance over spots, mean over genes",
        better="down",
        group=STRUCTURE,
        label="RVD",
        source=_STEM,
    )
)
register(
    Metric(
        key="gsc",
        function=lambda section: gsc(section.truth, section.mean),
        definition="Pearson between the gene-gene correlations of prediction and truth",
        better="up",
        group=STRUCTURE,
        label="GSC",
        source=_FLAG,
    )
)
register(
    Metric(
        key="ssc",
        function=lambda section: _ssc(section, section.mean),
        definition="Pearson across genes between Moran's I (8 nearest spots) of prediction and truth",
        better="up",
        group=STRUCTURE,
        label="SSC",
        source=_FLAG,
    )
)
register(
    Metric(
        key="rvd_draw",
        function=lambda section: _over_draws(section, lambda draw: rvd(section.truth, draw)),
        definition="rvd" + _OF_EACH_DRAW,
        better="down",
        group=STRUCTURE,
        label="RVD of a draw",
        source=_STEM,
        needs=has_draws,
    )
)
register(
    Metric(
        key="gsc_draw",
        function=lambda section: _over_draws(section, lambda draw: gsc(section.truth, draw)),
        definition="gsc" + _OF_EACH_DRAW,
        better="up",
        group=STRUCTURE,
        label="GSC of a draw",
        source=_FLAG,
        needs=has_draws,
    )
)
register(
    Metric(
        key="ssc_draw",
        function=lambda section: _over_draws(section, lambda draw: _ssc(section, draw)),
        definition="ssc" + _OF_EACH_DRAW,
        better="up",
        group=STRUCTURE,
        label="SSC of a draw",
        source=_FLAG,
        needs=has_draws,
    )
)
