"""The examples in the documentation of the verbs: each is run, as it stands there."""

from __future__ import annotations

import doctest
import inspect
import shutil
from dataclasses import replace
from pathlib import Path

import anndata
import pytest

import eosin
from cli.conftest import Ground

VERBS = ("encode", "read", "train", "predict", "score", "plot", "report", "view", "bench", "study", "info", "tissue")
"""In this order: what the first write, the later ones read."""


@pytest.fixture
def short_study(monkeypatch: pytest.MonkeyPatch) -> None:
    """The study of the example, with small networks that train for one epoch, on the ridge."""
    from eosin.benchmark.studies import STUDIES

    study = STUDIES["denoisers"]
    small = {
        "stflow": {"n_layers": 1, "width": 16, "edge_width": 16},
        "egnn": {"n_layers": 1, "width": 8},
        "e2cnn": {"n_channels": 4, "n_first": 1, "n_fields": 1},
    }
    cells = tuple(
        replace(cell, settings={"train": {"epochs": 1}, "model": {"base": "ridge", **small[cell.model]}})
        for cell in study.cells
    )
    monkeypatch.setattr("eosin.benchmark.studies.STUDIES", {**STUDIES, "denoisers": replace(study, cells=cells)})


def with_few_spots(data: Path) -> None:
    """Leave twelve spots of each section: the examples encode at the default sizes, which takes 0.1 s a spot."""
    for file in (data / "sections").glob("*.h5ad"):
        adata = anndata.read_h5ad(file)[:12].copy()
        file.unlink()
        adata.write_h5ad(file)


@pytest.mark.usefixtures("short_study")
def test_the_examples_of_the_verbs_do_what_they_say(ground: Ground, tmp_path: Path) -> None:
    with_few_spots(Path(shutil.copytree(ground.data, tmp_path / "data")))
    runner, written = doctest.DocTestRunner(), []
    for verb in VERBS:
        example = doctest.DocTestParser().get_doctest(
            inspect.getdoc(getattr(eosin, verb)) or "", {"eosin": eosin}, verb, None, None
        )
        assert example.examples, verb
        runner.run(example, out=written.append)
    assert runner.summarize(verbose=False).failed == 0, "".join(written)
