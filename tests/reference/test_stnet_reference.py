"""The solved recursion is the loop: exactly on all spots, and on average over the order of batches."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest

import toy
from eosin.models.stnet.stnet import STNet, STNetSettings

HERE = Path(__file__).resolve().parent


@pytest.fixture(scope="module")
def literal():
    spec = importlib.util.spec_from_file_location("stnet_literal", HERE / "stnet_literal.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def solved(training, **settings):
    model = STNet(STNetSettings.of({"standardise": False, **settings}), toy.N_FEATURES, training.panel)
    model.solve(training)
    return model


@pytest.mark.parametrize(("lr", "momentum"), [(1e-4, 0.9), (1e-2, 0.9), (3e-2, 0.5), (1e-2, 0.0)])
def test_equals_descent_on_all_spots(literal, lr, momentum):
    training = toy.training()
    x, y = training.batch.features.astype(np.float64) + 0.7, training.target.astype(np.float64)
    training.batch.features[:] = x
    x = training.batch.features.astype(np.float64)
    model = solved(training, epochs=(5,), lr=lr, momentum=momentum, batch_size=10)
    weight, bias = literal.descend(x, y, lr=lr, momentum=momentum, batch_size=10, n_steps=5 * 24, seed=None)
    assert np.allclose(model.weight, weight, atol=1e-9)
    assert np.allclose(model.bias, bias, atol=1e-9)


def test_is_the_mean_of_stochastic_descent(literal):
    training = toy.training()
    x, y = training.batch.features.astype(np.float64), training.target.astype(np.float64)
    given = {"lr": 1e-3, "momentum": 0.9, "batch_size": 16}
    model = solved(training, epochs=(2,), **given)
    runs = np.stack([literal.descend(x, y, **given, n_steps=30, seed=seed)[0] for seed in range(40)])
    error = runs.std(0) / np.sqrt(len(runs))
    assert (np.abs(runs.mean(0) - model.weight) / error).mean() < 1.2  # 0.8 for a normal error of the mean
    assert np.abs(model.weight).mean() > 20 * error.mean()  # and the test can tell
