"""What a grid would cost is told without doing it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import toy
from eosin.benchmark.estimate import Calibration
from eosin.data import splits
from eosin.types import Section
from unit.benchmark.asking import bench

# A kernel base has a number for each training spot, and a plan is told by a short run on few.
SMALL = {"stflow": {"model": {"n_layers": 1, "width": 16, "edge_width": 16, "base": "ridge"}, "train": {"epochs": 3}}}


@pytest.fixture(scope="module")
def sections() -> list[Section]:
    return toy.cohort(30)


def run(sections: list[Section], out: Path, **given: Any) -> dict[str, Any]:
    given = {"models": ["ridge", "stflow"], "tables": SMALL, "genes": "var:4", "draws": 2, **given}
    return bench({"toy": sections}, splits=splits("A1,A2:B1", sections), out=out, **given)


def test_every_cell_is_listed_and_nothing_is_written(sections: list[Section], tmp_path: Path) -> None:
    told = run(sections, tmp_path / "out", dry_run=True, seeds=2)
    assert told["cells"] == [] and not (tmp_path / "out").exists()
    plan = told["plan"]
    assert [(line["model"], line["seed"]) for line in plan] == [
        ("ridge", 0),
        ("ridge", 1),
        ("stflow", 0),
        ("stflow", 1),
    ]
    assert all(line["seconds"] > 0 and line["state"] == "to run" for line in plan)
    assert all((line["training spots"], line["test spots"]) == (60, 30) for line in plan)
    cells = run(sections, tmp_path / "out")["cells"]
    assert [plan[0]["parameters"], plan[2]["parameters"]] == [cell["n_parameters"] for cell in cells]


def test_what_is_done_costs_nothing(sections: list[Section], tmp_path: Path) -> None:
    run(sections, tmp_path, models=["ridge"], tables=None)
    plan = run(sections, tmp_path, dry_run=True)["plan"]
    assert [line["state"] for line in plan] == ["done, not run again", "to run"]
    assert plan[0]["seconds"] == 0


def test_a_model_that_cannot_be_calibrated_is_told(
    sections: list[Section], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from eosin.errors import EosinError
    from eosin.models.ridge import Ridge

    def refuse(self: Ridge, training: object) -> None:
        raise EosinError("not today")

    monkeypatch.setattr(Ridge, "solve", refuse)
    (line,) = run(sections, tmp_path, models=["ridge"], tables=None, dry_run=True)["plan"]
    assert line["state"] == "cannot be told: not today" and line["seconds"] is None


def test_time_grows_with_epochs_spots_and_draws() -> None:
    known = Calibration(1, 100, 10, 1.0, 2.0, 0.5, None)
    assert known.seconds(100, 100, 1) == pytest.approx(21.5)
    assert known.seconds(200, 100, 1) == pytest.approx(42.5)
    assert known.seconds(100, 100, 3) == pytest.approx(22.5)
