"""The cells of every tutorial run, in one process and in order, as on the site."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from eosin.models import MODELS

TUTORIALS = Path(__file__).resolve().parents[2] / "docs" / "tutorials"
PAGES = sorted(page for page in TUTORIALS.glob("*.md") if page.name != "index.md")
CELL = re.compile(r"^```\{code-cell\}[^\n]*\n((?::[^\n]*\n)*)(.*?)^```", re.DOTALL | re.MULTILINE)


def cells(page: Path) -> list[str]:
    """The code of each cell, without its options."""
    return [code for _, code in CELL.findall(page.read_text(encoding="utf-8"))]


@pytest.fixture(scope="module")
def features(tmp_path_factory):
    """The user's cache of features: four tutorials encode the same cohort."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def notebook(tmp_path, monkeypatch, features):
    """An empty folder to run in; afterwards no figure is open, and models that a page added are forgotten."""
    from matplotlib import pyplot as plt

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EOSIN_CACHE", str(features))
    list(MODELS)  # so that all are registered
    known = dict(MODELS._known)
    with plt.rc_context({"backend": "Agg", "figure.max_open_warning": 0}):
        yield
        plt.close("all")
    MODELS._known.clear()
    MODELS._known.update(known)


def test_there_are_five():
    assert {page.stem for page in PAGES} == {"own-visium", "bare-slide", "compare-models", "trust", "add-a-model"}
    assert all(len(cells(page)) >= 5 for page in PAGES)


@pytest.mark.parametrize("page", PAGES, ids=[page.stem for page in PAGES])
def test_cells_run(page, notebook):
    names = {"__name__": "__main__"}
    for number, code in enumerate(cells(page), 1):
        exec(compile(code, f"{page.name}, cell {number}", "exec"), names)
