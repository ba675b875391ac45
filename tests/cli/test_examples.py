"""The examples in the documentation of the verbs: each is run, as it stands there."""

from __future__ import annotations

import doctest
import inspect
from dataclasses import replace
from pathlib import Path

import pytest

import eosin
from cli.conftest import Ground

VERBS = ("encode", "read", "train", "predict", "score", "report", "bench", "study", "info", "tissue")
"""In this order: what the first write, the later ones read."""


@pytest.fixture
def short_study(monkeypatch: pytest.MonkeyPatch) -> None:
    """The study of the example, with rows that train for one epoch, on the ridge."""
    from eosin.benchmark.studies import STUDIES

    study = STUDIES["denoisers"]
    short = {"train": {"epochs": 1}, "model": {"base": "ridge"}}
    cells = tuple(replace(cell, settings=short) for cell in study.cells)
    monkeypatch.setattr("eosin.benchmark.studies.STUDIES", {**STUDIES, "denoisers": replace(study, cells=cells)})


@pytest.mark.usefixtures("short_study")
def test_the_examples_of_the_verbs_do_what_they_say(ground: Ground, tmp_path: Path) -> None:
    (tmp_path / "data").symlink_to(ground.data)
    runner, written = doctest.DocTestRunner(), []
    for verb in VERBS:
        example = doctest.DocTestParser().get_doctest(
            inspect.getdoc(getattr(eosin, verb)) or "", {"eosin": eosin}, verb, None, None
        )
        assert example.examples, verb
        runner.run(example, out=written.append)
    assert runner.summarize(verbose=False).failed == 0, "".join(written)
