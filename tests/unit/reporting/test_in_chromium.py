"""Pages as a browser shows them, the network cut: nothing runs over, no error, every gene can be chosen."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import sparse

from chromium_page import OVERFLOWS, SMALLEST_TEXT, Tab, need_chromium, tab
from eosin.reporting import SlideCard, write_bench_report, write_cohort_index, write_report
from eosin.reporting.small_map import small_map
from eosin.types import ErrorBars, GenePanel, GeneTrust, Likeness, Prediction, Section, Spots

GOLDEN = Path(__file__).parents[2] / "golden" / "pages"
WIDTHS = (420, 1400, 2560)
HOSTILE = "</script><script>document.title='caught'</script>"
GENES = ("ERBB2", HOSTILE, "A-GENE-WITH-A-NAME-AS-LONG-AS-SOME-TRANSCRIPTS-HAVE.12345", *(f"G{i}" for i in range(20)))


def run_of(n_side: int = 20) -> tuple[Prediction, Prediction, Section]:
    """A prediction, the ridge's, and the measured section."""
    rng = np.random.default_rng(0)
    xy = np.stack(np.meshgrid(np.arange(n_side), np.arange(n_side)), -1).reshape(-1, 2) * 100.0 + 200
    spots = Spots(xy, 55.0, tuple(f"s{i}" for i in range(len(xy))))
    g = len(GENES)
    waves = np.sin(xy[:, :1] / 300 + np.arange(g)) + np.cos(xy[:, 1:] / (200 + 40 * np.arange(g)))
    counts = rng.poisson(np.exp(1 + 0.6 * waves))
    mean = (1 + 0.6 * waves + 0.2 * rng.standard_normal(waves.shape)).astype(np.float32)
    made = Prediction(
        "A1",
        spots,
        GenePanel(GENES),
        mean[None],
        "kernel",
        0,
        error_bars=ErrorBars(np.full(g, 0.4), np.array([0.05, 0.5, 0.95]), np.array([-1.6, 0.0, 1.6])),
        trust=GeneTrust(np.linspace(0.9, 0.1, g), np.linspace(0.7, 0.0, g), "new patient"),
        likeness=Likeness(rng.gamma(4, 0.3, len(xy)), 2.0, 2.0),
    )
    ridge = replace(made, model="ridge", draws=(made.draws + rng.standard_normal(made.draws.shape)).astype(np.float32))
    return made, ridge, Section("A1", "P", spots, counts=sparse.csr_matrix(counts), genes=GENES)


def grid() -> dict[str, Any]:
    """Scores of a grid with long names and many biomarkers, so that tables are wide."""
    cells = []
    for split in ("leave-section-out/A", "leave-patient-out/A"):
        for model, value in (("ridge", 0.5), ("gene-mean", 0.0), ("a model of a long name:with-a-preset", 0.55)):
            named = {f"BIOMARKER{i}": value for i in range(12)}
            metrics = {"pcc": {"mean": value}, "mse": 0.3, "biomarkers": {"mean": value, "pcc": named, "missing": []}}
            cells.append({"model": model, "encoder": "stain", "split": split, "seed": 0, "status": "done"})
            cells[-1] |= {"metrics": metrics, "test": ["A"], "settings": {"genes": "var:50", "x": "y" * 300}}
    return {"schema": 1, "cells": cells}


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    need_chromium()
    folder = tmp_path_factory.mktemp("pages")
    made, ridge, truth = run_of()
    image = np.random.default_rng(1).integers(150, 250, (230, 230, 3), dtype=np.uint8)
    slide = {"A1": (image, 10.0)}
    scores = {"kernel": {"pcc": {"mean": 0.8}}, "ridge": {"pcc": {"mean": 0.7}}}
    study = [{**c, "model": f"S = {i}", "asked": "stflow"} for i, c in enumerate(grid()["cells"][:3])]
    rows = {f"S = {i}": {"line": "stflow", "value": i + 1} for i in range(3)}
    card = SlideCard("A1", "report.html", ("like training", "400 spots"), small_map(made, "ERBB2", slide["A1"]))
    return {
        "report": write_report(
            folder / "report.html",
            predictions=[made, ridge],
            truth=[truth],
            thumbnails=slide,
            scores=scores,
            settings={"path": "/a/" + "long" * 80},
            notes=["A remark."],
            when="now",
        ),
        "bare": write_report(folder / "bare.html", predictions=[made.of_spots(np.array([0]))]),
        "two": write_report(
            folder / "two.html", predictions=[made, replace(made, section="B1")], truth=[truth], thumbnails=slide
        ),
        "bench": write_bench_report(folder / "bench.html", grid(), when="now"),
        "study": write_bench_report(
            folder / "study.html",
            {"schema": 1, "study": "x", "cells": study, "varied": {"quantity": "steps", "rows": rows}},
        ),
        "index": write_cohort_index(folder / "index.html", [card, SlideCard("broken", None, ("failed: x" * 20,))]),
    }


