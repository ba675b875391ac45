"""Fast metrics against the literal formulas and against scipy and scanpy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse, stats

from eosin.genes import choose_panel, target
from eosin.metrics import crps_per_gene, gsc, morans_i, pearson_per_gene, rvd, spatial_weights, ssc
from eosin.types import GenePanel, Section, Spots


@pytest.fixture
def data():
    rng = np.random.default_rng(0)
    xy = rng.uniform(0, 3000, size=(90, 2))
    smooth = np.column_stack([np.sin(xy[:, 0] / a) + np.cos(xy[:, 1] / b) for a, b in rng.uniform(100, 900, (12, 2))])
    truth = smooth + rng.normal(scale=rng.uniform(0.1, 2, 12), size=smooth.shape)
    return truth, smooth + rng.normal(scale=0.8, size=smooth.shape), xy


def literal_weights(xy: np.ndarray, k: int) -> np.ndarray:
    distance = np.linalg.norm(xy[:, None] - xy[None], axis=-1)
    nearest = np.argsort(distance, axis=1)[:, 1 : k + 1]
    weights = np.zeros((len(xy), len(xy)))
    for i in range(len(xy)):
        for j in range(len(xy)):
            weights[i, j] = i != j and (j in nearest[i] or i in nearest[j])
    return weights


def literal_morans_i(x: np.ndarray, weights: np.ndarray) -> float:
    z = x - x.mean()
    return len(x) / weights.sum() * (z @ weights @ z) / (z @ z)


def literal_correlations(x: np.ndarray, eps: float = 1e-8) -> np.ndarray:
    standard = (x - x.mean(0)) / (x.std(0, ddof=1) + eps)
    return (standard.T @ standard / (len(x) - 1))[np.triu_indices(x.shape[1], 1)]


def test_pearson_equals_scipy(data):
    truth, predicted, _ = data
    expected = [stats.pearsonr(truth[:, j], predicted[:, j]).statistic for j in range(truth.shape[1])]
    np.testing.assert_allclose(pearson_per_gene(truth, predicted), expected, rtol=1e-12)


def test_weights_equal_the_literal_union(data):
    for k in (1, 4, 8):
        np.testing.assert_array_equal(spatial_weights(data[2], k).toarray(), literal_weights(data[2], k))


def test_morans_i_equals_the_literal_formula_and_scanpy(data):
    import scanpy

    truth, _, xy = data
    weights = spatial_weights(xy)
    found = morans_i(truth, weights)
    dense = literal_weights(xy, 8)
    np.testing.assert_allclose(found, [literal_morans_i(column, dense) for column in truth.T], rtol=1e-10)
    np.testing.assert_allclose(found, scanpy.metrics.morans_i(weights, truth.T.copy()), rtol=1e-6)


def test_ssc_and_gsc_equal_the_literal_formulas(data):
    truth, predicted, xy = data
    dense = literal_weights(xy, 8)
    true_i, predicted_i = ([literal_morans_i(column, dense) for column in x.T] for x in (truth, predicted))
    assert ssc(truth, predicted, xy) == pytest.approx(stats.pearsonr(true_i, predicted_i).statistic, abs=1e-10)
    expected = stats.pearsonr(literal_correlations(truth), literal_correlations(predicted)).statistic
    assert gsc(truth, predicted) == pytest.approx(expected, abs=1e-10)


def test_rvd_equals_the_literal_formula(data):
    truth, predicted, _ = data
    pairs = zip(truth.var(0), predicted.var(0))
    assert rvd(truth, predicted) == pytest.approx(np.mean([(p - t) ** 2 / t**2 for t, p in pairs]))


def test_crps_equals_the_double_sum_over_draws():
    rng = np.random.default_rng(1)
    truth, draws = rng.normal(size=(20, 3)), np.round(rng.normal(size=(9, 20, 3)), 1)  # rounded: with ties
    to_truth = np.abs(draws - truth).mean(0)
    between = np.abs(draws[:, None] - draws[None]).mean((0, 1))
    np.testing.assert_allclose(crps_per_gene(truth, draws), (to_truth - between / 2).mean(0))


def sections_of_counts(seed: int, n_genes: int = 400) -> list[Section]:
    rng = np.random.default_rng(seed)
    names = np.array([f"G{j:03d}" for j in range(n_genes)])
    level, spread = rng.gamma(0.6, 2.0, n_genes), rng.gamma(2.0, 1.0, n_genes)
    made = []
    for i, s in enumerate((80, 120, 60)):
        counts = rng.poisson(level * rng.gamma(1 / spread, spread, (s, n_genes)))
        order = rng.permutation(n_genes)[: n_genes - 5 * i]
        spots = Spots(rng.uniform(0, 1e3, (s, 2)), 55.0, tuple(f"s{j}" for j in range(s)))
        matrix = sparse.csr_matrix(counts[:, order])
        made.append(Section(f"T{i}", f"p{i}", spots, counts=matrix, genes=tuple(names[order])))
    return made


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_hvg_equals_the_recipe_run_with_scanpy(seed):
    import anndata
    import scanpy

    sections = sections_of_counts(seed)
    parts = []
    for section in sections:
        part = anndata.AnnData(section.counts.copy())
        part.var_names = list(section.genes)
        part.obs_names = [f"{section.name}-{id_}" for id_ in section.spots.ids]
        scanpy.pp.filter_genes(part, min_cells=int(np.ceil(0.1 * len(section))))
        parts.append(part)
    whole = anndata.concat(parts, join="inner")
    scanpy.pp.log1p(whole)
    scanpy.pp.highly_variable_genes(whole, n_top_genes=50)
    assert whole.n_vars < 400  # the filter has something to do
    assert set(choose_panel("hvg:50", sections).names) == set(whole.var_names[whole.var.highly_variable])


@pytest.mark.parametrize("transform", ["log1p", "log1p_cp10k", "log2p1"])
def test_var_and_hmhvg_equal_the_dense_computation(transform):
    sections = sections_of_counts(3)
    common = sorted(set.intersection(*(set(section.genes) for section in sections)))
    values = np.concatenate([target(section, GenePanel(tuple(common), transform)) for section in sections])
    values = values.astype(np.float64)
    by_var = [common[j] for j in np.argsort(-values.var(0))]
    by_mean = [common[j] for j in np.argsort(-values.mean(0))]
    assert choose_panel("var:40", sections, transform=transform).names == tuple(by_var[:40])
    chosen = set(choose_panel("hmhvg:40", sections, transform=transform).names)
    both = [set(by_var[:k]) & set(by_mean[:k]) for k in range(1, len(common) + 1)]
    small, large = ([b for b in both if len(b) <= 40][-1], next(b for b in both if len(b) >= 40))
    assert small <= chosen <= large
