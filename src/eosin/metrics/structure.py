"""Structure: do predictions vary, co-vary and cluster in space as the truth does?

Shapes: truth and predicted are [s g] in model values. Undefined is NaN. A gene that is constant in the truth is left
out; one that is constant only in the prediction counts as having no structure, so that giving up is never rewarded.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.spatial import cKDTree

from eosin.metrics.accuracy import correlate, mean_defined, moments_of
from eosin.metrics.matched import MatchedSection, has_draws
from eosin.metrics.metric import STRUCTURE, Metric, register
from eosin.metrics.moments import VALUES_AT_ONCE, Moments, moments, table_blocks
from eosin.row_blocks import row_blocks
from eosin.storage.scratch import let_go

SSC_NEIGHBOURS = 8
_BLOCK = 512  # genes of which all products are made at once: bounds memory at [512 g] for any panel
_SPOTS_AT_ONCE = 1 << 16  # whose neighbours are looked for together


def rvd_per_gene(truth: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """((var predicted − var truth) / var truth)² over spots for each gene [g]; NaN where the truth is constant."""
    return _rvd_per_gene(moments(truth), moments(predicted))


def _rvd_per_gene(truth: Moments, predicted: Moments) -> np.ndarray:
    defined = ~truth.constant
    result, true_var = np.full(len(defined), np.nan), truth.variance[defined]
    result[defined] = ((predicted.variance[defined] - true_var) / true_var) ** 2
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
    truth, predicted = np.asarray(truth), np.asarray(predicted)
    kept = np.flatnonzero(~moments(truth).constant)
    scaled = [_Standardised.of(values, kept, eps) for values in (truth, predicted)]
    g, s = len(kept), len(truth)
    if s < 2 or g < 3:
        return np.nan
    n, sums, squares = 0, np.zeros(2), np.zeros((2, 2))
    for genes in row_blocks(g, budget=_BLOCK):
        above = np.triu(np.ones((genes.stop - genes.start, g - genes.start), dtype=bool), k=1)
        pair = np.stack([x.products(genes)[above] for x in scaled]) / (s - 1)
        n, sums, squares = n + pair.shape[1], sums + pair.sum(axis=1), squares + pair @ pair.T
    cov = squares - np.outer(sums, sums) / n
    if np.any(np.diag(cov) <= 1e-12 * np.diag(squares)) or np.any(np.diag(squares) == 0):
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
    tree, asked = cKDTree(xy), min(3 * k, s - 1)  # room for ties (12 on a hexagonal grid with k = 8)
    numbers, columns = [], []
    for own in row_blocks(s, budget=_SPOTS_AT_ONCE):
        distance, near = tree.query(xy[own], k=asked + 1)
        distance[near == np.arange(s)[own, None]] = np.inf  # the spot itself
        reach = np.sort(distance, axis=1)[:, k - 1 : k]
        found = distance <= reach * (1 + 1e-6)
        numbers.append(found.sum(axis=1))
        columns.append(near[found].astype(np.int32))
    starts, near = np.concatenate([[0], np.cumsum(np.concatenate(numbers))]), np.concatenate(columns)
    directed = sparse.csr_matrix((np.ones(len(near)), near, starts), shape=(s, s))
    return sparse.csr_matrix(directed.maximum(directed.T))


def morans_i(values: np.ndarray, weights: sparse.spmatrix) -> np.ndarray:
    """Moran's I of each gene [g]: (N / S0) · zᵀWz / zᵀz, z centred (FLAG, equation 21; Moran 1950).

    NaN for a constant gene, and for all where no spot has a neighbour.
    """
    return _morans_i(values, weights, moments(values))


def _morans_i(values: np.ndarray, weights: sparse.spmatrix, of_values: Moments) -> np.ndarray:
    values, weights = np.asarray(values), sparse.csr_matrix(weights)
    varies, total = ~of_values.constant, float(weights.sum())
    result = np.full(len(varies), np.nan)
    if total == 0 or not varies.any():
        return result
    mean, shared = of_values.mean[varies], np.zeros(int(varies.sum()))
    for own in row_blocks(len(values), budget=VALUES_AT_ONCE, per_row=values.shape[1]):
        some = weights[own]
        near, column = np.unique(some.indices, return_inverse=True)
        around = sparse.csr_matrix((some.data, column, some.indptr), shape=(some.shape[0], len(near)))
        z, z_near = (values[rows][:, varies].astype(np.float64) - mean for rows in (own, near))
        shared += np.einsum("sg,sg->g", z, around @ z_near)
        let_go(values)
    result[varies] = len(values) / total * shared / of_values.squares[varies]
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
    return _ssc(morans_i(truth, weights), morans_i(predicted, weights))


def _ssc(true_i: np.ndarray, predicted_i: np.ndarray) -> float:
    kept = ~np.isnan(true_i)
    return correlate(true_i[kept], np.nan_to_num(predicted_i[kept], nan=0.0))


@dataclass(frozen=True, eq=False)
class _Standardised:
    """Some genes of a table [s g] as (x - mean) x factor; 0 for a gene that is constant."""

    values: np.ndarray
    genes: np.ndarray
    mean: np.ndarray
    factor: np.ndarray

    @classmethod
    def of(cls, values: np.ndarray, genes: np.ndarray, eps: float) -> _Standardised:
        found = moments(values)
        sd = np.sqrt(found.squares / max(found.n - 1, 1))
        # else (σ + eps) would blow rounding noise up to a pattern
        factor = np.where(found.constant, 0.0, 1 / (sd + eps))
        return cls(values, genes, found.mean[genes], factor[genes])

    def products(self, left: slice) -> np.ndarray:
        """Sums over spots of products of genes of `left` and those from its start on."""
        total = np.zeros((left.stop - left.start, len(self.genes) - left.start))
        for _, (block,) in table_blocks(self.values):
            z = (block[:, self.genes[left.start :]] - self.mean[left.start :]) * self.factor[left.start :]
            total += z[:, : len(total)].T @ z
        return total


def weights_of(section: MatchedSection) -> sparse.csr_matrix:
    """`spatial_weights` [s s] of a section's spots."""
    return spatial_weights(section.xy_um)


def true_morans(section: MatchedSection) -> np.ndarray:
    """Moran's I [g] of a section's truth."""
    return _morans_i(section.truth, section.once(weights_of), section.once(moments_of).truth)


def _ssc_of(section: MatchedSection, predicted: np.ndarray) -> float:
    return _ssc(section.once(true_morans), morans_i(predicted, section.once(weights_of)))


def _rvd_of(section: MatchedSection, predicted: np.ndarray) -> float:
    return mean_defined(_rvd_per_gene(section.once(moments_of).truth, moments(predicted)))


def _over_draws(section: MatchedSection, measure: Callable[[MatchedSection, np.ndarray], float]) -> float:
    return mean_defined(np.array([measure(section, draw) for draw in section.draws]))


_STEM, _FLAG = "Stem, section 4", "FLAG, appendix C.2"
_OF_EACH_DRAW = ", of each draw, then averaged over draws"

register(
    Metric(
        key="rvd",
        function=lambda section: _rvd_of(section, section.mean),
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
        function=lambda section: _ssc_of(section, section.mean),
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
        function=lambda section: _over_draws(section, _rvd_of),
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
        function=lambda section: _over_draws(section, lambda own, draw: gsc(own.truth, draw)),
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
        function=lambda section: _over_draws(section, _ssc_of),
        definition="ssc" + _OF_EACH_DRAW,
        better="up",
        group=STRUCTURE,
        label="SSC of a draw",
        source=_FLAG,
        needs=has_draws,
    )
)
