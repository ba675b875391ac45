from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pytest

import toy
from eosin.engine import predict, train
from eosin.errors import EosinError
from eosin.metrics import pearson_per_gene
from eosin.models import MODELS
from eosin.models.stnet.stnet import STNetSettings
from eosin.types import GenePanel
from toy import point

solved = partial(toy.solved, "stnet")


@pytest.fixture(scope="module")
def training():
    return toy.training()


def test_published_number_of_parameters():
    """STFlow's table gives ST-Net 0.051 million: 1024 features, 50 genes."""
    panel = GenePanel(tuple(f"G{i}" for i in range(50)))
    assert MODELS["stnet"].build(STNetSettings(), 1024, panel).n_parameters == 51_250


def test_starts_at_the_training_mean(training):
    """With next to no step, the answer is the mean, and what moves points along the covariance."""
    model = solved(training, epochs=(1,), lr=1e-9)
    found = point(model, training.batch)
    assert np.allclose(found, training.target.mean(0), atol=1e-4)
    x = training.batch.features.astype(np.float64)
    z = (x - x.mean(0)) / x.std(0)
    covariance = z.T @ (training.target - training.target.mean(0)) / x.std(0)[:, None]
    assert np.corrcoef(model.weight.ravel(), covariance.ravel())[0, 1] > 1 - 1e-6


def test_ends_at_least_squares(training):
    model = solved(training, epochs=(100_000,))
    x = np.concatenate([training.batch.features, np.ones((len(training.batch), 1))], 1).astype(np.float64)
    best = np.linalg.lstsq(x, training.target.astype(np.float64), rcond=None)[0]
    assert np.allclose(model.weight, best[:-1], atol=1e-6)
    assert np.allclose(model.bias, best[-1], atol=1e-6)


def test_noise_stops_early_and_a_clean_relation_late(training):
    rng = np.random.default_rng(0)
    batch = replace(training.batch, features=training.batch.features * np.geomspace(1, 0.05, toy.N_FEATURES))
    batch = replace(batch, features=batch.features.astype(np.float32))
    last = training.batch.features[:, -1:] * np.ones((1, training.target.shape[1]))
    clean = replace(training, batch=batch, target=last.astype(np.float32))
    noise = replace(training, batch=batch, target=(rng.normal(0, 3, last.shape) + batch.features[:, :1]))
    numbers = (1, 10, 10_000)
    assert solved(clean, epochs=numbers, standardise=False).epochs == 10_000
    assert solved(noise, epochs=numbers, standardise=False).epochs < 10_000


def test_steps_that_grow_without_end_are_refused(training):
    with pytest.raises(EosinError, match="without end") as caught:
        solved(training, lr=10.0)
    bound = float(str(caught.value).split("below ")[1].split(",")[0])
    grown = solved(training, lr=0.99 * bound, epochs=(500,))
    assert np.abs(point(grown, training.batch)).max() < 100


def test_same_prediction_whatever_the_scale_of_a_feature(training):
    scaled = replace(training.batch, features=training.batch.features * np.float32([1000] + [1] * 11) + 7)
    one = point(solved(training), training.batch)
    other = point(solved(replace(training, batch=scaled)), scaled)
    assert np.allclose(one, other, atol=1e-3)


def test_constant_features_are_no_obstacle(training):
    flat = replace(training.batch, features=np.ones_like(training.batch.features))
    found = point(solved(replace(training, batch=flat)), flat)
    assert np.allclose(found, training.target.mean(0), atol=1e-5)


def test_overfits_one_section():
    """As many features as spots: descent without end passes through every training spot."""
    rng = np.random.default_rng(0)
    training = toy.training(30).take(np.arange(30))
    wide = replace(training.batch, features=rng.normal(size=(30, 60)).astype(np.float32))
    training = replace(training, batch=wide)
    found = point(solved(training, epochs=(20_000,)), wide)
    assert pearson_per_gene(training.target, found).min() > 0.95


def test_beats_the_gene_mean_on_a_held_out_section():
    *sections, judged = [toy.section(name, 150) for name in ("A1", "A2", "B1", "B2")]
    for model in ("stnet", "stnet:small"):
        trained = train(sections, model=model, panel="var:6")
        found = predict(trained, judged).mean
        truth = np.log1p(judged.expression(trained.panel.names))
        assert pearson_per_gene(truth, found).mean() > 0.6
        assert ((found - truth) ** 2).mean() < 0.7 * truth.var(0).mean()
