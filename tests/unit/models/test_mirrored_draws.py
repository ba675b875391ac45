"""A model says whether its draws are mirrored, and a prediction of it says so, too."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

import toy
from eosin import engine
from eosin.types import Prediction


@pytest.mark.parametrize(
    ("name", "settings", "expected"),
    [
        ("stflow", {}, True),
        ("stflow", {"prior": "gaussian"}, False),
        ("stflow", {"prior": "zinb"}, False),
        ("egnn", {}, True),
        ("stem", {}, True),
        ("stem", {"mirrored": False}, False),
        ("stem", {"sampler": "ancestral"}, False),  # its own noise at every step leaves nothing of the start's
        ("stem", {"sampler": "ddim"}, True),
        ("flag", {}, True),
        ("flag", {"mirrored": False}, False),
        ("ridge", {}, False),
    ],
)
def test_a_model_knows_whether_its_draws_are_mirrored(name: str, settings: dict[str, Any], *, expected: bool) -> None:
    assert toy.made(name, toy.training(20), **settings).mirrored is expected


def test_a_prediction_of_a_flow_has_pairs_around_one_centre() -> None:
    sections = toy.cohort(30)
    trained = engine.train(sections[:3], model="stflow", panel="var:4", settings={"train": {"epochs": 1}})
    own = replace(trained, errors=None)  # levels of the slide on top are drawn one by one
    predicted: Prediction = engine.predict(own, sections[3], draws=20)
    assert predicted.mirrored and not engine.predict(trained, sections[3], draws=20).mirrored
    centres = (predicted.draws[0::2] + predicted.draws[1::2]) / 2  # [pairs s g]
    assert centres.std(0).max() < 0.05 * predicted.sd.mean()
