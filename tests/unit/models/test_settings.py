"""Every setting of a model changes what the trained model draws: none is dead."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest

import toy
from eosin.engine import predict, train
from eosin.models import MODELS

Given = dict[str, Any]

TINY: Given = {"width": 8, "edge_width": 8, "n_layers": 1, "n_heads": 2, "n_steps": 2, "n_components": 6}
TRAIN: Given = {"epochs": 1, "regions_per_section": 2, "lr": 0.01, "early_stopping": False}
ZINB: Given = {"prior": "zinb", "precondition": False, "base": False}

STFLOW: dict[str, tuple[Any, Given]] = {
    # setting: another value, and the settings without which it has nothing to act on
    "n_layers": (2, {}),
    "width": (16, {}),
    "edge_width": (16, {}),
    "n_heads": (4, {}),
    "n_neighbours": (3, {}),
    "include_ties": (True, {"lattice": True}),
    "dropout": (0.6, {}),
    "length_um": (30.0, {}),
    "min_gap": (0.9, {}),
    "frame_averaging": (False, {}),
    "flow_matching": (False, {}),
    "absolute_expression": (False, {}),
    "prior": ("zinb", {}),
    "prior_mean": (2.0, ZINB),
    "prior_dispersion": (0.05, ZINB),
    "prior_zeros": (0.05, ZINB),
    "n_steps": (4, {}),
    "sampler": ("euler", {}),
    "time_grid": ("release", {}),
    "n_components": (None, {}),
    "standardise": (False, {}),
    "precondition": (False, {}),
    "base": (False, {}),
}
RIDGE: dict[str, tuple[Any, Given]] = {
    "n_components": (3, {}),
    "penalties": ((50.0,), {}),
    "smoothing": ((0.5,), {}),
    "n_neighbours": (2, {"smoothing": (0.5,)}),
}
TABLES = {"stflow": STFLOW, "ridge": RIDGE, "gene-mean": {}}
BASE: dict[str, Given] = {"stflow": TINY, "ridge": {}, "gene-mean": {}}

PRIORS = ("residual", "zinb", "zinb-logits", "gaussian", "zero", "empirical")


@cache
def cohort(*, lattice: bool) -> tuple:
    """Three sections; on an exact lattice many neighbours are equally near."""
    from dataclasses import replace

    sections = [toy.section(name, 36) for name in ("A1", "B1", "B2")]
    if lattice:
        places = [np.round(s.spots.xy_um / 100) * 100 for s in sections]
        sections = [replace(s, spots=replace(s.spots, xy_um=xy)) for s, xy in zip(sections, places)]
    return tuple(sections)


_drawn: dict[str, np.ndarray] = {}


def draws(model: str, given: Given) -> np.ndarray:
    """Draws on the last section after training on the others."""
    key = f"{model} {sorted(given.items(), key=str)}"
    if key not in _drawn:
        settings = {name: value for name, value in given.items() if name != "lattice"}
        *training, judged = cohort(lattice="lattice" in given)
        tables = {"model": {**BASE[model], **settings}, "train": TRAIN}
        trained = train(training, model=model, settings=tables, panel="var:4", seed=0)
        _drawn[key] = predict(trained, judged, draws=2, seed=0).draws
    return _drawn[key]


@pytest.mark.parametrize("model", MODELS)
def test_the_tables_hold_every_setting(model: str) -> None:
    assert set(TABLES[model]) == set(MODELS[model].settings.model_fields)


@pytest.mark.parametrize(("model", "name"), [(model, name) for model in TABLES for name in TABLES[model]])
def test_every_setting_changes_the_draws(model: str, name: str) -> None:
    value, needed = TABLES[model][name]
    plain, changed = draws(model, needed), draws(model, {**needed, name: value})
    assert plain.shape == changed.shape
    assert not np.allclose(plain, changed, atol=1e-6)


def test_training_of_the_same_settings_is_the_same() -> None:
    """Else the tests above would pass on noise alone."""
    one = draws("stflow", {}).copy()
    _drawn.clear()
    assert np.array_equal(one, draws("stflow", {}))


def test_every_prior_gives_draws_of_its_own() -> None:
    found = {prior: draws("stflow", {"prior": prior}) for prior in PRIORS}
    for i, one in enumerate(PRIORS):
        for other in PRIORS[i + 1 :]:
            assert not np.allclose(found[one], found[other], atol=1e-6), (one, other)


@pytest.mark.parametrize("preset", MODELS["stflow"].presets)
def test_presets_hold_only_known_settings(preset: str) -> None:
    from eosin.engine import TrainSettings

    tables = MODELS["stflow"].presets[preset]
    made = MODELS["stflow"].settings.of(tables.get("model", {}))
    assert made != MODELS["stflow"].settings.of()
    TrainSettings.of(tables.get("train", {}))
