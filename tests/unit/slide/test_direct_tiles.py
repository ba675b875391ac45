"""JPEG tiles that are decoded directly have the pixels that OpenSlide gives, and what is no such tile is left to it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import tifffile

from eosin.errors import EosinError
from eosin.slide import open_slide
from eosin.slide.direct_tiles import DirectTiles
from eosin.slide.tiff_tiles import TiffTiles
from eosin.slide.vendor import OpenSlideSource
from unit.slide import pictures

Both = Callable[[Path], tuple[DirectTiles, OpenSlideSource]]
SIZE = 520, 392
APERIO = "Aperio Image Library v12.0\r\n520x392 (128x128) JPEG Q=90|AppMag = 20|MPP = 0.5"


def save(path: Path, how: str = "", side: int = 128, size: tuple[int, int] = SIZE) -> Path:
    """A pyramid of JPEG tiles: colours as YCbCr of full or half resolution, as RGB, or as Aperio writes them."""
    rng = np.random.default_rng(0)
    pixels = pictures.painted(*size, 0.5)
    pixels = np.clip(pixels + rng.normal(0, 12, pixels.shape), 0, 255).astype(np.uint8)
    colours = {"photometric": "rgb"} if how == "rgb" else {"photometric": "ycbcr"}
    halves = {"subsampling": (2, 2)} if how == "half" else {}
    with tifffile.TiffWriter(path) as file:
        for level in range(2):
            scale = {"resolution": (2e4, 2e4), "resolutionunit": 3} if level == 0 else {"subfiletype": how != "aperio"}
            about = {"description": APERIO, "metadata": None} if how == "aperio" else {}
            file.write(pixels, tile=(side, side), compression="jpeg", **colours, **halves, **scale, **about)
            if how == "aperio" and level == 0:  # a thumbnail in strips
                file.write(pixels[::8, ::8], photometric="rgb", description=APERIO, metadata=None)
            pixels = pictures.halved(pixels)
    return path


def boxes(source: DirectTiles, level: int) -> list[tuple[int, int, int, int]]:
    rng, size = np.random.default_rng(level), source.levels[level]
    corners = [(0, 0, 128, 128), (128, 0, 128, 128), (0, 0, size.width, size.height)]
    for _ in range(12):
        x, y = int(rng.integers(size.width - 1)), int(rng.integers(size.height - 1))
        corners.append((x, y, int(rng.integers(1, size.width - x + 1)), int(rng.integers(1, size.height - y + 1))))
    return corners


@pytest.fixture
def both() -> Iterator[Both]:
    """A file as eosin opens it, and by OpenSlide alone; closed at the end."""
    with contextlib.ExitStack() as stack:

        def opened(path: Path) -> tuple[DirectTiles, OpenSlideSource]:
            source, plain = stack.enter_context(open_slide(path))._source, OpenSlideSource(path)
            stack.callback(plain.close)
            assert isinstance(source, DirectTiles) and source.library == "OpenSlide"
            return source, plain

        yield opened


@pytest.mark.parametrize("how", ["", "half", "rgb", "aperio"])
def test_pixels_are_those_of_openslide(tmp_path: Path, how: str, both: Both) -> None:
    path = save(tmp_path / "s.svs", how)
    source, plain = both(path)
    for level in range(2):
        for box in boxes(source, level):
            np.testing.assert_array_equal(source.region(level, *box), plain.region(level, *box))
    assert sorted(source._direct) == [0, 1]  # none was given up


def test_a_level_between_whole_downsamples_is_left_to_openslide(tmp_path: Path, both: Both) -> None:
    path = save(tmp_path / "s.tif", size=(521, 393))
    source, plain = both(path)
    assert source.tile_px(0) == 128 and source.tile_px(1) is None
    np.testing.assert_array_equal(source.region(1, 7, 9, 100, 90), plain.region(1, 7, 9, 100, 90))


def test_a_level_that_looks_otherwise_is_left_to_openslide(
    tmp_path: Path, both: Both, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = save(tmp_path / "s.tif")
    source, plain = both(path)
    real = TiffTiles.region
    monkeypatch.setattr(TiffTiles, "region", lambda self, *box: real(self, *box) ^ 1)
    for _ in range(2):
        np.testing.assert_array_equal(source.region(0, 5, 6, 200, 100), plain.region(0, 5, 6, 200, 100))
    assert source.tile_px(0) is None and source.tile_px(1) == 128


@pytest.mark.parametrize("fault", ["left out", "cut", "filled", "noise"])
def test_tiles_left_out_or_damaged_are_as_by_openslide(tmp_path: Path, fault: str, both: Both) -> None:
    path = save(tmp_path / "s.tif")
    with tifffile.TiffFile(path) as file:
        page = file.pages[0]
        start, n, counts = page.dataoffsets[6], page.databytecounts[6], page.tags["TileByteCounts"]
    with path.open("r+b") as file:
        if fault == "left out":
            file.seek(counts.valueoffset + 6 * np.dtype(counts.dtype.name.lower().replace("long", "uint32")).itemsize)
            file.write(bytes(4))
        else:
            n_kept = 0 if fault == "filled" else n // 2
            n_lost = n - n_kept
            file.seek(start + n_kept)
            file.write(np.random.default_rng(0).bytes(n_lost) if fault == "noise" else bytes(n_lost))
    source, _ = both(path)
    source.region(0, 300, 0, 20, 20)
    for box in ((130, 130, 100, 100), (128, 128, 128, 128), (0, 0, 300, 300), (300, 200, 100, 100)):
        _, plain = both(path)
        try:
            known = plain.region(0, *box)
        except EosinError:
            with pytest.raises(EosinError):
                source.region(0, *box)
        else:
            np.testing.assert_array_equal(source.region(0, *box), known)


def test_kinds_of_windows_share_the_tiles_of_a_level(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    decoded: list[int] = []
    real = TiffTiles._tile
    monkeypatch.setattr(TiffTiles, "_tile", lambda self, level, i: decoded.append(i) or real(self, level, i))
    xy = np.stack(np.meshgrid(np.arange(40, 220, 15.0), np.arange(40, 150, 15.0)), -1).reshape(-1, 2)
    views = [(30.0, 48), (50.0, 90), (60.0, 60)]
    with open_slide(save(tmp_path / "s.tif")) as slide:
        shared = slide.sharing_views(xy, views)
        assert shared[0] is shared[1]
        for own, (width_um, px) in zip(shared, views):
            for centre in xy:
                np.testing.assert_array_equal(own.read(centre, width_um, px), slide.read(centre, width_um, px))
        decoded.clear()
        for own, (width_um, px) in zip(slide.sharing_views(xy, views), views):
            for centre in xy:
                own.read(centre, width_um, px)
    assert len(decoded) <= 5 * 4 + 3 * 2
