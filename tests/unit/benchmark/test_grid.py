from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import toy
from eosin.benchmark import cell, measure, plan
from eosin.data import splits
from eosin.errors import EosinError
from eosin.execution import Execution, Here
from eosin.metrics.gene_lists import GeneLists
from eosin.types import Prediction, Section
from unit.benchmark.asking import bench

Cells = list[dict[str, Any]]


@pytest.fixture(scope="module")
def sections() -> list[Section]:
    return toy.cohort(30)


def run(sections: list[Section], out: Path, **given: Any) -> Cells:
    given = {"models": ["gene-mean", "ridge"], "genes": "var:4", "draws": 2, **given}
    rule = given.pop("split", "A1,A2:B1;A1,B1:B2")
    return bench({"toy": sections}, splits=splits(rule, sections), out=out, **given)["cells"]


@pytest.fixture(scope="module")
def finished(sections: list[Section], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Cells]:
    """The folder of a grid of four cells, and the cells: computed once."""
    out = tmp_path_factory.mktemp("grid") / "out"
    return out, run(sections, out)


@pytest.fixture
def done(finished: tuple[Path, Cells], tmp_path: Path) -> Path:
    """A copy of the finished grid that a test may change."""
    return Path(shutil.copytree(finished[0], tmp_path, dirs_exist_ok=True))


def times(out: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in (out / "cells").iterdir()}


def test_a_cell_is_what_the_verbs_give(sections: list[Section], tmp_path: Path) -> None:
    from eosin.engine import predict, train
    from eosin.scores.scoring import score

    cells = run(sections, tmp_path, seeds=2)
    assert [(c["model"], c["split"], c["seed"]) for c in cells][:4] == [
        ("gene-mean", "A1,A2:B1", 0),
        ("gene-mean", "A1,A2:B1", 1),
        ("ridge", "A1,A2:B1", 0),
        ("ridge", "A1,A2:B1", 1),
    ]
    trained = train(sections[:2], model="ridge", panel="var:4", seed=1)
    known = score(predict(trained, sections[2], draws=2, seed=1), sections[2])
    assert cells[3]["metrics"] == known
    assert cells[3]["panel"] == list(trained.panel.names)
    assert json.loads((tmp_path / "scores.json").read_text())["cells"] == cells


class StopsAfterTwo(Execution):
    def map(self, jobs: Sequence[Any], *, label: str = "", unit: str = "jobs") -> Any:
        yield from Here().map(jobs[:2])
        raise KeyboardInterrupt


