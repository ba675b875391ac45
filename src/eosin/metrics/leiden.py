"""Leiden communities of a weighted graph (Traag, Waltman & van Eck 2019), maximising modularity with a resolution.

Our own, in plain Python, because the two packages that have it are under the GPL, and a score must not depend on what
else is installed. As leidenalg does, the refinement merges greedily (the paper draws at random among gains), so the
only chance is the order of the visits, and that comes from a seed.
"""

from __future__ import annotations

from collections import deque
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from scipy import sparse


class _Graph(NamedTuple):
    """Each node's neighbours (without itself), each node's strength, resolution / total strength."""

    near: list[list[tuple[int, float]]]
    strength: list[float]
    pull: float

    @property
    def n(self) -> int:
        return len(self.near)


def leiden(weights: sparse.spmatrix, resolution: float = 1.0, *, seed: int = 0, n_runs: int = 1) -> np.ndarray:
    """Community of each node [s], int, numbered from the largest (0) down.

    Parameters
    ----------
    weights
        Symmetric, non-negative [s s]; the diagonal counts to a node's strength only.
    resolution
        1 is modularity; smaller values give fewer communities.
    n_runs
        Runs of different visiting order, of which the one of the best `modularity` is given.
    """
    matrix = sparse.csr_matrix(weights, dtype=np.float64)
    if matrix.sum() <= 0:
        return np.arange(len(_strength(matrix)))
    runs = [_run(matrix, resolution, np.random.default_rng([seed, run])) for run in range(max(n_runs, 1))]
    best = max(runs, key=lambda found: modularity(matrix, found, resolution))
    _, labels, counts = np.unique(best, return_inverse=True, return_counts=True)
    rank = np.empty(len(counts), dtype=np.int64)
    rank[np.argsort(-counts, kind="stable")] = np.arange(len(counts))
    return rank[labels]


def modularity(weights: sparse.spmatrix, labels: np.ndarray, resolution: float = 1.0) -> float:
    """Σ_c (w_cc − resolution · k_c² / 2m) / 2m: share of the weight inside communities, less what chance gives."""
    matrix = sparse.coo_matrix(weights)
    total = float(matrix.sum())
    inside = float(matrix.data[labels[matrix.row] == labels[matrix.col]].sum())
    strength = np.bincount(labels, _strength(matrix))
    return (inside - resolution * float((strength**2).sum()) / total) / total


def _run(matrix: sparse.csr_matrix, resolution: float, rng: np.random.Generator) -> np.ndarray:
    """Whole passes from the last pass's communities until one gains nothing."""
    labels, quality = np.arange(len(_strength(matrix))), -np.inf
    while True:
        found = _pass(matrix, labels, resolution, rng)
        gained = modularity(matrix, found, resolution)
        if gained <= quality + 1e-10:
            return labels
        labels, quality = found, gained


def _pass(matrix: sparse.csr_matrix, labels: np.ndarray, resolution: float, rng: np.random.Generator) -> np.ndarray:
    """Move, refine, aggregate, level by level; communities of the original nodes."""
    pull = resolution / float(matrix.sum())
    strength = _strength(matrix)
    member = np.arange(len(strength))  # node of the current level that holds each original node
    while True:
        graph = _graph(matrix, strength, pull)
        labels = _move(graph, labels, rng)
        parts = _refine(graph, labels, rng)
        n_parts = int(parts.max()) + 1
        if n_parts == graph.n:  # nothing merges any more
            return labels[member]
        onto = sparse.csr_matrix((np.ones(graph.n), (np.arange(graph.n), parts)), shape=(graph.n, n_parts))
        matrix = sparse.csr_matrix(onto.T @ matrix @ onto)
        strength = np.bincount(parts, strength, minlength=n_parts)
        above = np.empty(n_parts, dtype=np.int64)
        above[parts] = labels  # a part lies within one community
        labels, member = above, parts[member]


def _strength(matrix: sparse.spmatrix) -> np.ndarray:
    return np.asarray(matrix.sum(axis=1), dtype=np.float64).ravel()


def _graph(matrix: sparse.csr_matrix, strength: np.ndarray, pull: float) -> _Graph:
    starts, columns, values = (np.asarray(part).tolist() for part in (matrix.indptr, matrix.indices, matrix.data))
    near = [
        [(j, w) for j, w in zip(columns[a:b], values[a:b]) if j != i and w > 0]
        for i, (a, b) in enumerate(pairwise(starts))
    ]
    return _Graph(near, strength.tolist(), pull)


def _move(graph: _Graph, labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Local moving by a queue: a node is looked at again only when a neighbour left its community."""
    near, strength, pull = graph
    of = np.unique(labels, return_inverse=True)[1].tolist()
    size, held = [0.0] * graph.n, [0] * graph.n
    for node, community in enumerate(of):
        size[community] += strength[node]
        held[community] += 1
    free = [c for c in range(graph.n) if held[c] == 0]
    queue, waiting = deque(rng.permutation(graph.n).tolist()), [True] * graph.n
    while queue:
        node = queue.popleft()
        waiting[node] = False
        own, k = of[node], strength[node]
        size[own] -= k
        held[own] -= 1
        to = _weights_to(near[node], of)
        best, best_gain = own, to.get(own, 0.0) - pull * k * size[own]
        for community, weight in to.items():
            gain = weight - pull * k * size[community]
            if gain > best_gain + 1e-12:
                best, best_gain = community, gain
        if best_gain < -1e-12:  # alone is better
            best = free.pop()
        if held[own] == 0 and best != own:
            free.append(own)
        of[node] = best
        size[best] += k
        held[best] += 1
        if best != own:
            for other, _ in near[node]:
                if of[other] != best and not waiting[other]:
                    waiting[other] = True
                    queue.append(other)
    return np.unique(of, return_inverse=True)[1]


def _refine(graph: _Graph, labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Split each community into well-connected parts: single nodes, merged where it gains and nothing is cut off."""
    near, strength, pull = graph
    within = labels.tolist()
    whole = np.bincount(labels, strength).tolist()
    of, size, alone = list(range(graph.n)), list(strength), [True] * graph.n
    cut = [sum(w for j, w in near[i] if within[j] == within[i]) for i in range(graph.n)]  # to the rest of its community
    for node in rng.permutation(graph.n).tolist():
        k, total = strength[node], whole[within[node]]
        if not alone[node] or cut[node] < pull * k * (total - k):
            continue
        to = _weights_to([(j, w) for j, w in near[node] if within[j] == within[node]], of)
        best, best_gain = node, 0.0
        for part, weight in to.items():
            if cut[part] < pull * size[part] * (total - size[part]):
                continue
            gain = weight - pull * k * size[part]
            if gain > best_gain + 1e-12:
                best, best_gain = part, gain
        if best != node:
            cut[best] += cut[node] - 2 * to[best]
            size[best] += k
            of[node], alone[best] = best, False
    return np.unique(of, return_inverse=True)[1]


def _weights_to(near: list[tuple[int, float]], of: list[int]) -> dict[int, float]:
    found: dict[int, float] = {}
    for other, weight in near:
        found[of[other]] = found.get(of[other], 0.0) + weight
    return found
