from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from eosin.benchmark import efficiency
from eosin.benchmark.efficiency import Load, efficiency_rows, growth, measure_efficiency, scene
from eosin.benchmark.studies import STUDIES, StudyCell, study_cells
from eosin.errors import EosinError

FEW = Load(sizes=(40, 20), n_features=12, n_genes=4)
RIDGE = StudyCell("a ridge", "ridge", {})


def test_each_size_is_measured_apart_and_once(tmp_path: Path) -> None:
    found = measure_efficiency([RIDGE], tmp_path, FEW)
    assert [(c["n_spots"], c["status"]) for c in found["cells"]] == [(20, "done"), (40, "done")]
    assert all(c["seconds"] > 0 and c["cpu_seconds"] > 0 and c["n_parameters"] for c in found["cells"])
    assert json.loads((tmp_path / efficiency.FILE).read_text())["cells"] == found["cells"]
    again = measure_efficiency([RIDGE], tmp_path, replace(FEW, sizes=(20,)))  # seconds of a second run would differ
    assert again["cells"] == found["cells"][:1]
    assert len(json.loads((tmp_path / efficiency.FILE).read_text())["cells"]) == 2  # the other size is kept


def test_what_cannot_be_done_is_recorded_and_the_rest_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    odd = StudyCell("odd", "stflow", {"model": {"width": 10, "n_heads": 4}})  # found out only when it is built
    cells = measure_efficiency([odd, RIDGE], None, replace(FEW, sizes=(20, 40)))["cells"]
    assert [c["status"] for c in cells] == ["failed", "skipped", "done", "done"]
    assert "10" in cells[0]["error"] and "smaller size" in cells[1]["error"]
    monkeypatch.setattr("eosin.execution.processes._LOOK_S", 0.001)  # so small a ridge is soon trained
    full = measure_efficiency([RIDGE], None, replace(FEW, limit_gib=0.001))["cells"]
    assert [c["status"] for c in full] == ["failed", "skipped"] and full[0]["error"] == "over 0.001 GiB training"


def test_spots_of_a_measured_section_lie_on_a_square_lattice_and_counts_follow_features() -> None:
    made = scene(90, replace(FEW, n_features=20))
    own = np.round(made.spots.xy_um / 100)
    assert sorted(map(tuple, own)) == [(x, y) for x in range(10) for y in range(10) if y * 10 + x < 90]
    values, counts = np.asarray(made.need_features().values), np.log1p(np.asarray(made.counts.todense()))
    told = np.abs(np.corrcoef(values.T, counts.T)[:20, 20:])
    assert told[:8].max() > 0.3 and told[:8].mean() > 2 * told[8:].mean()  # by the first eight features only


def test_growth_is_the_exponent_between_the_largest_finished_sizes() -> None:
    def cells(*seconds: float | None) -> list[dict]:
        return [
            {"n_spots": 10 * 4**i, "status": "failed" if s is None else "done", "cpu_seconds": s}
            for i, s in enumerate(seconds)
        ]

    assert growth(cells(1, 4, 16), "cpu_seconds") == pytest.approx(1)
    assert growth(cells(1, 1, 16), "cpu_seconds") == pytest.approx(2)
    assert growth(cells(1, 8, None), "cpu_seconds") == pytest.approx(1.5)
    assert growth(cells(1, None, None), "cpu_seconds") is None


def test_rows_say_what_did_not_finish() -> None:
    done = {"label": "x", "status": "done", "n_spots": 1000, "cpu_seconds": 0.5, "mib": None}
    over = {"label": "x", "status": "failed", "n_spots": 2000, "error": "over 9 s predicting"}
    (row,) = efficiency_rows({"cells": [done, over]})
    assert row["1,000 spots: CPU s"] == "0.5" and row["1,000 spots: MiB"] == "-"
    assert row["2,000 spots: CPU s"] == "over 9 s predicting" and row["growth of time"] == "-"


def test_the_study_holds_every_model_that_sees_a_section() -> None:
    models = {cell.model for cell in study_cells("efficiency")}
    assert models >= {"stflow", "egnn", "e2cnn", "triplex", "histogene", "flag", "gigapath"}
    assert [name for name, study in STUDIES.items() if not study.needs_data] == ["efficiency"]


def test_no_size_is_an_error_and_scenes_are_repeatable() -> None:
    for load in (Load(sizes=()), Load(sizes=(0,)), Load(limit_s=0)):
        with pytest.raises(EosinError, match="must be positive"):
            measure_efficiency([RIDGE], None, load)
    one, other = scene(30, FEW), scene(30, FEW)
    assert one.fingerprint() == other.fingerprint() and len(one) == 30


def test_the_study_needs_no_data_and_the_others_say_that_they_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from eosin.api.study import study

    monkeypatch.setattr("eosin.benchmark.measure_efficiency", lambda cells, out: {"load": {}, "cells": list(cells)})
    assert study(None, "efficiency", out=tmp_path)["cells"] == list(study_cells("efficiency"))
    with pytest.raises(EosinError, match="'priors' needs measured sections; eosin study priors DATA"):
        study(None, "priors", out=tmp_path)
