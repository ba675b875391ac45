"""The commands beside the main job, as a user runs them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cli.conftest import Ground, Run
from eosin.data import read_prediction


@pytest.mark.parametrize("verb", ["export", "fetch", "doctor"])
def test_every_verb_has_help_with_its_first_sentence(eosin: Run, verb: str) -> None:
    said = eosin(verb, "--help")
    assert said.code == 0 and "Usage" in said.out and len(said.out.splitlines()) > 5


def test_a_prediction_for_qupath(eosin: Run, ground: Ground) -> None:
    one = read_prediction(ground.prediction)
    gene = one.panel.names[2]
    said = eosin("export", ground.prediction, "-o", "A1.geojson", "--genes", gene, "--layers", "mean,q95")
    assert said.code == 0 and said.out == "A1.geojson written\n"
    features = json.loads(Path("A1.geojson").read_text())["features"]
    assert [feature["properties"]["name"] for feature in features] == list(one.spots.ids)
    assert set(features[0]["properties"]["measurements"]) == {gene, f"{gene}_q95"}


def test_features_as_a_table(eosin: Run, ground: Ground) -> None:
    file = next(ground.features.rglob("A1.h5"))
    assert eosin("export", file, "-o", "A1.csv").code == 0
    assert Path("A1.csv").read_text().startswith("spot,x_um,y_um,f0,f1,")


def test_what_cannot_be_exported_is_one_line(eosin: Run, ground: Ground, tmp_path: Path) -> None:
    assert "names no format" in eosin("export", ground.prediction, "-o", "A1.docx").complaint
    assert "was not predicted" in eosin("export", ground.prediction, "-o", "A1.csv", "--genes", "NOPE").complaint
    assert "no such file" in eosin("export", "gone.h5ad", "-o", "A1.csv").complaint
    assert list(tmp_path.iterdir()) == []


def test_doctor_as_table_and_as_json(eosin: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "opens a TIFF" in eosin("doctor").out
    found = json.loads(eosin("doctor", "--json").out)
    assert {"check", "state", "found", "fix"} == set(found[0])
    monkeypatch.setitem(__import__("sys").modules, "numba", None)
    said = eosin("doctor", "--compute")
    assert said.code == 1 and "checks fail: numba; pip install" in said.complaint
