from __future__ import annotations

import warnings

import numpy as np
import pytest

from eosin.errors import EosinError
from eosin.metrics import domain_score, find_domains, has_label, need_labels
from eosin.metrics.domains import neighbour_graph, principal_components


def tissue(s: int = 150, g: int = 60, groups: int = 3, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    of = np.arange(s) % groups
    level = rng.normal(size=(groups, g)) * 1.5
    return level[of] + rng.normal(scale=0.7, size=(s, g)), np.array([f"layer {i}" for i in of], dtype=object)


def wave(s: int, c: int) -> np.ndarray:
    i, j = np.meshgrid(np.arange(1, s + 1), np.arange(1, c + 1), indexing="ij")
    return np.sin(i * i * 0.37 * j + 0.11 * i) * 3 / j


# What scanpy 1.11.5 gave (frozen, since it compiles for half a minute): sc.pp.neighbors(AnnData(zeros, obsm={"X_pca":
# wave(s, 6)}), n_neighbors=k, use_rep="X_pca"); of obsp["connectivities"] the entries, sum, sum of squares and row 3.
SCANPY = {
    (40, 5): (196, 126.723190, 98.665504, {6: 1.0, 9: 1.0, 28: 0.72202, 29: 0.75858}),
    (120, 15): (1998, 701.832336, 425.815216, {6: 0.51414, 9: 0.56523, 28: 0.34361, 110: 0.1256, 117: 1.0}),
    (12, 15): (86, 47.675079, 33.186836, {0: 0.21689, 1: 0.22042, 5: 0.27287, 6: 1.0, 8: 0.4925, 9: 1.0}),
}


@pytest.mark.parametrize(("s", "k"), SCANPY)
def test_the_graph_is_scanpys(s, k):
    graph = neighbour_graph(wave(s, 6), k)
    entries, total, squares, row = SCANPY[s, k]
    assert graph.nnz == entries
    assert graph.sum() == pytest.approx(total, abs=1e-3)
    assert graph.multiply(graph).sum() == pytest.approx(squares, abs=1e-3)
    for column, weight in row.items():
        assert graph[3, column] == pytest.approx(weight, abs=1e-4)
    assert abs(graph - graph.T).max() == 0
    assert not graph.diagonal().any()


def test_the_graph_is_umaps_where_points_coincide():
    # retrieval models predict the same for many spots; frozen from umap.umap_.fuzzy_simplicial_set with exact distances
    points = wave(60, 6)
    points[10:14] = points[10]
    assert neighbour_graph(points, 8).sum() == pytest.approx(260.430115, abs=1e-3)


def test_more_coinciding_points_than_neighbours():
    points = np.concatenate([np.zeros((30, 3)), wave(10, 3)])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        graph = neighbour_graph(points, 5)
    assert np.isfinite(graph.data).all()
    assert not graph.diagonal().any()


@pytest.mark.parametrize("shape", [(150, 60), (30, 60), (30, 4)])
def test_components_are_scikit_learns_but_for_sign(shape):
    from sklearn.decomposition import PCA

    x = tissue(*shape)[0]
    ours = principal_components(x, 20)
    n = min(20, shape[0] - 1, shape[1])
    assert ours.shape[1] == n
    np.testing.assert_allclose(np.abs(ours), np.abs(PCA(n, svd_solver="full").fit_transform(x)), atol=1e-8)


def test_planted_domains_are_found_and_score_one():
    x, labels = tissue()
    found = domain_score(x, list(labels))
    assert found.ari == pytest.approx(1)
    assert found.nmi == pytest.approx(1)
    assert (found.n_clusters, found.n_domains, found.n_unlabelled) == (3, 3, 0)


def test_score_is_scikit_learns_over_labelled_spots_only():
    from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

    x, labels = tissue(seed=1)
    labels[::4] = "layer 0"  # labels and clusters disagree
    labels[:20] = "unlabelled"
    labels[20:25] = "nan"
    found, clusters = domain_score(x, list(labels)), find_domains(x)
    known = slice(25, None)
    assert found.n_unlabelled == 25
    assert found.ari == pytest.approx(adjusted_rand_score(labels[known].astype(str), clusters[known]))
    assert found.nmi == pytest.approx(normalized_mutual_info_score(labels[known].astype(str), clusters[known]))
    assert 0 < found.ari < 1


def test_unlabelled_spots_are_clustered_but_their_words_play_no_part():
    x, labels = tissue()
    first, second = labels.copy(), labels.copy()
    first[::5], second[::5] = "NA", ""
    assert domain_score(x, list(first)) == domain_score(x, list(second))


@pytest.mark.parametrize("word", ["unlabelled", "NaN", " ", "NA", "<NA>", "undetermined", "None"])
def test_words_for_no_label(word):
    assert has_label(["invasive cancer", word, "0"]).tolist() == [True, False, True]


def test_missing_labels_are_one_line():
    for labels in (None, ["nan", "", "unlabelled"]):
        with pytest.raises(EosinError, match="section 'C2' has no domain labels; give them"):
            need_labels(labels, "C2")
    assert need_labels([" a ", "b"], "C2").tolist() == ["a", "b"]


def test_what_says_nothing_has_one_domain_and_scores_zero():
    _, labels = tissue()
    flat = np.tile(np.linspace(0, 3, 60), (150, 1)).astype(np.float32)
    found = domain_score(flat, list(labels))
    assert (found.n_clusters, found.ari, found.nmi) == (1, 0.0, 0.0)


@pytest.mark.parametrize("s", [1, 2, 3, 5])
def test_few_spots_or_one_label_give_no_warning(s):
    rng = np.random.default_rng(s)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(find_domains(rng.normal(size=(s, 4)))) == s
        found = domain_score(rng.integers(0, 2, (s, 4)).astype(float), ["a"] * s)
    assert np.isnan(found.ari)
    assert np.isnan(found.nmi)


def test_one_seed_one_answer_and_spot_order_matters_little():
    x, labels = tissue(seed=3)
    again = np.random.default_rng(0).permutation(len(x))
    assert (find_domains(x) == find_domains(x)).all()
    assert domain_score(x[again], list(labels[again])).ari == pytest.approx(domain_score(x, list(labels)).ari)
