"""What a picture does not show is white and no black tissue: transparent pixels, tiles that were not stored."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from eosin.errors import EosinError
from eosin.slide import open_slide
from unit.slide.pictures import painted

PIXELS = painted(256, 192, 0.5)
LEFT, RIGHT = np.array([32.0, 48.0]), np.array([96.0, 48.0])
"""Centres of the halves, µm."""


def write(path: Path, pixels: np.ndarray, *, n_levels: int, ome: bool, **options: Any) -> Path:
    """A tiled TIFF; reduced levels are every second pixel."""
    with tifffile.TiffWriter(path, ome=ome) as file:
        for level in range(n_levels):
            first = {"subifds": n_levels - 1, "metadata": {}} if ome else {"metadata": None}
            inner = {"subfiletype": 1} if level else first
            file.write(pixels, photometric="rgb", tile=(32, 32), **options, **inner)
            pixels = np.ascontiguousarray(pixels[::2, ::2])
    return path


def without_left_half(path: Path) -> Path:
    """The same file, in which the tiles of the left half are stated to hold nothing, on every level."""
    with tifffile.TiffFile(path, mode="r+") as file:
        for level in file.series[0].levels:
            page: Any = level.pages[0].aspage()
            n_columns = -(-page.imagewidth // 32)
            stored = [i % n_columns >= n_columns // 2 for i in range(len(page.databytecounts))]
            for name in ("TileByteCounts", "TileOffsets"):
                values = page.tags[name].value
                page.tags[name].overwrite([int(n) if kept else 0 for n, kept in zip(values, stored)])
    return path


def check_halves(path: Path) -> None:
    with open_slide(path, mpp=0.5) as slide:
        for px in (100, 20):
            assert (slide.read(LEFT, 40.0, px) == 255).all()
            assert np.abs(slide.read(RIGHT, 40.0, px).mean((0, 1)) - PIXELS[56:136, 152:232].mean((0, 1))).max() < 3


@pytest.mark.parametrize("ome", [False, True])
@pytest.mark.parametrize("n_levels", [1, 2])
@pytest.mark.parametrize("compression", ["deflate", "jpeg", "jpeg2000"])
def test_tiles_that_were_not_stored_are_white(tmp_path: Path, compression: str, n_levels: int, *, ome: bool) -> None:
    path = write(tmp_path / "a.tif", PIXELS, n_levels=n_levels, ome=ome, compression=compression)
    check_halves(without_left_half(path))


@pytest.mark.parametrize("kind", ["unassalpha", "assocalpha", "unspecified"])
@pytest.mark.parametrize(("n_levels", "ome"), [(1, False), (2, False), (2, True)])
@pytest.mark.parametrize("compression", ["deflate", "webp"])
def test_tiles_that_are_transparent_are_white(
    tmp_path: Path, compression: str, n_levels: int, kind: str, *, ome: bool
) -> None:
    """Black below an opacity of 0, as scans of an irregular outline have it."""
    opacity = np.full((192, 256, 1), 255, np.uint8)
    opacity[:, :128] = 0
    options = {"compression": compression, "extrasamples": [kind]}
    options |= {"compressionargs": {"lossless": True}} if compression == "webp" else {}
    picture = np.dstack([PIXELS * (opacity > 0), opacity])
    check_halves(write(tmp_path / "a.tif", picture, n_levels=n_levels, ome=ome, **options))


@pytest.mark.parametrize(("n_levels", "ome"), [(1, False), (2, False), (2, True)])
def test_a_tiled_picture_that_is_transparent_everywhere_is_refused(tmp_path: Path, n_levels: int, *, ome: bool) -> None:
    picture = np.dstack([PIXELS, np.zeros((192, 256), np.uint8)])
    options = {"extrasamples": ["unassalpha"], "compression": "deflate", "n_levels": n_levels, "ome": ome}
    path = write(tmp_path / "a.tif", picture, **options)
    with pytest.raises(EosinError, match="its opacity is 0 everywhere"):
        open_slide(path, mpp=0.5)
    picture[-1, -1, 3] = picture[-2, -2, 3] = 255  # one place shows something
    open_slide(write(path, picture, **options), mpp=0.5).close()


def test_strips_that_were_not_stored_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, PIXELS, photometric="rgb", rowsperstrip=64, metadata=None)
    with tifffile.TiffFile(path, mode="r+") as file:
        tag = file.pages.first.tags["StripByteCounts"]
        tag.overwrite([*tag.value[:-1], 0])
    with pytest.raises(EosinError, match="lacks some of its strips"):
        open_slide(path, mpp=0.5)
