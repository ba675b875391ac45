"""Spots off the image are left out where they are few, and `info` says it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Picture
from scipy import sparse

from eosin.api.info import info
from eosin.data import write_sections
from eosin.slide.inside import without_spots_off_image
from eosin.types import Image, Section, Spots


def section_with(n_outside: int, tmp_path: Path, n: int = 20) -> Section:
    """Spots on an image of 100 x 50 µm, the last ones beyond its four edges in turn."""
    Picture.fromarray(np.full((100, 200, 3), 200, np.uint8)).save(tmp_path / "s.png")
    xy = np.stack([np.linspace(0, 100, n), np.linspace(0, 50, n)[::-1]], 1)
    beyond = np.array([[101, 20], [-1, 20], [30, 51], [30, -1]])
    for i in range(n_outside):
        xy[n - 1 - i] = beyond[i % 4] + np.array([0, i / 10])[:: 1 if i % 4 < 2 else -1]
    counts = sparse.csr_matrix(np.arange(n * 2, dtype=np.float32).reshape(n, 2))
    spots = Spots(xy, 5.0, tuple(f"s{i}" for i in range(n)))
    return Section("A", "p", spots, image=Image(tmp_path / "s.png", 0.5), counts=counts, genes=("g", "h"))


@pytest.mark.parametrize("n_outside", [1, 3, 4])
def test_few_are_left_out_with_a_note(tmp_path: Path, n_outside: int) -> None:
    section = section_with(n_outside, tmp_path)
    kept = without_spots_off_image(section)
    assert kept.spots.ids == section.spots.ids[: 20 - n_outside]
    assert (kept.counts != section.counts[: 20 - n_outside]).nnz == 0
    assert kept.notes == (
        f"{n_outside} of 20 spots lie outside the image (first 's{20 - n_outside}') and were left out",
    )


def test_spots_on_the_edge_stay_and_nothing_is_said(tmp_path: Path) -> None:
    section = section_with(0, tmp_path)
    assert without_spots_off_image(section) is section


def test_many_ask_for_a_check_and_most_stay_for_encode_to_refuse(tmp_path: Path) -> None:
    many, most = (without_spots_off_image(section_with(n, tmp_path)) for n in (6, 15))
    assert len(many) == 14 and "left out: check the image and its scale" in many.notes[0]
    assert len(most) == 20 and "15 of 20 spots lie outside the image" in most.notes[0]


def test_an_image_that_does_not_open_takes_no_spots(tmp_path: Path) -> None:
    section = section_with(3, tmp_path)
    (tmp_path / "s.png").write_bytes(b"no picture")
    assert without_spots_off_image(section) is section
    without = replace(section, image=None)
    assert without_spots_off_image(without) is without


def test_info_says_it_before_encode_does(tmp_path: Path) -> None:
    write_sections([section_with(2, tmp_path)], tmp_path / "data")
    (facts,) = info(tmp_path / "data")["sections"]
    assert facts["spots"] == 18
    assert any("2 of 20 spots lie outside the image" in note for note in facts["notes"])
