from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.linear_model import Ridge
from sklearn.preprocessing import StandardScaler

import toy
from eosin.engine import predict, train
from eosin.metrics import pearson_per_gene
from eosin.models import MODELS
from toy import point

solved = partial(toy.solved, "hest-ridge")


@pytest.fixture(scope="module")
def training():
    """More features than 256 + spots that make the penalty and the reduction count."""
    small = toy.training(90)
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(len(small.batch), 300)) * np.geomspace(3, 0.1, 300)
    wide = np.concatenate([small.batch.features, noise], 1).astype(np.float32)
    return replace(small, batch=replace(small.batch, features=wide))


def probe(z, y):
    """The last step of the benchmark."""
    z = z.astype(np.float32)
    return Ridge(alpha=100 / (z.shape[1] * y.shape[1]), fit_intercept=False, solver="lsqr", max_iter=1000).fit(z, y)


@pytest.mark.parametrize("preset", ["", "paper"])
def test_equals_the_steps_of_the_benchmark(training, preset):
    """Components of standardised features, or the features as they are."""
    x, y = training.batch.features.astype(np.float64), training.target.astype(np.float64)
    steps = [] if preset else [StandardScaler(), PCA(256, random_state=1)]
    z = x
    for step in steps:
        z = step.fit_transform(z)
    presets = MODELS["hest-ridge"].presets
    made = solved(training, **(presets[preset]["model"] if preset else {}))
    assert np.allclose(point(made, training.batch), probe(z, y).predict(z.astype(np.float32)), atol=1e-3)


def test_the_ridge_is_fitted_to_the_scores_of_the_fit_itself():
    """A randomised PCA transforms the spots that it was fitted to a little otherwise than it fitted them."""
    training = toy.training(330)
    noise = np.random.default_rng(0).normal(size=(len(training.batch), 520 - training.batch.features.shape[1]))
    wide = np.concatenate([training.batch.features, noise], 1).astype(np.float32)
    training = replace(training, batch=replace(training.batch, features=wide))
    x, y = StandardScaler().fit_transform(wide.astype(np.float64)), training.target.astype(np.float64)
    pca = PCA(256, random_state=1)
    scores = pca.fit_transform(x)
    once, twice = probe(scores, y), probe(pca.transform(x), y)
    test = pca.transform(x).astype(np.float32)
    assert np.abs(once.predict(test) - twice.predict(test)).max() > 0.01
    assert np.allclose(point(solved(training), training.batch), once.predict(test), atol=1e-3)


def test_models_of_before_that_were_fitted_are_as_they_were(training):
    """Only arrays are kept, so that how they were fitted does not matter to a checkpoint."""
    made = solved(training, n_components=None)
    assert set(made.arrays()) == {"weight", "intercept"}


def test_penalty_is_that_of_the_formula(training):
    """100 / (256 · 6) on the summed error; a per-spot penalty would differ by the number of spots."""
    x, y = training.batch.features.astype(np.float64), training.target.astype(np.float64)
    z = PCA(256, random_state=1).fit_transform(StandardScaler().fit_transform(x))
    weight = np.linalg.solve(z.T @ z + 100 / (256 * 6) * np.eye(256), z.T @ y)
    exact = solved(training, solver="cholesky")
    assert np.allclose(point(exact, training.batch), z @ weight, atol=2e-3)
    other = solved(training, solver="cholesky", penalty=300.0)
    assert not np.allclose(point(other, training.batch), z @ weight, atol=0.1)


def test_the_mean_changes_squared_errors_but_no_correlation(training):
    plain, added = solved(training), solved(training, add_mean=True)
    one, other = point(plain, training.batch), point(added, training.batch)
    y = training.target
    assert np.allclose(one.mean(0), 0, atol=1e-3)
    assert np.allclose(other - one, y.mean(0), atol=1e-5)
    assert np.allclose(pearson_per_gene(y, one), pearson_per_gene(y, other), atol=1e-5)
    r2 = [1 - ((y - found) ** 2).sum() / ((y - y.mean(0)) ** 2).sum() for found in (one, other)]
    assert r2[0] < 0 < 0.5 < r2[1]


def test_presets_are_the_two_tables():
    entry = MODELS["hest-ridge"]
    assert entry.settings.of().n_components == 256
    assert entry.settings.of(entry.presets["paper"]["model"]).n_components is None


def test_constant_features_are_no_obstacle():
    training = toy.training()
    flat = replace(training, batch=replace(training.batch, features=np.ones_like(training.batch.features)))
    assert np.isfinite(point(solved(flat), flat.batch)).all()


def test_overfits_one_section():
    rng = np.random.default_rng(0)
    training = toy.training(30).take(np.arange(30))
    wide = replace(training.batch, features=rng.normal(size=(30, 60)).astype(np.float32))
    training = replace(training, batch=wide)
    found = point(solved(training, n_components=None), wide)
    assert pearson_per_gene(training.target, found).min() > 0.95


def test_finds_the_relation_on_a_held_out_section():
    *sections, judged = [toy.section(name, 150) for name in ("A1", "A2", "B1", "B2")]
    for given, below in (({}, np.inf), ({"add_mean": True}, 0.7)):
        trained = train(sections, model="hest-ridge", settings={"model": given}, panel="var:6")
        found = predict(trained, judged).mean
        truth = np.log1p(judged.expression(trained.panel.names))
        assert pearson_per_gene(truth, found).mean() > 0.6
        assert ((found - truth) ** 2).mean() < below * truth.var(0).mean()