def test_scores_are_written_after_every_cell(sections: list[Section], tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(sections, tmp_path, execution=StopsAfterTwo())
    assert len(json.loads((tmp_path / "scores.json").read_text())["cells"]) == 2
    before = times(tmp_path)
    assert len(run(sections, tmp_path)) == 4
    after = times(tmp_path)
    assert len(after) == 4 and all(after[name] == before[name] for name in before)


class BackToFront(Execution):
    def map(self, jobs: Sequence[Any], *, label: str = "", unit: str = "jobs") -> Any:
        for index, outcome in Here().map(jobs[::-1]):
            yield len(jobs) - 1 - index, outcome


def test_scores_stand_in_the_order_of_the_grid_however_cells_end(
    sections: list[Section], tmp_path: Path, finished: tuple[Path, Cells]
) -> None:
    cells, forth = run(sections, tmp_path, execution=BackToFront()), finished[1]
    assert [cell["key"] for cell in cells] == [cell["key"] for cell in forth]
    assert [cell["metrics"] for cell in cells] == [cell["metrics"] for cell in forth]


CHANGES: dict[str, dict[str, Any]] = {
    "draws": {"draws": 3},
    "genes": {"genes": "var:3"},
    "transform": {"transform": "log2p1"},
    "settings": {"tables": {"ridge": {"model": {"n_components": 2}}, "gene-mean": {"train": {"epochs": 3}}}},
}


@pytest.mark.parametrize("change", CHANGES)
def test_another_question_is_computed_anew(sections: list[Section], done: Path, change: str) -> None:
    before = times(done)
    run(sections, done, **CHANGES[change])
    after = times(done)
    assert set(after) == set(before) and all(after[name] != before[name] for name in before)


def test_other_data_or_versions_are_computed_anew(
    sections: list[Section], done: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = times(done)
    assert sections[3].counts is not None
    changed = [*sections[:3], replace(sections[3], counts=sections[3].counts * 2)]  # B2: tested on in one split only
    run(changed, done)
    after = times(done)
    assert {name for name in before if after[name] != before[name]} == {name for name in before if "B1-B2" in name}
    monkeypatch.setattr(plan, "versions", lambda: {"eosin": "9"})
    run(changed, done)
    assert all(times(done)[name] != after[name] for name in after)


def test_a_damaged_cell_file_is_named(sections: list[Section], done: Path) -> None:
    file = next((done / "cells").glob("ridge*"))
    file.write_text(file.read_text()[:50])
    with pytest.raises(EosinError, match=file.name):
        run(sections, done)


def test_a_second_grid_in_the_same_folder_holds_its_own_cells(sections: list[Section], done: Path) -> None:
    before = times(done)
    cells = run(sections, done, models=["ridge"], split="A1,A2:B1")
    assert len(cells) == 1
    assert times(done) == before


def test_names_that_differ_in_signs_only_have_files_of_their_own(sections: list[Section]) -> None:
    one, other = splits("A1,A2:B1;A1:A2", sections)
    stems = {
        cell.Cell(model, "e", split, 0).stem
        for split in (one, other, replace(one, name="A1-A2:B1"))
        for model in ("stflow:paper", "stflow-paper")
    }
    assert len(stems) == 6
    assert all(set(stem) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") for stem in stems)


def test_a_failing_model_is_recorded_and_the_others_go_on(
    sections: list[Section], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = measure.train

    def refuse(*given: Any, **named: Any) -> Any:
        if named["model"] == "gene-mean":
            raise EosinError("not today", fix="try tomorrow")
        return original(*given, **named)

    with monkeypatch.context() as patch:
        patch.setattr(measure, "train", refuse)
        cells = run(sections, tmp_path, split="A1,A2:B1")
    assert [(c["status"], c.get("error")) for c in cells] == [("failed", "not today; try tomorrow"), ("done", None)]
    assert cells[0]["metrics"] == {}
    assert [c["status"] for c in run(sections, tmp_path, split="A1,A2:B1")] == ["done", "done"]


def test_kept_predictions_are_those_that_were_scored(sections: list[Section], tmp_path: Path) -> None:
    kept: dict[str, Prediction] = {}

    def save(prediction: Prediction, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
        kept[str(path.relative_to(tmp_path))] = prediction

    cells = run(sections, tmp_path, models=["ridge"], split="A1,A2:B1,B2", save=save)
    assert sorted(Path(name).name for name in kept) == ["B1.h5ad", "B2.h5ad"]
    from eosin.scores.scoring import score

    assert score(list(kept.values()), sections) == cells[0]["metrics"]
    kept.clear()
    lost = next((tmp_path / "predictions").rglob("B1.h5ad"))
    lost.unlink()
    run(sections, tmp_path, models=["ridge"], split="A1,A2:B1,B2", save=save)
    assert len(kept) == 2  # a cell whose prediction is gone is made again


def test_the_panel_is_chosen_on_training_sections_only(sections: list[Section], tmp_path: Path) -> None:
    """A gene that is wild in the test section alone must not enter."""
    cells = run(sections, tmp_path, models=["gene-mean"], split="A1,A2:B1", genes="var:3")
    quiet = sorted({g for s in sections for g in s.genes or ()} - set(cells[0]["panel"]))[0]
    judged = sections[2]
    assert judged.counts is not None and judged.genes is not None
    counts = judged.counts.toarray()
    counts[:, judged.genes.index(quiet)] = np.random.default_rng(0).integers(0, 10_000, len(judged))
    wild = [*sections[:2], replace(judged, counts=counts), sections[3]]
    again = run(wild, tmp_path, models=["gene-mean"], split="A1,A2:B1", genes="var:3")
    assert again[0]["panel"] == cells[0]["panel"]


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"models": ["ridge", "rigde"]}, "did you mean 'ridge'"),
        ({"tables": {"stflow": {}}}, "settings for 'stflow', which is not in the grid"),
        ({"tables": {"ridge": {"train": {"epoch": 1}, "modell": {}}}}, "unknown settings table 'modell'"),
        ({"tables": {"ridge": {"model": {"n_component": 1}}}}, "did you mean 'n_components'"),
        ({"seeds": 0}, "0 seeds are asked for"),
        ({"draws": 0}, "0 draws are asked for"),
    ],
)
def test_a_grid_that_cannot_be_is_refused_before_any_work(
    sections: list[Section], tmp_path: Path, given: dict[str, Any], says: str
) -> None:
    with pytest.raises(EosinError, match=says):
        run(sections, tmp_path / "out", **given)
    assert not (tmp_path / "out").exists()


def test_a_copy_of_a_training_section_is_a_leak(sections: list[Section], tmp_path: Path) -> None:
    """The same spots under another name."""
    twin = replace(sections[0], name="Z9", patient="Z")
    with pytest.raises(EosinError, match=r"leaks: .*'Z9' have the same counts"):
        run([*sections, twin], tmp_path / "out", split="A1:Z9")


def test_named_genes_and_sets_are_scored_and_are_another_question(sections: list[Section], tmp_path: Path) -> None:
    plain = run(sections, tmp_path, models=["gene-mean"], split="A1,A2:B1", genes="GENE1,GENE2,GENE3,GENE4")
    lists = GeneLists.of(["GENE2", "ABSENT"], {"P": ("GENE1", "GENE2", "GENE3")})
    given = {"models": ["gene-mean"], "split": "A1,A2:B1", "genes": "GENE1,GENE2,GENE3,GENE4", "lists": lists}
    (named,) = run(sections, tmp_path, **given)
    assert list(named["metrics"]["biomarkers"]["pcc"]) == ["GENE2"]
    assert named["metrics"]["biomarkers"]["missing"] == ["ABSENT"]
    assert list(named["metrics"]["pathways"]["sets"]) == ["P"]
    assert named["lists"]["biomarkers"] == ["GENE2", "ABSENT"] and named["lists"]["pathways"] == 1
    assert "lists" not in plain[0] and named["key"] != plain[0]["key"]
    other = GeneLists.of(["GENE2", "ABSENT"], {"P": ("GENE1", "GENE2", "GENE4")})
    assert run(sections, tmp_path, **{**given, "lists": other})[0]["key"] != named["key"]


def test_a_kept_prediction_says_which_split_it_is_of(sections: list[Section], tmp_path: Path) -> None:
    kept: list[Prediction] = []
    run(
        sections,
        tmp_path,
        models=["gene-mean"],
        split="A1,B1:A2",
        save=lambda prediction, _: kept.append(prediction),
    )
    assert kept[0].provenance["benchmark"] == {"split": "A1,B1:A2", "note": "same-patient"}
    assert kept[0].provenance["trained_on"] == ["A1", "B1"]
