"""Leiden communities of a weighted graph (Traag, Waltman & van Eck 2019), maximising modularity with a resolution.

The communities are found by `graspologic-native` (MIT); the other packages that have Leiden are under the GPL.
"""

from __future__ import annotations

import numpy as np
from scipy import sparse

_ITERATIONS = 10
"""Whole cycles of a run, each from the communities of the last: with 3, modularity still rises by up to 0.004."""
_RANDOMNESS = 0.1
"""Of the refinement (the paper's theta); of 1e-5 to 0.1, the value of best modularity on neighbour graphs."""


def leiden(weights: sparse.spmatrix, resolution: float = 1.0, *, seed: int = 0, n_runs: int = 1) -> np.ndarray:
    """Community of each node [s], int, numbered from the largest (0) down.

    Parameters
    ----------
    weights
        Symmetric, non-negative [s s], with an empty diagonal.
    resolution
        1 is modularity; smaller values, above 0, give fewer communities.
    seed
        One seed, one answer; 0 or more.
    n_runs
        Runs of different visiting order, of which the one of the best `modularity` is given.

    Raises
    ------
    ValueError
        A node has an edge to itself.
    """
    from graspologic_native import leiden_csr

    graph = sparse.csr_matrix(weights, dtype=np.float64, copy=True)
    graph.sum_duplicates()
    graph.eliminate_zeros()
    if graph.diagonal().any():
        raise ValueError("the graph has edges from a node to itself, which the search would count wrongly")
    n = len(_strength(graph))
    if graph.nnz == 0:
        return np.arange(n)
    _, found = leiden_csr(
        graph.indptr.astype(np.int64),
        graph.indices.astype(np.int32),
        graph.data,
        n,
        resolution=resolution,
        randomness=_RANDOMNESS,
        iterations=_ITERATIONS,
        seed=seed,
        trials=max(n_runs, 1),
    )
    _, labels, counts = np.unique([found[node] for node in range(n)], return_inverse=True, return_counts=True)
    rank = np.empty(len(counts), dtype=np.int64)
    rank[np.argsort(-counts, kind="stable")] = np.arange(len(counts))
    return rank[labels]


def modularity(weights: sparse.spmatrix, labels: np.ndarray, resolution: float = 1.0) -> float:
    """Σ_c (w_cc − resolution · k_c² / 2m) / 2m: share of the weight inside communities, less what chance gives.

    Parameters
    ----------
    weights
        Symmetric, non-negative [s s].
    labels
        [s] community of each node, integers from 0.
    """
    matrix = sparse.coo_matrix(weights)
    total = float(matrix.sum())
    inside = float(matrix.data[labels[matrix.row] == labels[matrix.col]].sum())
    strength = np.bincount(labels, _strength(matrix))
    return (inside - resolution * float((strength**2).sum()) / total) / total


def _strength(matrix: sparse.spmatrix) -> np.ndarray:
    return np.asarray(matrix.sum(axis=1), dtype=np.float64).ravel()