@pytest.fixture(scope="module")
def browser(pages: dict[str, Path]) -> Iterator[Tab]:
    with tab() as opened:
        yield opened


@pytest.mark.parametrize("name", ["report", "bare", "bench", "study", "index"])
def test_nothing_runs_over_and_nothing_is_wrong(name: str, browser: Tab, pages: dict[str, Path]) -> None:
    for width in WIDTHS:
        browser.open(pages[name], width, dark=width == 1400)
        found = browser.run(OVERFLOWS)
        assert found["page"] <= width and found["out"] == [], (name, width, found)
        assert browser.errors == [] and browser.requests == [], (name, width)
        size, where = browser.run(SMALLEST_TEXT)
        assert size >= 13, (name, width, where)
    browser.open(pages[name], 1000, media="print", dark=True)
    assert browser.run(OVERFLOWS)["page"] <= 1000, name
    assert browser.run("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    browser.open(pages[name], 420)
    browser.run("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
    assert browser.run(OVERFLOWS)["page"] <= 420, name


def test_every_gene_can_be_chosen_and_is_drawn_as_text_and_as_another_map(browser: Tab, pages: dict[str, Path]) -> None:
    browser.open(pages["report"], 1400)
    drawn = "document.querySelector('#panes canvas').toDataURL()"
    assert browser.run("document.querySelectorAll('#gene option').length") == len(GENES)
    assert browser.run("document.querySelectorAll('#genes tbody tr').length") == len(GENES)
    first = browser.run(drawn)
    assert browser.run(
        "(() => { const c = document.querySelector('#panes canvas'); const d = c.getContext('2d')"
        ".getImageData(0, 0, c.width, c.height).data; let n = 0; for (let i = 3; i < d.length; i += 4) n += d[i] > 0;"
        "return n / (c.width * c.height); })()"
    ) == pytest.approx(400 * np.pi * (55 / 2) ** 2 / 2032**2, rel=0.25)
    browser.run("document.getElementById('next').click()")
    assert browser.run(drawn) != first
    place = browser.run(
        f"[...document.querySelectorAll('#gene option')].findIndex((o) => o.textContent === {HOSTILE!r})"
    )
    browser.run(f"document.querySelector('#genes tr[data-place=\"{place}\"] button').click()")
    assert HOSTILE in browser.run("document.querySelector('#panes figcaption').textContent")
    assert browser.run("document.title") == "Predicted spatial transcriptome" and browser.errors == []


def test_an_address_names_a_gene(browser: Tab, pages: dict[str, Path]) -> None:
    browser.open(pages["report"], 1400)
    browser.run("location.hash = '#G7'")
    assert browser.run(
        "new Promise((r) => setTimeout(() => r(document.querySelector('#panes figcaption').textContent), 200))"
    ) == ("G7: predicted by kernel")
    browser.run("location.hash = '#%E0%A4%A'")  # no text at all
    browser.run("location.hash = '#NOPE'")
    assert (
        browser.run("document.getElementById('gene').selectedOptions[0].textContent") == "G7" and browser.errors == []
    )


def test_sections_are_chosen_and_each_has_its_own_maps(browser: Tab, pages: dict[str, Path]) -> None:
    browser.open(pages["two"], 1400)
    titles = "[...document.querySelectorAll('#panes figcaption')].map((c) => c.textContent)"
    slides = "document.querySelectorAll('#panes img').length"
    best = browser.run("document.getElementById('gene').selectedOptions[0].textContent")
    assert browser.run(titles) == [f"{best}: predicted", f"{best}: measured"] and browser.run(slides) == 2
    choose = "const s = document.getElementById('section'); s.value = '1'; s.dispatchEvent(new Event('change'));"
    browser.run(f"(() => {{ {choose} }})()")
    assert browser.run(titles) == [f"{best}: predicted"] and browser.run(slides) == 0 and browser.errors == []
    for box in ("document.querySelector('#shown input')", "document.querySelectorAll('#shown input')[1]"):
        browser.run(f"{box}.click()")
    assert browser.run(titles) == ["Distance from training"] and browser.errors == []


def test_the_table_of_genes_is_sorted_and_filtered(browser: Tab, pages: dict[str, Path]) -> None:
    browser.open(pages["report"], 1400)
    head = "[...document.querySelectorAll('#genes thead th')].find((h) => h.textContent === 'given depth')"
    column = browser.run(f"{head}.cellIndex")
    values = f"[...document.querySelectorAll('#genes tbody tr')].map((r) => Number(r.cells[{column}].dataset.v))"
    browser.run(f"{head}.querySelector('button').click()")
    down = browser.run(values)
    assert down == sorted(down, reverse=True) and browser.run(f"{head}.getAttribute('aria-sort')") == "descending"
    browser.run(f"{head}.querySelector('button').click()")
    assert browser.run(values) == sorted(down)
    search = "const f = document.getElementById('find'); f.value = 'erbb'; f.dispatchEvent(new Event('input'));"
    browser.run(f"(() => {{ {search} }})()")
    assert browser.run("[...document.querySelectorAll('#genes tbody tr')].filter((r) => !r.hidden).length") == 1
    assert browser.run("document.getElementById('found').textContent") == f"1 of {len(GENES)} genes"


def test_without_scripts_a_picture_and_the_whole_table_stay(browser: Tab, pages: dict[str, Path]) -> None:
    browser.open(pages["report"], 1400, scripts=False)
    shown = np.asarray(_pixels(browser.picture()))
    assert len(np.unique(shown[150:500, 100:700].reshape(-1, 3), axis=0)) > 500  # a map, and no empty place
    text = pages["report"].read_text(encoding="utf-8")
    assert text.count('<tr data-place="') == len(GENES)


def test_light_and_dark_are_two_looks(browser: Tab, pages: dict[str, Path]) -> None:
    means = []
    for dark in (False, True):
        browser.open(pages["bench"], 1400, dark=dark)
        means.append(float(np.asarray(_pixels(browser.picture())).mean()))
    assert means[0] > 200 and means[1] < 80


def test_a_wide_table_says_that_it_scrolls(browser: Tab, pages: dict[str, Path]) -> None:
    browser.open(pages["bench"], 420)
    hints = "[...document.querySelectorAll('.more')].filter((p) => !p.hidden).length"
    assert browser.run(hints) >= 2
    browser.open(pages["report"], 2560)
    assert browser.run(hints) == 0


def test_slides_of_a_cohort_are_found(browser: Tab, pages: dict[str, Path]) -> None:
    browser.open(pages["index"], 1400)
    search = "const f = document.getElementById('find'); f.value = 'like'; f.dispatchEvent(new Event('input'));"
    browser.run(f"(() => {{ {search} }})()")
    assert browser.run("document.getElementById('found').textContent") == "1 of 2 slides"


@pytest.mark.parametrize(
    ("name", "dark", "hidden"),
    [
        ("report", False, False),
        ("report", True, False),
        ("bench", False, False),
        ("bench", True, False),
        ("report", False, True),
    ],
)
def test_the_first_screen_looks_as_it_did(
    name: str, *, dark: bool, hidden: bool, browser: Tab, pages: dict[str, Path]
) -> None:
    """Means of squares of 50 px: letters may be of another font, a map or a card that is missing is seen.

    After a wished change: `EOSIN_RENEW=1 pytest` on this file, and look at the pictures.
    """
    from PIL import Image

    browser.open(pages[name], 1400, dark=dark)
    if hidden:  # the fault that it is there for
        browser.run("document.querySelectorAll('.field, table').forEach((e) => { e.style.visibility = 'hidden'; })")
    screen = _pixels(browser.picture()).resize((28, 18), Image.Resampling.BOX)
    file = GOLDEN / f"{name}-{'dark' if dark else 'light'}.png"
    if os.environ.get("EOSIN_RENEW") and not hidden:
        file.parent.mkdir(exist_ok=True)
        screen.save(file)
    difference = np.abs(np.asarray(screen, dtype=float) - np.asarray(Image.open(file).convert("RGB"), dtype=float))
    alike = difference.mean() < 9 and np.percentile(difference, 97) < 60
    assert alike != hidden


def _pixels(png: bytes) -> Any:
    from PIL import Image

    return Image.open(io.BytesIO(png)).convert("RGB")


def axe() -> Path | None:
    """axe-core, where npm has installed it in a folder that `NODE_PATH` names or here."""
    places = [*os.environ.get("NODE_PATH", "").split(os.pathsep), "node_modules"]
    files = (Path(place) / "axe-core/axe.min.js" for place in places if place)
    return next((file for file in files if file.is_file()), None)


@pytest.mark.parametrize("name", ["report", "bench", "study", "index"])
def test_axe_finds_no_serious_fault(name: str, browser: Tab, pages: dict[str, Path]) -> None:
    found = axe()
    if found is None:
        pytest.skip("no axe-core here: npm install axe-core, and name its node_modules in NODE_PATH")
    for dark in (False, True):
        browser.open(pages[name], 1400, dark=dark)
        browser.run(found.read_text(encoding="utf-8") + ";0")
        faults = browser.run(
            "axe.run().then((r) => r.violations.map((v) => [v.impact, v.id, v.nodes[0].html.slice(0, 200)]))"
        )
        assert [fault for fault in faults if fault[0] in ("serious", "critical")] == [], (name, dark)
