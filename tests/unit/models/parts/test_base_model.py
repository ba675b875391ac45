"""The base beneath a learned model: any closed-form model that predicts out of fold, made in one place."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import numpy as np
import pytest
import torch

import eosin.models.parts
import toy
from eosin.errors import EosinError
from eosin.models import MODELS, Learned, ModelEntry, Solved
from eosin.models.kernel import Kernel
from eosin.models.parts import on_base
from eosin.models.parts.base_model import BaseModel, base_of
from eosin.models.parts.patients import within_sections
from eosin.models.ridge import Ridge, RidgeSettings

ON_BASE = ["stflow", "egnn", "e2cnn", "histogene", "triplex", "stem", "flag"]


class Constant(Solved):
    """A base as a plug-in would write it: the mean of the training spots, out of fold that of the other groups."""

    def __init__(self, settings, n_features, panel):
        self.mean = torch.zeros(len(panel))

    def solve(self, training):
        self.mean = torch.from_numpy(training.target.mean(0))

    def predict(self, batch):
        return np.tile(self.mean.numpy(), (len(batch), 1))

    def out_of_fold(self, training):
        means = [training.target[training.groups != group].mean(0) for group in training.groups]
        return np.stack(means)

    def draw(self, context, n_draws, rng):
        return torch.from_numpy(self.predict(context))[None]

    def arrays(self):
        return {"mean": self.mean}

    def load_arrays(self, arrays):
        self.mean = arrays["mean"]

    @property
    def n_parameters(self):
        return len(self.mean)


@pytest.fixture
def constant(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setitem(MODELS._known, "constant", ModelEntry(Constant, RidgeSettings, "a constant", "none"))
    return "constant"


@pytest.mark.parametrize(("given", "kind"), [("kernel", Kernel), ("ridge", Ridge), (True, Ridge)])
def test_a_base_by_name_where_true_of_older_files_is_the_ridge(given: object, kind: type) -> None:
    training = toy.training(12)
    assert type(toy.made("histogene", training, base=given).base) is kind


@pytest.mark.parametrize("given", [False, None, "none"])
def test_no_base(given: object) -> None:
    assert toy.made("histogene", toy.training(12), base=given).base is None
    assert base_of("none", 5, toy.training(12).panel) is None


def test_an_unknown_base_is_refused_where_settings_are_read() -> None:
    for name in ("rigde", "stflow-2"):
        with pytest.raises(EosinError, match=f"no base is called '{name}'"):
            MODELS["stflow"].settings.of({"base": name})


def test_any_registered_model_that_predicts_out_of_fold_can_be_a_base(constant: str) -> None:
    base = base_of(constant, 5, toy.training(12).panel)
    assert isinstance(base, Constant) and isinstance(base, BaseModel)


def test_a_model_without_predictions_out_of_fold_is_refused(constant: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # A class of its own, as Python keeps which classes have all that a protocol asks for.
    left_out = ("out_of_fold", "__dict__", "__weakref__")
    own = {name: value for name, value in vars(Constant).items() if name not in left_out}
    lacking = type("Lacking", (Solved,), own)
    monkeypatch.setitem(MODELS._known, "constant", ModelEntry(lacking, RidgeSettings, "a constant", "none"))
    with pytest.raises(EosinError, match="'constant' cannot be a base"):
        base_of(constant, 5, toy.training(12).panel)
    with pytest.raises(EosinError, match="no model is called 'rigde'"):
        base_of("rigde", 5, toy.training(12).panel)


def test_a_learned_model_starts_from_whatever_base_it_has(constant: str) -> None:
    """Untrained, it draws the base's prediction, and its arrays hold the base's."""
    training = toy.training(30)
    model = toy.made("histogene", training, standardise=False, base=constant).eval()
    assert isinstance(model, Learned) and model.starts_from_base
    model.observe(training)
    assert np.allclose(toy.point(model, training.batch), training.target.mean(0), atol=1e-5)
    seen = model.prepare(training.batch).base.numpy()
    missed = training.target - model.base.out_of_fold(training)  # the level of a section is left to the base
    expected = training.target - within_sections(missed, training.batch.part_of_spot())
    assert np.allclose(seen, expected, atol=1e-5)
    assert torch.equal(model.arrays()["base.mean"], model.base.mean)


@pytest.mark.parametrize("name", ON_BASE)
def test_the_arrays_of_the_base_are_called_what_they_were(name: str) -> None:
    names = set(toy.made(name, toy.training(12), base="ridge").arrays())
    assert {"base.weight", "base.intercept", "base.chosen", "inputs.shift", "inputs.scale", "scale.mean"} <= names


@pytest.mark.parametrize("name", ON_BASE)
def test_one_record_holds_what_all_models_on_a_base_can_be_set_to(name: str) -> None:
    fields = MODELS[name].settings.model_fields
    assert {"n_components", "standardise", "base"} <= set(fields)
    assert fields["base"].default == "kernel"


def test_parts_import_no_model() -> None:
    files = sorted(Path(eosin.models.parts.__file__).parent.glob("*.py"))
    for file in files:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            module = getattr(node, "module", None) or ""
            assert not re.match(r"eosin\.models(?!\.base$|\.parts\b)", module), f"{file.name}: {module}"
    assert len(files) > 10


@pytest.mark.parametrize("base", ["ridge", "kernel"])
def test_what_a_base_leaves_over_is_the_same_some_spots_at_a_time(base: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks end inside sections, where smoothing looks beyond them."""
    training = toy.training(40)
    given = {"n_exact": 50, "n_landmarks": 40, "registration": False} if base == "kernel" else {}

    def left_over() -> tuple[np.ndarray, np.ndarray]:
        model = toy.made("egnn", training, base=base)
        model.base = toy.made(base, training, smoothing=(0.5,), **given)
        return np.array(model._solve_base(training)), np.array(model._out_of_fold)

    whole = left_over()
    monkeypatch.setattr(on_base, "_PREDICTED_AT_ONCE", 33 * training.target.shape[1])
    for one, other in zip(whole, left_over()):
        np.testing.assert_allclose(one, other, atol=2e-6)
