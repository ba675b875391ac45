"""A trained model that draws in another way: the same arrays, and nothing that they do not hold for."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import toy
from eosin.engine import load, predict, train
from eosin.engine.checkpoint import with_settings
from eosin.errors import EosinError
from eosin.models import MODELS

STEM = {
    "model": {"base": "none", "depth": 1, "width": 16, "n_heads": 2, "n_times": 60, "n_steps": 4},
    "train": {"epochs": 1},
}


@pytest.fixture(scope="module")
def sections():
    return toy.cohort(20)


@pytest.fixture(scope="module")
def stem(sections):
    return train(sections[:3], model="stem:small", settings=STEM, panel="var:4")


def test_the_sampler_changes_and_the_arrays_do_not(stem, sections) -> None:
    other = with_settings(stem, {"sampler": "ddim", "n_steps": 7})
    before, after = stem.model.arrays(), other.model.arrays()
    assert before.keys() == after.keys() and all(torch.equal(before[name], after[name]) for name in before)
    assert (other.model_settings["sampler"], other.model_settings["n_steps"]) == ("ddim", 7)
    assert stem.model_settings["sampler"] == "dpm" and other.model_settings["width"] == 16
    ours, theirs = (predict(one, sections[3], draws=2).draws for one in (stem, other))
    assert not np.array_equal(ours, theirs)
    back = with_settings(other, {"sampler": "dpm", "n_steps": 4})
    assert np.array_equal(predict(back, sections[3], draws=2).draws, ours)


def test_it_is_the_model_that_would_have_been_trained_so(stem, sections) -> None:
    """Settings of drawing take no part in training, but for the epoch that is chosen."""
    fixed = {"model": STEM["model"], "train": {"epochs": 1, "early_stopping": False}}
    plain = train(sections[:3], model="stem:small", settings=fixed, panel="var:4")
    slow = {**fixed, "model": {**STEM["model"], "sampler": "ancestral", "mirrored": False}}
    there = train(sections[:3], model="stem:small", settings=slow, panel="var:4")
    here = with_settings(plain, {"sampler": "ancestral", "mirrored": False})
    assert np.array_equal(*(predict(one, sections[3], draws=2).draws for one in (there, here)))


def test_it_is_saved_and_opened_like_any_other(stem, sections, tmp_path) -> None:
    other = with_settings(stem, {"sampler": "ancestral"})
    other.save(tmp_path / "run")
    assert np.array_equal(*(predict(one, sections[3], draws=2).draws for one in (other, load(tmp_path / "run"))))


def test_the_arrays_are_its_own(stem) -> None:
    before = {name: value.clone() for name, value in stem.model.arrays().items()}
    other = with_settings(stem, {"n_steps": 5})
    with torch.no_grad():
        for parameter in other.model.parameters():
            parameter.fill_(7)
    assert all(torch.equal(before[name], value) for name, value in stem.model.arrays().items())


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"width": 32}, "'width' of a trained 'stem' cannot change.*train again, or .*: sampler, n_steps, mirrored"),
        ({"precondition": False, "n_steps": 3}, "'precondition' .* cannot change"),
        ({"sampler": "euler"}, "sampler"),
        ({"stepps": 3}, "stepps"),
        ({"n_steps": 0}, "n_steps"),
    ],
)
def test_what_was_learned_cannot_change(stem, given: dict, says: str) -> None:
    with pytest.raises(EosinError, match=says):
        with_settings(stem, given)


def test_a_model_without_such_settings_says_so(sections) -> None:
    ridge = train(sections[:3], model="ridge", panel="var:4")
    assert with_settings(ridge, {}).model_settings == ridge.model_settings
    name, value = next((k, v) for k, v in ridge.model_settings.items() if isinstance(v, (int, float)) or v is None)
    with pytest.raises(EosinError, match="none of its settings"):
        with_settings(ridge, {name: 5 if value != 5 else 6})


def test_what_may_change_is_a_setting() -> None:
    for entry in map(MODELS.__getitem__, MODELS):
        assert set(entry.drawing) <= set(entry.settings.model_fields)


@pytest.mark.parametrize("model", [name for name in MODELS if MODELS[name].drawing])
def test_what_a_model_calls_a_setting_of_drawing_leaves_its_arrays_alone(sections, model: str) -> None:
    """Trained under another one, with a fixed number of epochs, the arrays come out the same."""
    preset = f"{model}:small" if "small" in MODELS[model].presets else model
    fixed = {"epochs": 1, "early_stopping": False, "regions_per_section": 1}
    small = STEM["model"] if model == "stem" else {}
    one = train(sections[:2], model=preset, settings={"train": fixed, "model": small}, panel="var:4")
    other = {"n_steps": 3, "sampler": {"stem": "ddim"}.get(model, "euler"), "mirrored": False}
    changed = {name: value for name, value in other.items() if name in MODELS[model].drawing}
    assert changed
    two = train(sections[:2], model=preset, settings={"train": fixed, "model": {**small, **changed}}, panel="var:4")
    theirs = two.model.arrays()
    assert all(torch.equal(value, theirs[name]) for name, value in one.model.arrays().items())
    assert np.array_equal(*(predict(each, sections[2], draws=2).draws for each in (with_settings(one, changed), two)))
