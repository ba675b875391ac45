"""Pictures that would be read as others than they are: crops as levels, colours marked grey, unused bits, twins."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
import tifffile

from eosin.errors import EosinError
from eosin.slide import open_slide
from eosin.slide.source import same_picture
from unit.slide.pictures import halved, painted, window

PIXELS = painted(600, 500, 0.5)
CENTRE_UM = (100.0, 100.0)


def far_from_true(path: Path) -> float:
    """Mean difference of a coarse and a fine window from what a perfect reader gives."""
    with open_slide(path, mpp=0.5) as slide:
        windows = [(160.0, 40), (40.0, 80)]
        return max(
            float(np.abs(slide.read(CENTRE_UM, um, px) - window(CENTRE_UM, um, px)).mean()) for um, px in windows
        )


def pyramid(path: Path, reduced: np.ndarray, *, ome: bool) -> Path:
    options: dict[str, Any] = {"tile": (128, 128), "photometric": "rgb"}
    with tifffile.TiffWriter(path, ome=ome) as file:
        file.write(PIXELS, **options, **({"subifds": 1} if ome else {}))
        file.write(np.ascontiguousarray(reduced), subfiletype=1, **options)
    return path


@pytest.mark.parametrize("ome", [False, True])
@pytest.mark.parametrize("kind", ["crop", "padded", "narrow"])
def test_a_reduced_level_of_another_shape_is_not_used(tmp_path: Path, kind: str, *, ome: bool) -> None:
    half = halved(PIXELS)
    padded = np.pad(half, ((0, 6), (0, 84), (0, 0)), constant_values=255)  # to whole tiles
    reduced = {"crop": half[:200, :250], "padded": padded, "narrow": half[:, ::2]}[kind]
    assert far_from_true(pyramid(tmp_path / "a.tif", reduced, ome=ome)) < 1
    with open_slide(tmp_path / "a.tif", mpp=0.5) as slide:
        assert len(slide._source.levels) == 1


def test_levels_whose_sizes_were_rounded_are_used() -> None:
    for sizes_px in (
        [(46000, 32914), (11500, 8228), (2875, 2057)],
        [(109240, 220696), (54620, 110348), (213, 431)],
        [(1000, 777), (125, 97), (16, 12), (15, 13)],
    ):
        assert same_picture(sizes_px) == list(range(len(sizes_px)))
    assert same_picture([(46000, 32914), (11776, 8228), (5750, 4114)]) == [0, 2]


@pytest.mark.parametrize("n_levels", [1, 2])
def test_colours_that_are_marked_grey(tmp_path: Path, n_levels: int) -> None:
    """OpenSlide shows the first of them as grey."""
    path, pixels = tmp_path / "a.tif", PIXELS
    with tifffile.TiffWriter(path) as file:
        for level in range(n_levels):
            kind = {"photometric": "minisblack", "planarconfig": "contig", "subfiletype": int(level > 0)}
            file.write(pixels, tile=(128, 128), metadata=None, **kind)
            pixels = halved(pixels)
    assert far_from_true(path) < 1


@pytest.mark.parametrize("ome", [False, True])
def test_images_of_one_size_in_a_file_are_said(tmp_path: Path, caplog: pytest.LogCaptureFixture, *, ome: bool) -> None:
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path, ome=ome) as file:
        for pixels in (PIXELS, 255 - PIXELS):
            file.write(pixels, photometric="rgb", tile=(128, 128))
        file.write(PIXELS[:50, :50], photometric="rgb")  # a label
    with caplog.at_level(logging.WARNING, "eosin"):
        assert far_from_true(path) < 1
    assert "holds 2 images of one size, of which the first is read" in caplog.text


@pytest.mark.parametrize("suffix", ["png", "jp2"])
def test_sixteen_bits_of_which_twelve_are_used_are_refused(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    encode = imagecodecs.png_encode if suffix == "png" else lambda pixels: imagecodecs.jpeg2k_encode(pixels, level=0)
    path.write_bytes(encode(PIXELS.astype(np.uint16) * 257))
    assert far_from_true(path) < 1
    path.write_bytes(encode(PIXELS.astype(np.uint16) * 16))
    with open_slide(path, mpp=0.5) as slide:
        with pytest.raises(EosinError, match=r"its 16 bits are used up to 1\d/256 only, so that it is nearly black"):
            slide.read(CENTRE_UM, 40.0, 40)
