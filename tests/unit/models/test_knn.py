from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pytest

import toy
from eosin.engine import predict, train
from eosin.errors import EosinError
from eosin.metrics import pearson_per_gene
from eosin.models.parts import retrieval
from eosin.types import Batch
from toy import point

solved = partial(toy.solved, "knn")


@pytest.fixture(scope="module")
def training():
    return toy.training()


def test_one_neighbour_gives_back_the_training_spots(training):
    """The nearest of a training spot is itself: another distance or a shifted index would fail."""
    for metric in ("cosine", "euclidean"):
        model = solved(training, n_neighbours=(1,), metric=metric)
        assert np.allclose(point(model, training.batch), training.target, atol=1e-6)


def test_a_spot_seen_again_outweighs_all_others(training):
    model = solved(training, n_neighbours=(50,), metric="cosine", weights="distance")
    found = pearson_per_gene(training.target, point(model, training.batch))
    assert found.min() > 0.95


@pytest.mark.parametrize(("metric", "power"), [("cosine", False), ("euclidean", True)])
def test_equals_the_definition(training, metric, power):
    """Standardise, sort all distances, average with weights 1/d; in loops."""
    new = toy.section("Z9", 20).need_features().values
    model = solved(training, n_neighbours=(7,), metric=metric, weights="distance")
    x = training.batch.features.astype(np.float64)
    mean, sd = x.mean(0), x.std(0)
    keys, expected = (x - mean) / sd, []
    for spot in (new - mean) / sd:
        if power:
            distance = np.sqrt(((keys - spot) ** 2).sum(1))
        else:
            distance = 1 - keys @ spot / np.linalg.norm(keys, axis=1) / np.linalg.norm(spot)
        near = np.argsort(distance)[:7]
        expected.append(np.average(training.target[near], axis=0, weights=1 / distance[near]))
    batch = replace(training.batch.regions([np.arange(20)]), features=new)
    assert np.allclose(point(model, batch), expected, atol=1e-4)


def test_chunks_change_nothing(training, monkeypatch):
    model = solved(training, n_neighbours=(5,))
    features = np.random.default_rng(4).normal(size=(50, toy.N_FEATURES)).astype(np.float32)  # nobody's own neighbour
    unseen = Batch(np.zeros((50, 2)), features, np.array([0, 50]))
    whole = point(model, unseen)
    monkeypatch.setattr(retrieval, "_ENTRIES", 7 * len(training.batch))
    assert np.allclose(whole, point(model, unseen), atol=1e-5)


def test_noise_asks_for_many_neighbours_and_a_sharp_relation_for_few(training):
    rng = np.random.default_rng(0)
    noise = replace(training, target=(0.3 * training.target + rng.normal(0, 1.5, training.target.shape)))
    first = training.batch.features[:, :1]
    steps = np.sign(np.sin(6 * first)) * np.ones_like(training.target)
    alone = replace(training.batch, features=first)
    sharp = replace(training, target=steps.astype(np.float32), batch=alone)
    numbers = (1, 3, 100)
    assert solved(noise, n_neighbours=numbers).k == 100
    assert solved(sharp, n_neighbours=numbers).k < 100


def test_more_neighbours_than_spots_is_the_mean(training):
    model = solved(training, n_neighbours=(10_000,), weights="uniform")
    assert np.allclose(point(model, training.batch), training.target.mean(0), atol=1e-5)


def test_constant_features_are_no_obstacle(training):
    flat = replace(training, batch=replace(training.batch, features=np.ones_like(training.batch.features)))
    for metric in ("cosine", "euclidean"):
        assert np.isfinite(point(solved(flat, metric=metric), flat.batch)).all()


def test_no_neighbours_are_refused(training):
    with pytest.raises(EosinError, match="n_neighbours"):
        solved(training, n_neighbours=(0,))


def test_beats_the_gene_mean_on_a_held_out_section():
    *sections, judged = [toy.section(name, 150) for name in ("A1", "A2", "B1", "B2")]
    trained = train(sections, model="knn", panel="var:6")
    found = predict(trained, judged).mean
    truth = np.log1p(judged.expression(trained.panel.names))
    floor = predict(train(sections, model="gene-mean", panel=trained.panel), judged).mean
    assert pearson_per_gene(truth, found).mean() > 0.4
    assert ((found - truth) ** 2).mean() < 0.9 * ((floor - truth) ** 2).mean()
