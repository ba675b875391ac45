from __future__ import annotations

import sys
from dataclasses import fields, replace

import numpy as np
import pytest
import torch
from sklearn.ensemble import RandomForestRegressor

import toy
from eosin.engine import load, predict, train
from eosin.metrics import pearson_per_gene
from eosin.models import forest
from eosin.models.forest import Trees
from toy import point


def solved(training, *, seed=0, **settings):
    torch.manual_seed(seed)
    return toy.solved("forest", training, **{"n_trees": 10, **settings})


@pytest.fixture(scope="module")
def training():
    return toy.training()


@pytest.fixture(scope="module")
def other():
    """Features of other spots, with values at exactly a threshold's distance and far outside."""
    x = toy.section("Z9", 80).need_features().values
    return np.concatenate([x, 100 * x, np.zeros_like(x[:3])])


@pytest.mark.parametrize("depth", [None, 1, 4])
@pytest.mark.parametrize("leaf", [1, 5])
def test_arrays_predict_as_scikit_learn(training, other, depth, leaf):
    grown = RandomForestRegressor(15, max_depth=depth, min_samples_leaf=leaf, random_state=0)
    grown.fit(training.batch.features, training.target)
    trees = Trees.of([grown])
    for x in (training.batch.features, other):
        assert np.abs(trees.predict(x) - grown.predict(x)).max() < 1e-6


def test_a_value_at_the_threshold_goes_left(training):
    grown = RandomForestRegressor(1, max_depth=1, bootstrap=False).fit(np.arange(10.0)[:, None], np.arange(10.0) > 4)
    trees = Trees.of([grown])
    x = np.array([[trees.threshold[0]]], dtype=np.float32)
    assert x[0, 0] == trees.threshold[0]  # 4.5 has no rounding
    assert trees.predict(x) == grown.predict(x) == 0


def test_one_forest_for_each_gene(training, other):
    model = solved(training, per_gene=True, min_leaf=1, max_features=1.0)
    assert model.trees.roots.shape == (6, 10) and model.trees.values.shape[1] == 1
    for gene in range(6):
        grown = RandomForestRegressor(10, random_state=model.seed).fit(
            training.batch.features, training.target[:, gene].astype(np.float64)
        )
        assert np.abs(model.trees.predict(other)[:, gene] - grown.predict(other)).max() < 1e-6


def test_one_gene_alone(training):
    one = replace(training, target=training.target[:, :1], panel=replace(training.panel, names=("GENE0",)))
    assert point(solved(one), one.batch).shape == (len(one.batch), 1)


def test_chunks_change_nothing(training, monkeypatch):
    model = solved(training)
    whole = point(model, training.batch)
    monkeypatch.setattr(forest, "_ROWS", 17)
    assert np.array_equal(whole, point(model, training.batch))


def test_the_seed_decides(training):
    one, same, other = (point(solved(training, seed=seed), training.batch) for seed in (1, 1, 2))
    assert np.array_equal(one, same)
    assert not np.allclose(one, other)


def test_parameters_are_splits_and_leaves(training):
    model = solved(training, max_depth=1, n_trees=10)
    assert model.n_parameters == 10 * 2 + 20 * 6  # a feature and a threshold; two leaves of six genes


def test_predictions_stay_within_what_was_measured(training, other):
    found = solved(training).trees.predict(other)
    assert (found >= training.target.min(0) - 1e-6).all() and (found <= training.target.max(0) + 1e-6).all()


def test_a_checkpoint_needs_neither_pickle_nor_scikit_learn(tmp_path, monkeypatch):
    sections = toy.cohort(40)
    trained = train(sections[:3], model="forest", settings={"model": {"n_trees": 5}}, panel="var:4", out=tmp_path)
    before = predict(trained, sections[3]).draws
    assert set(trained.model.arrays()) == {f.name for f in fields(Trees)}
    for name in [name for name in sys.modules if name.split(".")[0] == "sklearn"]:
        monkeypatch.setitem(sys.modules, name, None)
    assert np.array_equal(before, predict(load(tmp_path), sections[3]).draws)


def test_overfits_one_section(training):
    one = training.take(np.arange(60))
    found = point(solved(one, min_leaf=1, n_trees=60, max_features=1.0), one.batch)
    assert pearson_per_gene(one.target, found).min() > 0.95


def test_beats_the_gene_mean_on_a_held_out_section():
    *sections, judged = [toy.section(name, 150) for name in ("A1", "A2", "B1", "B2")]
    trained = train(sections, model="forest", settings={"model": {"max_features": 0.4}}, panel="var:6")
    found = predict(trained, judged).mean
    truth = np.log1p(judged.expression(trained.panel.names))
    assert pearson_per_gene(truth, found).mean() > 0.4
    assert ((found - truth) ** 2).mean() < 0.9 * truth.var(0).mean()
