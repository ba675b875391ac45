"""Places that QuPath counts from the corner of the scanned area are moved to where they were drawn, and said."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import numpy as np
import pytest

from eosin.slide import Slide, open_slide, read_points, read_tissue
from eosin.slide.scanned_area import _warn
from unit.slide.pictures import painted
from unit.slide.scanner_files import save_aperio, save_leica

CORNER = np.array([250, 130])
BOX = np.array([[20, 30], [220, 30], [220, 130], [20, 130], [20, 30]])
"""An outline within the scanned area of 300 x 260 px, from its own corner."""


@pytest.fixture
def slide(tmp_path: Path):
    """600 x 520 px of 1 µm, of which 300 x 260 were scanned."""
    pixels = painted(300, 260, 1.0)
    with open_slide(save_leica(tmp_path / "a.scn", pixels, 1.0, 1.0, (250, 130)), mpp=1.0) as opened:
        assert opened.scanned_px == (250, 130, 300, 260) and opened.size_px == (600, 520)
        yield opened
    _warn.cache_clear()


def outline(path: Path, box: np.ndarray, kind: str = "Polygon") -> Path:
    coordinates = [box.tolist()] if kind == "Polygon" else box[:4].tolist()
    path.write_text(json.dumps({"type": kind, "coordinates": coordinates}))
    return path


def drawn(slide: Slide, file: Path) -> tuple[float, float]:
    """Left and top of a mask, px."""
    tissue = read_tissue(file, slide, um_per_px=1.0)
    rows, columns = np.nonzero(tissue.mask)
    return columns.min(), rows.min()


def test_outlines_from_the_corner_of_the_scanned_area_are_moved(
    tmp_path: Path, slide: Slide, caplog: pytest.LogCaptureFixture
) -> None:
    file = outline(tmp_path / "q.geojson", BOX)
    assert drawn(slide, file) == (270, 160)
    assert "are counted from the corner of the scanned area (250, 130 px), as QuPath does: moved there" in caplog.text


def test_outlines_from_the_corner_of_the_slide_stay(
    tmp_path: Path, slide: Slide, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "eosin"):
        assert drawn(slide, outline(tmp_path / "t.geojson", BOX + np.array([300, 200]))) == (320, 230)
    assert not caplog.records


def test_outlines_that_may_be_either_are_said(tmp_path: Path, slide: Slide, caplog: pytest.LogCaptureFixture) -> None:
    small = BOX // 10 + np.array([260, 200])
    assert drawn(slide, outline(tmp_path / "e.geojson", small)) == tuple(small[0])
    assert "may be counted from the corner of the scanned area" in caplog.text


@pytest.mark.parametrize("table", ["px", "um", "points"])
def test_points_are_moved_too(tmp_path: Path, slide: Slide, table: str) -> None:
    rows = "".join(f"{x},{y}\n" for x, y in BOX[:4])
    if table == "points":
        file = outline(tmp_path / "p.geojson", BOX, "MultiPoint")
    else:
        file = tmp_path / "p.csv"
        file.write_text(("x,y\n" if table == "px" else "x_um,y_um\n") + rows)
    assert read_points(file, slide).xy_um.tolist() == (BOX[:4] + CORNER).tolist()


def test_slides_without_such_an_area_move_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = outline(tmp_path / "q.geojson", BOX)
    save_aperio(tmp_path / "a.svs", painted(300, 260, 1.0), 1.0, None)
    for path in (tmp_path / "a.svs", save_leica(tmp_path / "b.scn", painted(300, 260, 1.0), 1.0, 1.0)):
        with open_slide(path, mpp=1.0) as slide:
            assert drawn(slide, file) == (20, 30)
    assert "scanned area" not in caplog.text
