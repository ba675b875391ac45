"""Sections whose units are of another size than those of training are told; others are not."""

from __future__ import annotations

import logging
from dataclasses import replace

import numpy as np
import pytest

import toy
from eosin.engine import load, predict, train
from eosin.engine.units import other_units, units_of
from eosin.types import Footprints, Section, Spots


def of_width(width_um: float, *, cells: bool = False) -> Section:
    section = toy.section("B1", 30)
    area = np.full(30, np.pi * width_um**2 / 4)
    spots = Spots(section.spots.xy_um, width_um, section.spots.ids, Footprints(area) if cells else None)
    return replace(section, spots=spots)


def test_widths_are_compared_not_names() -> None:
    trained_on = [{"name": "A1", **units_of(of_width(9.0, cells=True))}]
    assert other_units(of_width(10.0, cells=True), trained_on) is None
    assert other_units(of_width(10.0), trained_on) is None  # places of cells that another tool found
    assert other_units(of_width(100.0), trained_on) == (
        "spots of 100 µm, where the model learned cells of 9 µm: it predicts counts of those"
    )
    both = [*trained_on, {"name": "A2", **units_of(of_width(100.0))}]
    assert other_units(of_width(100.0), both) is None
    assert other_units(of_width(100.0), [{"name": "A1"}]) is None  # a checkpoint of before


def test_a_prediction_says_it(tmp_path, caplog: pytest.LogCaptureFixture) -> None:
    train([toy.section("A1"), toy.section("A2")], model="ridge", panel="var:4", out=tmp_path / "run")
    trained = load(tmp_path / "run")
    with caplog.at_level(logging.WARNING, logger="eosin"):
        like = predict(trained, of_width(100.0))
        assert not caplog.records and "units" not in like.provenance.get("remarks", {})
        cells = predict(trained, of_width(9.0, cells=True))
    assert cells.provenance["remarks"]["units"].startswith("cells of 9 µm, where the model learned spots of 100 µm")
    assert [record.levelname for record in caplog.records if "units" in record.getMessage()] == ["WARNING"]
