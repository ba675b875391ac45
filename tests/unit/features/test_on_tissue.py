"""Spots that lie beside the tissue of their image are told: another image, scale or order of axes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Picture

from eosin.encoders import get_encoder
from eosin.features import encode
from eosin.types import Image, Section, Spots

MPP = 2.0


def section_on(tmp_path: Path, *, pale: bool = False) -> Section:
    """Tissue in the left upper part of glass of 3 x 2 mm, and spots where it is; `pale`: half of it is not found."""
    rng = np.random.default_rng(0)
    picture = np.full((1000, 1500, 3), 245, np.uint8)
    picture[100:500, 100:900] = np.array([190, 90, 150]) + rng.integers(-40, 40, (400, 800, 1))
    if pale:
        picture[100:500, 500:900] = 245
    Picture.fromarray(picture).save(tmp_path / "s.png")
    x, y = np.meshgrid(np.arange(250, 1780, 100.0), np.arange(250, 980, 100.0))
    xy = np.stack([x.ravel(), y.ravel()], 1)
    spots = Spots(xy, 55.0, tuple(f"s{i}" for i in range(len(xy))))
    return Section("A", "p", spots, image=Image(tmp_path / "s.png", MPP), platform="Visium")


def moved(section: Section, xy_um: np.ndarray) -> Section:
    return replace(section, spots=replace(section.spots, xy_um=xy_um))


def told(section: Section, caplog) -> str:
    encode(section, get_encoder("pixels?px=8"))
    return "\n".join(record.message for record in caplog.records if record.levelname == "WARNING")


@pytest.mark.parametrize("pale", [False, True])
def test_spots_on_their_tissue_say_nothing(tmp_path: Path, caplog, *, pale: bool) -> None:
    assert "lie on the tissue" not in told(section_on(tmp_path, pale=pale), caplog)


@pytest.mark.parametrize("how", ["exchanged", "shifted", "half the scale"])
def test_spots_beside_their_tissue_are_told(tmp_path: Path, caplog, how: str) -> None:
    section = section_on(tmp_path)
    xy = section.spots.xy_um
    wrong = {"exchanged": xy[:, ::-1], "shifted": xy + 900.0, "half the scale": xy * 0.5 + np.array([0, 1000])}[how]
    line = told(moved(section, wrong), caplog)
    assert "section 'A': only" in line and "s.png, where 100 % could: check that image, scale (--mpp)" in line


def test_spots_laid_on_an_image_and_few_spots_are_not_judged(tmp_path: Path, caplog) -> None:
    section = moved(section_on(tmp_path), section_on(tmp_path).spots.xy_um + 900.0)
    assert "lie on the tissue" not in told(replace(section, platform="image"), caplog)
    assert "lie on the tissue" not in told(section.take(np.arange(19)), caplog)
