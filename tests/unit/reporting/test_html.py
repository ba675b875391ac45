"""No name can break a page: not by HTML, not by the language of templates; and templates come with the package."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from jinja2 import UndefinedError
from scipy import sparse

from eosin.reporting import SlideCard, write_bench_report, write_cohort_index, write_report
from eosin.reporting.html import Markup, Picture, join, json_for_script, table, tag, write_page
from eosin.types import GenePanel, Prediction, Section, Spots

HOSTILE = "<script>alert(1)</script> {{ 7*7 }} {% raw %} {# &amp; </style></pre> '>"


class Page(HTMLParser):
    """Names of the tags, and the text of each element that holds some."""

    def __init__(self, page: str):
        super().__init__()
        self.tags: list[str] = []
        self.texts: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.texts.append("")

    def handle_endtag(self, tag: str) -> None:
        self.texts.append("")

    def handle_data(self, data: str) -> None:
        self.texts[-1:] = ["".join([*self.texts[-1:], data])]


def prediction_page(path: Path, name: str) -> str:
    """A page on which sections, genes, models, settings and scores are called `name`."""
    rng = np.random.default_rng(0)
    xy = np.stack(np.meshgrid(np.arange(4), np.arange(4)), -1).reshape(-1, 2) * 100.0 + 150
    spots = Spots(xy, 55.0, tuple(f"s{i}" for i in range(16)))
    panel = GenePanel((name, "B"), rule=name, chosen_on=(name,))
    counts = rng.poisson(6, (16, 2))
    measured = Section(name, "P", spots, counts=sparse.csr_matrix(counts), genes=panel.names)
    draws = np.log1p(counts) + rng.standard_normal((3, 16, 2))
    stamp = {"name": name, "version": name, "sha256": name, "selection": name}
    provenance = {"trained_on": [name], "benchmark": {"leak": [name], "note": name, "split": name, "protocol": stamp}}
    first = Prediction(name, spots, panel, draws, name, 0, provenance=provenance)
    other = replace(first, model=f"ridge:{name}")
    scores: dict[str, Any] = {
        "pcc": {"mean": 0.5, "per_section": {name: 0.5}},
        "biomarkers": {"mean": 0.7, "pcc": {name: 0.71}, "missing": [name]},
        "pathways": {"correlation": 0.8, "difference": 0.1, "sets": {name: {"correlation": 0.8}}},
    }
    return write_report(
        path,
        predictions=[first, other, replace(first, section=f"{name} unmeasured")],
        truth=[measured],
        scores={name: scores, f"ridge:{name}": scores},
        thumbnails={name: (np.zeros((9, 9, 3), np.uint8), 100.0)},
        title=name,
        settings={name: name},
        genes=[name],
        notes=[name],
        when=name,
    ).read_text(encoding="utf-8")


def cell(name: str, model: str, **more: Any) -> dict[str, Any]:
    metrics = {
        "pcc": {"mean": 0.5},
        "biomarkers": {"mean": 0.3, "pcc": {name: 0.3}, "missing": [name]},
        "pathways": {"correlation": 0.5, "difference": 0.1, "sets": {name: {"correlation": 0.4}}},
    }
    return {
        **{"model": model, "encoder": name, "split": f"{name}/A", "seed": 0, "status": "done", "test": [name]},
        **{"metrics": metrics, "leak": [name], "note": name, "versions": {name: name}},
        **{"settings": {"genes": name, "transform": name, name: name}},
        **{"lists": {"biomarkers": [name], "pathways": 1}, "inference": {"device": name, "threads": 1}},
        **more,
    }


def grid_page(path: Path, name: str) -> str:
    """A page on which models, encoders, splits, genes, settings, errors and the study are called `name`."""
    cells = [
        cell(name, "ridge"),
        cell(name, f"{name} S = 1"),
        cell(name, f"{name} S = 2"),
        cell(name, f"ridge:{name}", status="failed", error=name),
    ]
    stamp = {"name": name, "version": name, "sha256": name, "split": name, "selection": name}
    scores = {"schema": 1, "cells": cells, "study": name, "protocol": stamp, "remarks": [name]}
    return write_bench_report(path, scores, when=name).read_text(encoding="utf-8")


PAGES = {"prediction": prediction_page, "grid": grid_page}


def tamed(text: str) -> str:
    """A text without the letters that mean something in HTML or in a template."""
    return re.sub(r"[<>{}%&#']", "x", text)


@pytest.mark.parametrize("write", PAGES.values(), ids=PAGES)
def test_a_hostile_name_is_shown_as_it_is_written(write: Any, tmp_path: Path) -> None:
    hostile, harmless = Page(write(tmp_path / "a.html", HOSTILE)), Page(write(tmp_path / "b.html", tamed(HOSTILE)))
    assert hostile.tags == harmless.tags
    assert hostile.tags.count("script") == (2 if write is prediction_page else 1)  # the page's own, and its data
    texts = [[tamed(text) for text in page.texts if not text.startswith('{"unit"')] for page in (hostile, harmless)]
    assert texts[0] == texts[1]
    assert sum(HOSTILE in text for text in hostile.texts) > 20


def test_a_hostile_slide_of_a_cohort_is_shown_as_it_is_written(tmp_path: Path) -> None:
    card = SlideCard(HOSTILE, f"{HOSTILE}.html", (HOSTILE,))
    page = Page(write_cohort_index(tmp_path / "x.html", [card], gene=HOSTILE, when=HOSTILE).read_text("utf-8"))
    assert page.tags.count("script") == 1 and sum(HOSTILE in text for text in page.texts) >= 3


def test_text_is_escaped_once_and_finished_html_is_not() -> None:
    assert join(["<", None, 5, tag("b", "<", None, class_="a<b", title=None)]) == '&lt;5<b class="a&lt;b">&lt;</b>'
    made = table(["<h>", Markup("<i>h</i>")], [["<r>", "<c>", tag("td", "<d>", class_="best"), None]], class_="w")
    assert '<th scope="col">&lt;h&gt;</th><th scope="col"><i>h</i></th>' in made
    assert '<th scope="row">&lt;r&gt;</th><td>&lt;c&gt;</td><td class="best">&lt;d&gt;</td><td></td>' in made
    assert tag("td", "<td>") == "<td>&lt;td&gt;</td>" and "<td>&lt;td&gt;</td>" in table(["a", "b"], [["x", "<td>"]])


def test_a_picture_is_its_own_address() -> None:
    assert Picture(b"abc", "x", 200).source == "data:image/jpeg;base64,YWJj"


def test_no_name_in_json_can_end_its_element() -> None:
    names = {"</script><script>alert(1)</script>": "<!-- & \u2028"}
    text = json_for_script(names)
    assert not set("<>&\u2028") & set(text) and json.loads(text) == names
    with pytest.raises(ValueError):
        json_for_script(float("nan"))  # would be no JSON


def test_the_script_of_pages_holds_nothing_that_ends_it_and_makes_no_html_of_text() -> None:
    script = resources.files("eosin.reporting").joinpath("templates/page.js").read_text(encoding="utf-8")
    assert "</" not in script and "<!--" not in script
    for word in ("innerHTML", "outerHTML", "insertAdjacent", "document.write", "eval(", "fetch(", "XMLHttp", "://"):
        assert word not in script, word


def test_a_template_that_lacks_something_is_an_error_and_leaves_no_file(tmp_path: Path) -> None:
    with pytest.raises(UndefinedError):
        write_page(tmp_path / "x.html", "grid_page.html", title="t", lead=["l"])
    assert list(tmp_path.iterdir()) == []


def test_templates_and_style_are_files_of_the_package() -> None:
    names = {file.name for file in resources.files("eosin.reporting").joinpath("templates").iterdir()}
    pages = {"prediction_page.html", "grid_page.html", "cohort_page.html"}
    assert names == {"page.css", "page.js", "page.html", "parts.html", *pages}


def test_light_dark_and_paper_have_their_style(tmp_path: Path) -> None:
    page = grid_page(tmp_path / "x.html", "NAME")
    style = page.split("<style>")[1].split("</style>")[0]
    assert "prefers-color-scheme: dark" in style and "@media print" in style and "&" not in style
