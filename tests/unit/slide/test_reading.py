"""A window of so many µm holds exactly those µm, in every format, at every scale, over every edge."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from eosin.slide import open_slide
from eosin.slide.source import Level, levels_of
from eosin.slide.windows import choose_level
from unit.slide import pictures

W, H = 1003, 701


@pytest.mark.parametrize("mpp", [0.2125, 0.25, 0.265, 0.5])
@pytest.mark.parametrize("save", [pictures.save_pyramid, pictures.save_ome, pictures.save_plain])
def test_field_of_view_is_exact(tmp_path: Path, mpp: float, save) -> None:
    """Off by half a pixel, by the level's rounding or by a magnification of 20x, the wave would be out of phase."""
    path = save(tmp_path / "s.tif", pictures.painted(W, H, mpp), mpp)
    with open_slide(path) as slide:
        assert slide.mpp == pytest.approx(mpp, rel=1e-4)
        assert slide.size_px == (W, H)
        for width_um, px in ((60.0, 120), (60.0, 97), (80.0, 40), (31.7, 64)):
            centre = (0.613 * W * mpp, 0.441 * H * mpp)
            got = slide.read(centre, width_um, px)
            assert got.dtype == np.uint8 and got.shape == (px, px, 3)
            error = np.abs(got - pictures.window(centre, width_um, px))
            assert error.mean() < 1.5 and error.max() < 5.0, (width_um, px)


def test_openslide_and_memory_agree(tmp_path: Path) -> None:
    """Tiled pyramid, BigTIFF, OME pyramid and plain TIFF give the same pixels where a coarse level is used."""
    pixels = pictures.painted(W, H, 0.25)
    paths = [
        pictures.save_pyramid(tmp_path / "a.tif", pixels, 0.25),
        pictures.save_pyramid(tmp_path / "b.tif", pixels, 0.25, bigtiff=True),
        pictures.save_ome(tmp_path / "c.tif", pixels, 0.25),
        pictures.save_plain(tmp_path / "d.tif", pixels, 0.25),
    ]
    windows = []
    for path in paths:
        with open_slide(path) as slide:
            windows.append(slide.read((120.0, 90.0), 100.0, 64).astype(int))
    for other in windows[:-1]:
        # OpenSlide takes corners in whole full-resolution pixels: a quarter pixel of this level. A whole one gives 16.
        assert np.abs(other - windows[-1]).max() <= 4


def test_beyond_the_edge_is_white(tmp_path: Path) -> None:
    path = pictures.save_image(tmp_path / "s.png", np.full((200, 300, 3), 40, np.uint8))
    with open_slide(path, mpp=0.5) as slide:
        corner = slide.read((0.0, 0.0), 40.0, 80)
        assert (corner[:38, :] == 255).all() and (corner[:, :38] == 255).all() and (corner[43:, 43:] == 40).all()
        far = slide.read((150.0, 100.0), 40.0, 80)
        assert (far[:37, :37] == 40).all() and (far[43:] == 255).all() and (far[:, 43:] == 255).all()
        assert (slide.read((-500.0, 900.0), 40.0, 20) == 255).all()


def test_a_width_between_whole_pixels_is_not_rounded(tmp_path: Path) -> None:
    """On a ramp of 30 a pixel, a window of 3.5 pixels has 7 samples half a pixel apart."""
    ramp = np.clip(30 * (np.arange(64) - 20), 0, 255).astype(np.uint8)
    path = pictures.save_image(tmp_path / "s.png", np.broadcast_to(ramp[None, :, None], (64, 64, 3)).copy())
    for mpp in (0.5, 0.37):
        with open_slide(path, mpp=mpp) as slide:
            row = slide.read((24.3 * mpp, 30.0 * mpp), 3.5 * mpp, 7)[3, :, 0].astype(float)
        assert np.diff(row) == pytest.approx(np.full(6, 15.0), abs=1.01)
        assert row[-1] - row[0] == pytest.approx(90.0, abs=1.01)


