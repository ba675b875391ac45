from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image as Picture

from eosin.errors import EosinError
from eosin.slide import open_slide
from eosin.types import Image
from eosin.viewer import slide_pyramid
from eosin.viewer.slide_pyramid import NoSuchTile, NotYet, SlideGone, SlidePyramid
from unit.viewer.conftest import MPP, SIZE_PX


@pytest.fixture
def pyramid(image: Image) -> Iterator[SlidePyramid]:
    made = SlidePyramid(open_slide(image.path, mpp=MPP))
    yield made
    made.close()


def pixels_of(tile: bytes) -> np.ndarray:
    return np.asarray(Picture.open(io.BytesIO(tile))).astype(int)


def level(pyramid: SlidePyramid, k: int) -> np.ndarray:
    """All tiles of a level beside one another."""
    reduction = 2 ** (pyramid.max_level - k)
    columns, rows = (-(-side // (reduction * 512)) for side in SIZE_PX)
    lines = [np.concatenate([pixels_of(pyramid.tile(k, x, y)) for x in range(columns)], 1) for y in range(rows)]
    return np.concatenate(lines)


@pytest.mark.parametrize("overview_px", [64, 800, 2048])
def test_levels_are_the_slide_at_half_the_size_each(
    image: Image, monkeypatch: pytest.MonkeyPatch, overview_px: int
) -> None:
    monkeypatch.setattr(slide_pyramid, "OVERVIEW_PX", overview_px)
    pyramid = SlidePyramid(open_slide(image.path, mpp=MPP))
    assert pyramid.describe() == {"width": 1500, "height": 1100, "mpp": MPP, "tile": 512, "max_level": 2}
    for k in range(3):
        whole = level(pyramid, k)
        reduction = 2 ** (2 - k)
        height, width = whole.shape[:2]
        assert (width, height) == tuple(-(-side // reduction) for side in SIZE_PX)
        x, y = np.arange(width), np.arange(height)
        red, green = whole[height // 2, :, 0], whole[:, width // 2, 1]
        inner = slice(2, -2)
        assert np.abs(red - (x + 0.5) * reduction / 1500 * 250)[inner].max() < 5
        assert np.abs(green - (y + 0.5) * reduction / 1100 * 250)[inner].max() < 5


@pytest.mark.parametrize("place", [(-1, 0, 0), (3, 0, 0), (2, 3, 0), (2, 0, 3), (2, -1, 0), (0, 1, 0), (2, 10**6, 0)])
def test_what_the_pyramid_does_not_have(pyramid: SlidePyramid, place: tuple[int, int, int]) -> None:
    with pytest.raises(NoSuchTile):
        pyramid.tile(*place)


def test_a_slide_that_goes_or_changes_is_noticed(pyramid: SlidePyramid, image: Image) -> None:
    pyramid.tile(2, 0, 0)
    image.path.write_bytes(b"another")
    with pytest.raises(SlideGone):
        pyramid.tile(2, 0, 0)
    image.path.unlink()
    with pytest.raises(SlideGone):
        pyramid.tile(0, 0, 0)


def test_levels_whose_tiles_are_dear_are_cut_from_one_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "flat.tif"
    pixels = np.zeros((3000, 4000, 3), np.uint8)
    pixels[..., 0] = np.linspace(0, 250, 4000)[None]
    tifffile.imwrite(path, pixels, tile=(256, 256), photometric="rgb")  # no reduced levels
    monkeypatch.setattr(slide_pyramid, "OVERVIEW_PX", 100)
    cheap = SlidePyramid(open_slide(path, mpp=MPP))
    assert cheap.max_level == 3 and cheap._cut == -1
    cheap.close()
    monkeypatch.setattr(slide_pyramid, "DEAREST_TILE", 2_000_000)
    dear = SlidePyramid(open_slide(path, mpp=MPP))
    if not dear.slide.whole:
        assert dear._cut == 1  # a tile of level 2 decodes 1,024 x 1,024 pixels, one of level 1 four times as many
    red = pixels_of(dear.tile(0, 0, 0))[100, :, 0]
    assert dear.slide.whole or (dear._overview is not None and dear._overview.shape == (750, 1000, 3))
    assert np.abs(red - (np.arange(500) + 0.5) / 500 * 250)[2:-2].max() < 5
    dear.close()


def test_an_overview_that_takes_long_is_said_and_waits_for_nobody(
    image: Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on = threading.Event()
    slide = open_slide(image.path, mpp=MPP)
    overview = slide.overview
    monkeypatch.setattr(slide, "overview", lambda um: (go_on.wait(20), overview(um))[1])
    monkeypatch.setattr(slide_pyramid, "_PATIENCE_S", 0.1)
    pyramid = SlidePyramid(slide)
    with pytest.raises(NotYet):
        pyramid.tile(0, 0, 0)
    assert pixels_of(pyramid.tile(2, 0, 0)).shape == (512, 512, 3)  # the finest level needs none
    pyramid.close()  # does not wait, and leaves the slide open for whoever reads it
    go_on.set()
    assert pyramid._making is not None
    pyramid._making.join(20)
    assert pixels_of(pyramid.tile(0, 0, 0)).shape == (275, 375, 3)
    pyramid.close()
    with pytest.raises(ValueError, match="closed"):
        slide.read((1, 1), 1, 1)


def test_an_overview_that_cannot_be_made_is_told_with_every_tile(image: Image, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: float) -> None:
        raise EosinError("cannot be decoded")

    slide = open_slide(image.path, mpp=MPP)
    monkeypatch.setattr(slide, "overview", broken)
    pyramid = SlidePyramid(slide)
    for _ in range(2):
        with pytest.raises(EosinError, match="cannot be decoded"):
            pyramid.tile(0, 0, 0)
    pyramid.close()
