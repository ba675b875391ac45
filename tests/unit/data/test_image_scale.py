"""An image whose file says another scale than its positions have: said, scaled or refused, never passed over."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import tifffile

import eosin
from eosin.data import read
from eosin.errors import EosinError
from unit.data.layouts import hest
from unit.data.layouts_10x import align, xenium
from unit.slide import pictures

SPAN_PX = 2100
"""More than the farthest spot of the layout."""


def image(file: Path, width: int, height: int, mpp: float) -> None:
    pictures.save_pyramid(file, np.full((height, width, 3), 200, np.uint8), mpp, n_levels=1)


def sample(folder: Path, factor: float, own_mpp: float, crop: float = 1.0) -> Path:
    """A sample of HEST-1k whose positions are of 0.5 µm, with an image of other pixels."""
    path = hest(folder)
    side = round(SPAN_PX * factor * crop)
    image(path / "wsis" / "TENX1.tif", side, side, own_mpp)
    return path


def test_the_scale_of_the_positions_is_said_by_nobody(tmp_path: Path) -> None:
    assert read(sample(tmp_path, 1, 0.51))[0].notes == ("1 control probes were left out",)


def test_a_printing_default_is_no_scale(tmp_path: Path) -> None:
    path = hest(tmp_path)
    for dpi in (72, 96, 300, 600):
        tifffile.imwrite(path / "wsis" / "TENX1.tif", np.zeros((SPAN_PX, SPAN_PX, 3), np.uint8), photometric="rgb",
                         resolution=(dpi, dpi), resolutionunit="INCH")  # fmt: skip
        assert read(path)[0].notes == ("1 control probes were left out",)


def test_twice_the_picture_is_refused_where_the_spots_fit_on_both(tmp_path: Path) -> None:
    path = sample(tmp_path, 2, 0.25)
    told = r"TENX1\.tif: says 0\.25 µm per pixel, the positions are of 0\.5: is it 2 x their picture\?; .*--mpp 0\.5"
    with pytest.raises(EosinError, match=told):
        read(path)
    with pytest.raises(EosinError, match=told):
        eosin.info(path)
    (given, *_) = read(path, mpp=0.5)
    assert given.image is not None and given.image.mpp == 0.5
    assert "TENX1.tif says 0.25 µm/px, 0.5 is used: check that they are of one image" in given.notes


def test_half_the_picture_is_scaled_where_the_spots_would_be_off_it(tmp_path: Path) -> None:
    (one, *_) = read(sample(tmp_path, 0.5, 1.0))
    assert one.image is not None and one.image.mpp == 1.0 and len(one) == 36
    assert "TENX1.tif says 1 µm/px and is 1/2 of the picture of the positions (0.5): scaled" in one.notes


def test_a_wrong_tag_is_said_where_the_spots_would_be_off_the_copy(tmp_path: Path) -> None:
    (one, *_) = read(sample(tmp_path, 1, 0.25))
    assert one.image is not None and one.image.mpp == 0.5
    assert "TENX1.tif says 0.25 µm/px, 0.5 is used: at its own the spots would be off it" in one.notes


def test_a_ratio_that_is_not_plain_is_said(tmp_path: Path) -> None:
    (one, *_) = read(sample(tmp_path, 1, 0.35))
    assert "TENX1.tif says 0.35 µm/px, 0.5 is used: check that they are of one image" in one.notes


def test_an_alignment_of_another_image_is_said(tmp_path: Path) -> None:
    path = xenium(tmp_path, ["R"]) / "R"
    align(path, np.eye(3))
    pictures.save_ome(path / "Slide_he_image.ome.tif", np.zeros((4000, 4000, 3), np.uint8), 0.5)
    (one,) = read(path)
    assert "Slide_he_image.ome.tif says 0.5 µm/px, 0.2125 is used: check that they are of one image" in one.notes
    assert "check that they are of one image" in json.dumps(eosin.info(path))


def test_the_warning_says_where_the_scale_comes_from(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (one, *_) = read(sample(tmp_path, 1, 0.35))
    eosin.encode([one], encoder="pixels?px=8", out=tmp_path / "f", tile_um=50)
    assert "0.5 µm per pixel as its data or --mpp say; the file says 0.35 x 0.35" in caplog.text
    with eosin.slide.open_slide(tmp_path / "wsis" / "TENX1.tif", mpp=0.6):
        assert "0.6 µm per pixel as given; the file says 0.35 x 0.35" in caplog.text