def test_native_pixels_are_not_touched(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (120, 150, 3), dtype=np.uint8)
    with open_slide(pictures.save_image(tmp_path / "s.png", pixels), mpp=0.5) as slide:
        assert np.array_equal(slide.read((30.0, 25.0), 32.0, 64), pixels[18:82, 28:92])


def test_reduction_is_antialiased(tmp_path: Path) -> None:
    """A chessboard of single pixels must become grey, not black, white or a moiré."""
    board = (np.indices((600, 600)).sum(0) % 2 * 255).astype(np.uint8)[..., None].repeat(3, 2)
    with open_slide(pictures.save_image(tmp_path / "s.png", board), mpp=0.5) as slide:
        for px in (100, 57, 31):
            inner = slide.read((150.0, 150.0), 200.0, px)
            assert np.abs(inner.astype(int) - 128).max() <= 3


def test_finest_sufficient_level() -> None:
    """A coarser level would have to be enlarged; a finer one costs time for nothing."""
    levels = [Level(4000, 4000, 1.0), Level(1000, 1000, 4.0), Level(250, 250, 16.0)]
    assert [choose_level(levels, r) for r in (0.3, 1.0, 3.9, 4.0, 15.0, 16.0, 90.0)] == [0, 0, 0, 1, 1, 2, 2]


def test_rounded_level_sizes_mean_whole_reductions() -> None:
    """1003 px reduced by 4 are 250, a ratio of 4.012: taken at its word it shifts the right edge by 3 px."""
    assert [level.downsample for level in levels_of([(1003, 701), (501, 350), (250, 175)])] == [1.0, 2.0, 4.0]
    assert levels_of([(1000, 1000), (300, 300)])[1].downsample == pytest.approx(10 / 3)


def test_many_equal_one_by_one_in_any_thread(tmp_path: Path) -> None:
    """Also the first read, that decodes, when eight threads come at once."""
    path = pictures.save_image(tmp_path / "s.png", pictures.painted(W, H, 0.25))
    centres = np.random.default_rng(1).uniform(20, 150, (24, 2))
    with open_slide(path, mpp=0.25) as slide:
        with ThreadPoolExecutor(8) as pool:
            together = list(pool.map(lambda c: slide.read(c, 30.0, 48), centres))
        assert np.array_equal(np.stack(together), slide.read_many(centres, 30.0, 48))
    assert len(slide.read_many(np.empty((0, 2)), 30.0, 48)) == 0


def test_thumbnail(tmp_path: Path) -> None:
    for save in (pictures.save_plain, pictures.save_pyramid):
        with open_slide(save(tmp_path / "s.tif", pictures.painted(W, H, 0.25), 0.25)) as slide:
            picture, um_per_px = slide.thumbnail(125)
            assert picture.shape == (87, 125, 3) and um_per_px == pytest.approx(0.25 * W / 125)
            x, y = ((np.arange(n) + 0.5) * um_per_px for n in (125, 87))
            error = np.abs(picture - pictures.colour(x[None], y[:, None]))[2:-2, 2:-2]
            assert error.mean() < 1.5
            same, scale = slide.thumbnail(5000)  # never enlarged
            assert same.shape == (H, W, 3) and scale == slide.mpp


def test_closed_slide_refuses(tmp_path: Path) -> None:
    slide = open_slide(pictures.save_image(tmp_path / "s.png", pictures.painted(64, 64, 0.5)), mpp=0.5)
    slide.close()
    with pytest.raises(ValueError, match="closed"):
        slide.read((5.0, 5.0), 5.0, 8)


def test_a_scale_other_than_the_files_is_told_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = pictures.save_plain(tmp_path / "s.tif", pictures.painted(64, 64, 0.5), 0.5)
    with caplog.at_level(logging.INFO, "eosin"):
        assert open_slide(path, mpp=0.5).mpp == 0.5 and not caplog.records
        assert open_slide(path, mpp=0.25).mpp == 0.25
        open_slide(path, mpp=0.25)
    (record,) = caplog.records
    assert record.levelno == logging.WARNING and "0.25" in caplog.text and "0.5" in caplog.text
