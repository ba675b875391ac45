from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from scipy import sparse

from eosin.metrics import leiden, modularity


def graph(edges: list[tuple[int, int, float]], n: int) -> sparse.csr_matrix:
    rows, columns, weights = zip(*edges)
    one_way = sparse.csr_matrix((weights, (rows, columns)), shape=(n, n))
    return sparse.csr_matrix(one_way + one_way.T)


TRIANGLES = graph([(0, 1, 1), (1, 2, 1), (0, 2, 1), (3, 4, 1), (4, 5, 1), (3, 5, 1), (2, 3, 1)], 6)


def noisy(n: int, groups: int, seed: int, inside: float = 0.5, outside: float = 0.03) -> sparse.csr_matrix:
    rng = np.random.default_rng(seed)
    of = np.arange(n) % groups
    chance = np.where(of[:, None] == of, inside, outside)
    kept = np.triu(rng.random((n, n)) < chance, k=1) * rng.uniform(0.5, 1, (n, n))
    return sparse.csr_matrix(kept + kept.T)


def test_two_triangles_joined_by_an_edge():
    labels = leiden(TRIANGLES)
    assert labels.tolist() in ([0, 0, 0, 1, 1, 1], [1, 1, 1, 0, 0, 0])
    # 7 edges: 6 of 7 inside; both communities have half of the strength, 7 of 14
    assert modularity(TRIANGLES, labels) == pytest.approx(6 / 7 - 2 * 0.5**2)


def test_resolution_decides_how_many():
    assert len(set(leiden(TRIANGLES, 0.05))) == 1
    assert len(set(leiden(TRIANGLES, 10.0))) == 6


def test_modularity_is_networkx_modularity():
    import networkx as nx

    weights, labels = noisy(30, 3, 0), np.arange(30) % 4
    sets = [set(np.flatnonzero(labels == c).tolist()) for c in range(4)]
    for resolution in (0.3, 1.0):
        known = nx.community.modularity(nx.from_scipy_sparse_array(weights), sets, resolution=resolution)
        assert modularity(weights, labels, resolution) == pytest.approx(known)


@pytest.mark.parametrize("seed", range(6))
def test_small_graphs_reach_the_best_of_all_partitions(seed):
    weights = noisy(7, 2, seed, 0.8, 0.25)
    found = modularity(weights, leiden(weights, n_runs=3))
    best = max(modularity(weights, np.array((0, *rest))) for rest in product(range(3), repeat=6))
    assert found >= best - 1e-9  # best of up to three communities


@pytest.mark.parametrize("resolution", [0.3, 1.0])
def test_it_is_as_good_as_networkx_louvain(resolution):
    import networkx as nx

    weights = noisy(120, 6, 1, 0.4, 0.08)
    sets = nx.community.louvain_communities(nx.from_scipy_sparse_array(weights), resolution=resolution, seed=0)
    louvain = np.empty(120, dtype=int)
    for number, members in enumerate(sets):
        louvain[list(members)] = number
    assert (
        modularity(weights, leiden(weights, resolution), resolution) > modularity(weights, louvain, resolution) - 0.01
    )


def test_planted_groups_come_back_largest_first():
    labels = leiden(noisy(200, 4, 2), n_runs=2)
    assert len({(a, b) for a, b in zip(labels, np.arange(200) % 4)}) == 4
    assert (np.diff(np.bincount(labels)) <= 0).all()


def test_communities_are_connected():
    # what Leiden adds to Louvain
    weights = noisy(150, 10, 3, 0.25, 0.04)
    labels = leiden(weights, 1.0)
    for community in set(labels):
        rows = np.flatnonzero(labels == community)
        assert sparse.csgraph.connected_components(weights[rows][:, rows])[0] == 1


def test_one_seed_one_answer_and_no_edges_no_communities():
    weights = noisy(100, 5, 4)
    assert (leiden(weights, seed=3) == leiden(weights, seed=3)).all()
    assert leiden(sparse.csr_matrix((4, 4))).tolist() == [0, 1, 2, 3]
    apart = sparse.block_diag([TRIANGLES, TRIANGLES, sparse.csr_matrix((1, 1))]).tocsr()
    labels = leiden(apart)
    assert len(set(labels)) == 5
    assert (labels == labels[-1]).sum() == 1


def test_edges_from_a_node_to_itself_are_refused_and_empty_entries_are_none():
    loops = sparse.csr_matrix(TRIANGLES + sparse.diags([0, 0, 20.0, 0, 0, 0]))
    with pytest.raises(ValueError, match="edges from a node to itself"):
        leiden(loops)
    empty = TRIANGLES.copy()
    empty.data[:] = 0
    assert leiden(empty).tolist() == [0, 1, 2, 3, 4, 5]


def test_the_given_graph_is_left_as_it_was():
    weights = TRIANGLES.copy()
    weights.data[0] = 0
    leiden(weights)
    assert weights.nnz == TRIANGLES.nnz


def test_it_agrees_with_igraph_where_that_is_installed():
    igraph = pytest.importorskip("igraph", reason="igraph is not installed")
    weights = noisy(150, 6, 5, 0.4, 0.05)
    upper = sparse.triu(weights).tocoo()
    one = igraph.Graph(n=150, edges=list(zip(upper.row.tolist(), upper.col.tolist())))
    known = one.community_leiden("modularity", weights=upper.data.tolist(), resolution=0.5, n_iterations=-1).membership
    assert modularity(weights, leiden(weights, 0.5), 0.5) == pytest.approx(
        modularity(weights, np.array(known), 0.5), abs=0.005
    )
