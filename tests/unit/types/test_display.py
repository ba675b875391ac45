"""How records show themselves: one short line, and a table in which nothing of the data is markup."""

from __future__ import annotations

import base64
import io
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Picture

import toy
from eosin.engine import train
from eosin.slide import open_slide
from eosin.types import Features, GenePanel, Image, Prediction

EVIL = "<script>alert('x')</script>\n\x1b[31m\u2028&"


@pytest.fixture
def image(tmp_path: Path) -> Image:
    pixels = np.random.default_rng(0).integers(0, 255, (300, 600, 3)).astype(np.uint8)
    Picture.fromarray(pixels).save(tmp_path / "<b>slide.png")
    return Image(tmp_path / "<b>slide.png", 0.5)


def records(name: str, image: Image | None = None) -> list[object]:
    section = replace(toy.section("A1", 40), name=name, patient=name, platform=name, image=image)
    features = Features(np.zeros((40, 5)), name, name, np.zeros((40, 7, 5)), licence=name)
    genes = tuple(f"{name}{i}" for i in range(4))
    prediction = Prediction(name, section.spots, GenePanel(genes, rule=name), np.zeros((1, 40, 4)), name, 0, image)
    trained = train([replace(section, genes=tuple(f"{name}{i}" for i in range(10)))], model="gene-mean", panel="var:4")
    return [section, replace(section, counts=None, genes=None, features=features), features, prediction,
            replace(trained, encoder=name, licence=name)]  # fmt: skip


def pictures(page: str) -> list[tuple[int, int]]:
    found = re.findall(r"<img [^>]*base64,([^']+)'", page)
    return [Picture.open(io.BytesIO(base64.b64decode(text))).size for text in found]


def test_records_are_one_short_line() -> None:
    assert [repr(record) for record in records("A1")] == [
        "Section('A1', patient 'A1', 40 spots of 100 µm, 10 genes, features 40 x 12 by 'toy')",
        "Section('A1', patient 'A1', 40 spots of 100 µm, features 40 x 5 by 'A1' with those of turned tiles)",
        "Features(40 x 5 by 'A1' with those of turned tiles)",
        "Prediction('A1', 1 draw of 40 spots x 4 genes, model 'A1', log1p)",
        "Trained('gene-mean', 4 genes (var:4, log1p), encoder 'A1', 4 parameters, 1 training section)",
    ]
    assert repr(toy.section("A1", 40).spots) == "Spots(40 of 100 µm)"


def test_names_neither_break_the_line_nor_are_markup(image: Image) -> None:
    for record in records(EVIL, image):
        assert repr(record).isprintable() and len(repr(record)) < 400
        page = record._repr_html_()  # type: ignore[attr-defined]
        assert "&lt;script&gt;" in page and "<script" not in page and "<b>slide" not in page
        tags = {"div", "img", "table", "caption", "b", "tr", "th", "td"}
        assert set(re.findall(r"</?([a-zA-Z]+)", page)) <= tags


def test_a_section_with_an_image_shows_it(image: Image) -> None:
    section = replace(toy.section("A1", 40), image=image)
    assert repr(section).endswith("image '<b>slide.png' at 0.5 µm/px)")
    assert pictures(section._repr_html_()) == [(160, 80)]
    assert "0.5 µm/px" in section._repr_html_() and "GENE0, GENE1" in section._repr_html_()
    image.path.write_bytes(b"no image")
    assert pictures(section._repr_html_()) == [] and "slide.png" in section._repr_html_()
    image.path.unlink()
    assert pictures(section._repr_html_()) == []


def test_a_slide_shows_itself_open_and_closed(image: Image) -> None:
    with open_slide(image.path, mpp=0.5) as slide:
        assert repr(slide) == f"Slide({str(image.path)!r}, 600 x 300 px, 0.3 x 0.15 mm, 0.5 µm/px)"
        assert pictures(slide._repr_html_()) == [(160, 80)] and "&lt;b&gt;slide" in slide._repr_html_()
    assert "closed" in repr(slide) and pictures(slide._repr_html_()) == []
