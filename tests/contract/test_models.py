"""Every registered model holds to the interface."""

from __future__ import annotations

import pytest

import toy
from eosin.models import MODELS
from eosin.models.check import check_model


@pytest.fixture(scope="module")
def training():
    return toy.training(20)


@pytest.mark.parametrize("name", list(MODELS))
def test_model_holds_to_the_interface(name, training):
    entry = MODELS[name]
    few = {"n_steps": 3} if "n_steps" in entry.settings.model_fields else {}
    check_model(lambda: entry.build(entry.settings.of(few), toy.N_FEATURES, training.panel), training)


def test_stflow_as_published_holds_to_the_interface(training):
    entry = MODELS["stflow"]
    settings = entry.settings.of(entry.presets["paper"]["model"], {"width": 32, "edge_width": 32})
    check_model(lambda: entry.build(settings, toy.N_FEATURES, training.panel), training)
