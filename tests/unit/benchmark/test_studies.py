from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import toy
from eosin.benchmark.studies import STUDIES, StudyCell, study_cells, varied
from eosin.benchmark.study_run import run_study
from eosin.data import splits
from eosin.engine import TrainSettings, resolve
from eosin.engine.epochs import SELECT, Progress
from eosin.errors import EosinError
from eosin.models import MODELS
from unit.benchmark.asking import bench


@pytest.mark.parametrize("name", STUDIES)
@pytest.mark.parametrize("preset", [None, "paper"])
def test_every_row_is_one_that_bench_can_run(name: str, preset: str | None) -> None:
    cells = study_cells(name, preset=preset)
    for cell in cells:
        resolve(cell.model, cell.settings)  # refuses an unknown model, preset, setting or value
    assert len({cell.label for cell in cells}) == len({cell.folder for cell in cells}) == len(cells)


@pytest.mark.parametrize("name", STUDIES)
def test_no_two_rows_are_the_same_run(name: str) -> None:
    # a row whose setting is the default's must not stand twice, or a study would compare a model with itself
    runs = set()
    for cell in study_cells(name):
        model, tables = resolve(cell.model, cell.settings)
        resolved = MODELS[model].settings.of(tables["model"]).model_dump(mode="json")
        runs.add(json.dumps([model, resolved, TrainSettings.of(tables["train"]).model_dump(), cell.genes, cell.draws]))
    assert len(runs) == len(study_cells(name))


@pytest.mark.parametrize("name", ["refinement-steps", "ablations", "denoisers", "draws", "samplers", "flag-ablations"])
def test_networks_that_are_compared_take_part_also_where_they_add_nothing(name: str) -> None:
    for cell in study_cells(name):
        settings = TrainSettings.of(resolve(cell.model, cell.settings)[1]["train"])
        progress = Progress(SELECT, settings.epochs)
        progress.note(0.9, settings.least_gain)
        progress.epoch = 1
        assert progress.note(-0.9, settings.least_gain) and progress.best_epoch == 1
        progress.epoch = 2
        assert not progress.note(-0.95, settings.least_gain) and progress.best_epoch == 1


def test_the_papers_values() -> None:
    steps = [cell.settings["model"]["n_steps"] for cell in study_cells("refinement-steps")]
    assert steps == [1, 2, 5, 10, 16]
    assert len(study_cells("zinb")) == 10
    assert {cell.genes for cell in study_cells("biomarkers")} == {"GATA3,ERBB2,UBE2C,VWF"}
    sizes = [cell.genes for cell in study_cells("panel-sizes", rule="var") if cell.model == "stem"]
    assert sizes == ["var:50", "var:100", "var:200", "var:300", "var:400", "var:1000"]


def test_a_preset_goes_to_the_models_that_have_it() -> None:
    assert {cell.model for cell in study_cells("denoisers", preset="small")} >= {"egnn:small", "e2cnn:small"}
    with pytest.raises(EosinError, match="no model of study 'priors' has a preset 'huge'"):
        study_cells("priors", preset="huge")


def test_an_unknown_study_is_one_line_with_near_names() -> None:
    with pytest.raises(EosinError, match="no study is called 'prior'; did you mean 'priors'"):
        study_cells("prior")
    with pytest.raises(EosinError, match="known: refinement-steps, priors"):
        study_cells("xyz")


def test_a_study_is_one_table_and_is_resumed(tmp_path: Path) -> None:
    sections = toy.cohort(30)
    made, ran = splits("A1,A2:B1", sections), []

    def run(cell: StudyCell, out: Path) -> dict[str, Any]:
        ran.append(cell.label)
        return bench(
            {"toy": sections},
            models=[cell.model, "gene-mean"],
            splits=made,
            genes=cell.genes or "var:4",
            tables={cell.model: cell.settings},
            out=out,
        )

    cells = [
        StudyCell("weak", "ridge", {"model": {"penalties": (0.01,)}}),
        StudyCell("strong", "ridge", {"model": {"penalties": (100.0,)}}),
    ]
    found = run_study("penalties", cells, run, tmp_path)
    assert [c["model"] for c in found["cells"]] == ["weak", "gene-mean", "strong"]
    by_label = {c["model"]: c for c in found["cells"]}
    assert by_label["weak"]["asked"] == "ridge"
    assert by_label["weak"]["metrics"]["mse"] != by_label["strong"]["metrics"]["mse"]
    assert json.loads((tmp_path / "scores.json").read_text()) == found
    assert found["varied"] == {"quantity": "the varied setting", "rows": {}}
    before = {p: p.stat().st_mtime_ns for p in tmp_path.glob("rows/*/cells/*")}
    assert run_study("penalties", cells, run, tmp_path) == found
    assert {p: p.stat().st_mtime_ns for p in tmp_path.glob("rows/*/cells/*")} == before
    sizes = [StudyCell(f"{g} genes", "ridge", {}, genes=f"var:{g}") for g in (3, 4)]
    of_sizes = run_study("sizes", sizes, run, tmp_path / "sizes")
    assert [c["model"] for c in of_sizes["cells"]] == ["3 genes", "gene-mean, var:3", "4 genes", "gene-mean, var:4"]


def test_every_study_says_what_it_varies() -> None:
    for name, study in STUDIES.items():
        stored = varied(name, study_cells(name))
        assert stored["quantity"] == study.varied != "the varied setting", name
        assert set(stored["rows"]) <= {cell.label for cell in study.cells}
    draws = varied("draws", study_cells("draws"))
    assert draws["rows"]["stem, 8 draws"] == {"line": "stem", "value": 8}
    prior = varied("zinb", study_cells("zinb"))
    assert prior["quantity"] == "mean of the prior"
    assert prior["rows"]["mean 0.2, dispersion 4.0"] == {"line": "dispersion 4.0", "value": 0.2}
    assert "empirical" not in prior["rows"]  # it stands by itself


def test_a_number_that_a_study_varies_is_the_one_of_its_settings() -> None:
    for label, row in varied("refinement-steps", study_cells("refinement-steps"))["rows"].items():
        assert label == f"S = {row['value']}"
    for cell in (*study_cells("refinement-steps"), *study_cells("samplers")):
        given = cell.settings["model"].get("n_steps")
        assert given is None or given == cell.value
    assert all(cell.draws == cell.value for cell in study_cells("draws"))
    assert all(cell.genes == f"hmhvg:{cell.value}" for cell in study_cells("panel-sizes"))
