"""Counts that contradict what a file says beside them: totals, zeros of other values, more genes, the end of a type."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

from eosin.data.raw_counts import are_counts, is_empty

if TYPE_CHECKING:
    from anndata import AnnData

_TOTALS = ("total_counts", "n_counts", "nCount_Spatial", "nCount_RNA", "n_umi", "nUMI", "total_umis")
"""Columns of `obs` with a spot's total, as scanpy, Seurat and others call them."""
_FEWEST = 20
_ENDS = (127, 255, 32_767, 65_535)
"""The largest numbers of types that are too small for counts; int32 holds any."""
_FEWEST_CUT = 3
_MOST_LOG = 21.0
"""log2 of a million: larger values are no logarithms of counts."""
_ALIKE, _TOGETHER, _NEAR, _FULL = 0.8, 0.5, 0.1, 0.95
_COMPARED = 2000
"""Spots whose zeros are looked at."""


def odd_counts(counts: Any, adata: AnnData, *, of_x: bool) -> list[str]:
    """Notes on counts [s g] of `adata` that what it holds beside them contradicts.

    Parameters
    ----------
    of_x
        Whether they are those of `X`, and not of a layer or of `raw`.
    """
    if len(counts.indptr) != adata.n_obs + 1 or not are_counts(counts):
        return []
    notes = _totals(np.asarray(counts.sum(1, dtype=np.float64)).ravel(), adata)
    return notes + (_of_x(counts, adata) if of_x else _other_zeros(counts, adata.X))


def cut_off(counts: sparse.csr_matrix) -> list[str]:
    """A note where many counts are the largest number of a type that was too small for them."""
    if not counts.nnz or (largest := counts.data.max()) not in _ENDS:
        return []
    n_cut = int((counts.data == largest).sum())
    n_below = int(((counts.data >= 0.9 * largest) & (counts.data < largest)).sum())
    if n_cut < _FEWEST_CUT or n_cut <= n_below:
        return []
    return [
        f"{n_cut} counts are {largest:.0f} and none is larger: they seem cut off by the type that they were kept in"
    ]


def _totals(own: np.ndarray, adata: AnnData) -> list[str]:
    """A note where a column of totals says others than the counts add up to."""
    import pandas as pd

    column = next((column for column in _TOTALS if column in adata.obs), None)
    if column is None or len(own) < _FEWEST:
        return []
    told = pd.to_numeric(pd.Series(np.asarray(adata.obs[column])), errors="coerce").to_numpy(np.float64)
    known = np.isfinite(told) & (told > 0)
    if known.sum() < _FEWEST or np.ptp(told[known]) == 0 or np.ptp(own[known]) == 0:
        return []
    together = _rank_correlation(own[known], told[known])
    if together < _TOGETHER:
        said = f"counts and obs['{column}'] do not go together (rank correlation {together:.2f})"
        return [f"{said}: are they of the same spots, in the same order?"]
    share = float(np.median(own[known] / told[known]))
    if abs(share - 1) <= _NEAR:
        return []
    said = f"counts of a spot add up to {share:.2g} of obs['{column}']"
    return [f"{said}: genes were left out" if share < 1 else f"{said}: are they raw counts?"]


def _rank_correlation(one: np.ndarray, other: np.ndarray) -> float:
    from scipy.stats import spearmanr

    return float(np.asarray(spearmanr(one, other).statistic))


def _of_x(counts: sparse.csr_matrix, adata: AnnData) -> list[str]:
    notes = []
    if "log1p" in adata.uns and counts.nnz and counts.data.max() <= _MOST_LOG:
        notes.append("uns['log1p'] says that X was log-transformed: are these whole numbers raw counts?")
    raw = adata.raw
    if raw is not None and raw.n_vars > adata.n_vars and are_counts(raw.X) and not is_empty(raw.X):
        notes.append(f"X has {adata.n_vars} of the {raw.n_vars} genes of raw.X: totals of spots are of those")
    return notes


def _other_zeros(counts: Any, values: Any) -> list[str]:
    """A note where `X`, made of counts, is 0 at other places than they are: of other spots, or in another order."""
    if values is None or values.shape != counts.shape or not counts.shape[0]:
        return []
    rows = np.unique(np.linspace(0, counts.shape[0] - 1, min(_COMPARED, counts.shape[0])).astype(np.int64))
    own: Any = counts[rows] != 0
    other: Any = sparse.csr_matrix(values[rows]) != 0
    fewer = min(own.nnz, other.nnz)
    if not fewer or other.nnz > _FULL * np.prod(other.shape):  # scaled or filled in: no zeros
        return []
    share = own.multiply(other).nnz / fewer
    if share >= _ALIKE:
        return []
    said = f"only {share:.0%} of the counts that are not 0 are where X is not 0"
    return [f"{said}: are they of the same spots, in the same order?"]
