"""Another sample's image of the same size, and a turned one, are told from the picture that Space Ranger saw."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image as Picture
from PIL import ImageEnhance
from scipy import ndimage

import eosin
from eosin.errors import EosinError
from eosin.slide import check_same_picture, open_slide
from unit.data.layouts_10x import counts, visium_positions, write_visium

SIZE = (1000, 900)


@functools.cache
def tissue(seed: int) -> np.ndarray:
    """A blob of pink tissue of two shades on white [h w 3]; another one for another seed."""
    rng = np.random.default_rng(seed)
    height, width = SIZE[1], SIZE[0]
    y, x = np.mgrid[0:height, 0:width]
    field = np.asarray(ndimage.zoom(rng.normal(size=(10, 11)), (height / 10, width / 11), order=3))[:height, :width]
    fine = np.asarray(ndimage.zoom(rng.normal(size=(45, 50)), (height / 45, width / 50), order=1))[:height, :width]
    inside = ((x - width / 2) / (0.42 * width)) ** 2 + ((y - height / 2) / (0.4 * height)) ** 2 + 0.3 * field < 0.8
    shade = np.clip(170 + 25 * fine - 40 * (field > 0.3), 40, 230)
    grey = np.where(inside, shade, 240)
    return np.stack([grey, grey - 60 * inside, grey - 20 * inside], 2).clip(0, 255).astype(np.uint8)


def save(file: Path, pixels: np.ndarray, share: float = 1.0) -> Path:
    picture = Picture.fromarray(np.ascontiguousarray(pixels))
    picture.resize((round(picture.width * share), round(picture.height * share)), Picture.Resampling.BOX).save(file)
    return file


def compare(folder: Path, pixels: np.ndarray, seed: int = 0) -> None:
    with open_slide(save(folder / "S.png", pixels), mpp=0.5) as slide:
        check_same_picture(slide, save(folder / "hires.png", tissue(seed), 0.2))


SAME: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "itself": lambda a: a,
    "dark": lambda a: (a * 0.6).astype(np.uint8),
    "gamma": lambda a: (255 * (a / 255.0) ** 2.2).astype(np.uint8),
    "pale": lambda a: (a * 0.4 + 120).astype(np.uint8),
    "blue for red": lambda a: a[..., ::-1],
    "saturated": lambda a: np.asarray(ImageEnhance.Color(Picture.fromarray(a)).enhance(2.5)),
    "grainy": lambda a: (a + np.random.default_rng(0).normal(0, 30, a.shape)).clip(0, 255).astype(np.uint8),
    "a few pixels cropped": lambda a: a[6:-6, 7:-7],
    "never scanned beside": lambda a: np.where((a > 235).all(2, keepdims=True), 0, a).astype(np.uint8),
    "twice as fine": lambda a: a.repeat(2, 0).repeat(2, 1),
    "blank": lambda a: np.full_like(a, 240),
}


@pytest.mark.parametrize("how", SAME)
def test_the_same_tissue_is_the_same_whatever_its_colours(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, how: str
) -> None:
    compare(tmp_path, SAME[how](tissue(0)))
    assert not [record for record in caplog.records if "hires" in record.getMessage()]


@pytest.mark.parametrize(
    ("turn", "said"),
    [
        (lambda a: a[::-1, ::-1], "turned by 180°"),
        (lambda a: a[:, ::-1], "mirrored left to right"),
        (lambda a: a[::-1], "mirrored top to bottom"),
        (lambda a: np.rot90(a), "turned by 90° to the right"),
    ],
)
def test_a_turned_picture_is_refused_with_its_turn(tmp_path: Path, turn, said: str) -> None:
    with pytest.raises(EosinError, match=rf"S\.png: is not the picture of hires\.png .*{said} (0\.9|1\.0)"):
        compare(tmp_path, turn(tissue(0)))


def test_another_sample_is_refused_or_warned_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """All have their tissue in the middle."""
    n_refused = 0
    for seed in range(1, 9):
        caplog.clear()
        try:
            compare(tmp_path, tissue(seed))
        except EosinError as error:
            n_refused += 1
            assert "give the image of this sample" in str(error)
        else:
            assert "looks little like hires.png" in caplog.text
    assert n_refused < 8


def test_something_else_is_refused(tmp_path: Path) -> None:
    other = np.full_like(tissue(0), 240)
    other[:, :300] = 120
    with pytest.raises(EosinError, match=r"give the image of this sample; if it is, take hires\.png away"):
        compare(tmp_path, other)


def test_a_copy_that_does_not_open_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "hires.png").write_bytes(b"no image")
    with open_slide(save(tmp_path / "S.png", tissue(0)), mpp=0.5) as slide:
        check_same_picture(slide, tmp_path / "hires.png")


def test_encode_compares_a_sample_of_visium(tmp_path: Path) -> None:
    sample = write_visium(tmp_path / "S" / "outs", counts(7), _inside())
    save(sample / "spatial" / "tissue_hires_image.png", tissue(0), 0.2)
    how = {"encoder": "pixels?px=8", "tile_um": 50.0, "mpp": 0.5}
    save(tmp_path / "S" / "S.png", tissue(0))
    assert len(eosin.encode(tmp_path / "S", out=tmp_path / "right", **how)[0]) == 7
    save(tmp_path / "S" / "S.png", tissue(0)[::-1, ::-1])
    with pytest.raises(EosinError, match=r"S\.png: is not the picture of tissue_hires_image\.png"):
        eosin.encode(tmp_path / "S", out=tmp_path / "turned", **how)
    assert not list((tmp_path / "turned").rglob("*.h5"))


def _inside() -> pd.DataFrame:
    """Nine places of spots that lie on the image."""
    frame = visium_positions(3, 3)
    pixels = ["pxl_row_in_fullres", "pxl_col_in_fullres"]
    return frame.assign(**{name: frame[name] - 800 for name in pixels})
