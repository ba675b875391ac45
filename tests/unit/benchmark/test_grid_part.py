"""Parts of a grid or study into one folder: together they are the whole, whichever ends last."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import toy
from eosin import benchmark
from eosin.benchmark.grid_part import part_of
from eosin.benchmark.plan import Plan
from eosin.benchmark.studies import StudyCell
from eosin.data import splits
from eosin.execution import Here
from eosin.shard import Shard
from eosin.types import Section

N = 3
TIMES = {"seconds", "seconds_train", "inference", "training"}


@pytest.fixture(scope="module")
def sections() -> list[Section]:
    return toy.cohort(30)


def planned(sections: list[Section], out: Path, models: tuple[str, ...] = ("gene-mean", "ridge", "knn")) -> Plan:
    asked = benchmark.GridSettings(genes="var:4", draws=2)
    known = splits("A1,A2:B1;A1,B1:B2", sections)
    return benchmark.prepare({"toy": sections}, models, known, asked, None, out, None)


def numbers(scores: dict[str, Any]) -> list[dict[str, Any]]:
    return [{key: value for key, value in cell.items() if key not in TIMES} for cell in scores["cells"]]


def test_parts_make_the_whole_grid_and_the_last_one_compares(sections: list[Section], tmp_path: Path) -> None:
    whole = benchmark.run(planned(sections, tmp_path / "whole"), Here())
    plan = planned(sections, tmp_path / "parts")
    done: list[int] = []
    for i in (2, 1, 3):
        own, shard = part_of(plan, Shard(i, N)), Shard(i, N)
        scores = benchmark.run_part(plan, Here(), shard, ["a remark"])
        done += own
        assert len(scores["cells"]) == len(done) and len(scores.get("missing", ())) == 6 - len(done)
        assert json.loads((plan.out / "scores.json").read_text()) == scores
        if len(done) < 6:
            assert scores["comparisons"] == [] and "cells are not there yet" in scores["remarks"][-1]
    assert sorted(done) == list(range(6))
    assert numbers(scores) == numbers(whole) and scores["comparisons"] == whole["comparisons"]
    assert set(scores) == set(whole) and scores["remarks"] == ["a remark"]
    assert not list(plan.out.glob("*.lock"))


def test_a_call_without_a_part_makes_the_whole_of_what_parts_left(sections: list[Section], tmp_path: Path) -> None:
    plan = planned(sections, tmp_path)
    benchmark.run_part(plan, Here(), Shard(1, 2), [])
    before = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "cells").iterdir()}
    scores = benchmark.run(plan, Here())
    assert len(scores["cells"]) == 6 and "missing" not in scores
    after = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "cells").iterdir()}
    assert {name: after[name] for name in before} == before


def test_a_part_goes_on_and_takes_no_cell_of_another_question(sections: list[Section], tmp_path: Path) -> None:
    plan = planned(sections, tmp_path)
    first = benchmark.run_part(plan, Here(), Shard(1, 2), [])
    times = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "cells").iterdir()}
    assert benchmark.run_part(plan, Here(), Shard(1, 2), []) == first
    assert {path.name: path.stat().st_mtime_ns for path in (tmp_path / "cells").iterdir()} == times
    asked = benchmark.GridSettings(genes="var:5", draws=2)
    known = splits("A1,A2:B1;A1,B1:B2", sections)
    other = benchmark.prepare({"toy": sections}, ("gene-mean", "ridge", "knn"), known, asked, None, tmp_path, None)
    assert len(benchmark.run_part(other, Here(), Shard(2, 2), [])["missing"]) == 3


def test_a_failed_cell_is_there_and_is_tried_again(
    sections: list[Section], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = planned(sections, tmp_path)

    def broken(job: Any) -> dict[str, Any]:
        raise RuntimeError("broken")

    with monkeypatch.context() as patched:
        patched.setattr("eosin.benchmark.measure.measure", broken)
        benchmark.run_part(plan, Here(), Shard(1, 2), [])
    scores = benchmark.run_part(plan, Here(), Shard(2, 2), [])
    assert "missing" not in scores and [c["status"] for c in scores["cells"]].count("failed") == 3
    mended = benchmark.run_part(plan, Here(), Shard(1, 2), [])
    assert {cell["status"] for cell in mended["cells"]} == {"done"}


def test_cells_of_one_model_do_not_fall_to_one_part(sections: list[Section], tmp_path: Path) -> None:
    plan = planned(sections, tmp_path)
    models = [{plan.cells[place].model for place in part_of(plan, Shard(i, N))} for i in range(1, N + 1)]
    assert any(len(of_part) > 1 for of_part in models)


def test_parts_make_a_study(sections: list[Section], tmp_path: Path) -> None:
    rows = tuple(StudyCell(f"{n} neighbours", "knn", {"model": {"n_neighbours": (n,)}}, value=n) for n in (2, 3, 4))

    def run_as(shard: Shard | None) -> Any:
        def run(cell: StudyCell, folder: Path) -> dict[str, Any]:
            asked = benchmark.GridSettings(genes="var:4", draws=2)
            tables = {cell.model: {k: dict(v) for k, v in cell.settings.items()}}
            known = splits("A1,A2:B1", sections)
            plan = benchmark.prepare({"toy": sections}, ["knn", "ridge"], known, asked, tables, folder, None)
            if shard is None:
                return benchmark.run(plan, Here())
            return benchmark.run_part(plan, Here(), shard.turned(rows.index(cell)), [])

        return run

    whole = benchmark.run_study("few", rows, run_as(None), tmp_path / "whole")
    parts = [
        benchmark.run_study("few", rows, run_as(Shard(i, 2)), tmp_path / "parts", of_all_parts=True) for i in (2, 1)
    ]
    assert "missing" in parts[0] and parts[0]["remarks"]
    assert numbers(parts[1]) == numbers(whole) and set(parts[1]) == set(whole)
    assert json.loads((tmp_path / "parts" / "scores.json").read_text()) == parts[1]
