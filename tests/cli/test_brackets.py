"""Paths and names with brackets are printed as they are, by every command that prints one, and in errors."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from cli.conftest import ENCODER, Ground, Run
from eosin.data import read_prediction, write_prediction

NASTY = Path("[old]") / "[/b]" / "[red]x"
"""Words that rich would take for markup: it swallows the first, fails on the second and colours after the third."""


@pytest.fixture
def nasty(ground: Ground) -> Path:
    """A folder of such a name with the cohort, its features and a prediction in it."""
    shutil.copytree(ground.data, NASTY / "data")
    shutil.copytree(ground.features, NASTY / "features")
    shutil.copy(ground.prediction, NASTY / "A1.h5ad")
    return NASTY


def test_every_command_prints_such_a_path_whole(eosin: Run, nasty: Path, caplog: pytest.LogCaptureFixture) -> None:
    data, run = nasty / "data", nasty / "run"
    beside = ("--features", nasty / "features", "--encoder", ENCODER)
    commands = [
        ("info", data),
        ("encode", data, "-o", nasty / "features", "--encoder", ENCODER),
        ("train", data, "--model", "ridge", "--genes", "var:2", *beside, "-o", run),
        ("predict", run, data, "--section", "A1", "--features", nasty / "features", "-o", nasty / "P.h5ad"),
        ("tissue", data / "images" / "A1.jpg", "--mpp", 2, "-o", nasty / "m.geojson"),
        ("report", nasty / "A1.h5ad", "--truth", data, "-o", nasty / "r.html"),
        ("export", nasty / "A1.h5ad", "-o", nasty / "a.csv"),
        ("bench", data, "--models", "ridge", "--genes", "var:2", "--split", "A1:B1", *beside, "-o", nasty / "grid"),
    ]
    for command in commands:
        done = eosin(*command)
        assert done.code == 0, (command[0], done.err)
        assert str(nasty) in done.out, command[0]


def test_a_page_shows_such_a_name_whole(eosin: Run, ground: Ground) -> None:
    write_prediction(replace(read_prediction(ground.prediction), section="[/b] & [red]x"), "p.h5ad")
    assert eosin("report", "p.h5ad", "-o", "r.html").code == 0
    assert "[/b] &amp; [red]x" in Path("r.html").read_text()


def test_errors_print_such_a_path_whole(eosin: Run, ground: Ground) -> None:
    NASTY.mkdir(parents=True)
    (NASTY / "empty.h5ad").write_bytes(b"no file")
    for command in (
        ("info", NASTY / "absent"),
        ("info", NASTY),
        ("info", NASTY / "empty.h5ad"),
        ("encode", NASTY),
        ("train", NASTY, "-o", "run"),
        ("predict", NASTY, ground.data, "-o", "p.h5ad"),
        ("predict", ground.ridge, NASTY / "absent", "-o", "p.h5ad"),
        ("score", ground.prediction, NASTY),
        ("report", NASTY / "absent", "-o", "r.html"),
        ("export", NASTY / "empty.h5ad", "-o", "a.csv"),
        ("bench", NASTY, "-o", "grid"),
    ):
        assert str(NASTY) in eosin(*command).complaint


@pytest.mark.parametrize("word", ["[old]", "[/b]", "[red]x"])
def test_wrong_usage_prints_words_as_they_are(eosin: Run, word: str) -> None:
    for line in (("predict", "run", "data", "-o", "p", "--draws", word), ("info", "a", word), (word,)):
        done = eosin(*line)
        assert done.code == 2 and word in done.err + done.out, line


def test_names_of_readers_show_what_they_look_for(eosin: Run) -> None:
    assert "[outs/]filtered_feature_bc_matrix.h5" in eosin("list", "readers").out
