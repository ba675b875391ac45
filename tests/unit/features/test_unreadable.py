"""A tile that cannot be read is marked and told; its spot is left out of what is trained on and predicted."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import h5py
import numpy as np
import pytest
import tifffile
import torch
from PIL import Image as Picture

from eosin.encoders import Encoder, EncoderCard, View
from eosin.errors import EosinError
from eosin.features import attach, encode, feature_path, read_features
from eosin.features.feature_section import section_of_features
from eosin.features.read_ahead import read_ahead
from eosin.slide import open_slide
from eosin.types import Image, Section, Spots

MPP, SIDE, TILE = 0.5, 512, 128
BAD = 6
"""The tile of the image that is damaged, of 4 x 4."""


class Mean(Encoder):
    def __init__(self) -> None:
        self.views, self.spec = (View(40.0, 40), View(20.0, 40)), "mean"
        self.card = EncoderCard("mean", "", "MIT", True, False, 6, "")

    @property
    def key(self) -> str:
        return "mean;1"

    def encode(self, tiles: Sequence[torch.Tensor]) -> torch.Tensor:
        self.check_tiles(tiles)
        return torch.cat([tile.float().mean((1, 2)) for tile in tiles], 1)


def save(path: Path, *, bad: Sequence[int], compression: str = "deflate", levels: int = 2) -> Path:
    """A pyramid of which some tiles hold no image."""
    pixels = np.random.default_rng(0).integers(60, 250, (SIDE, SIDE, 3)).astype(np.uint8)
    with tifffile.TiffWriter(path) as file:
        for k in range(levels):
            options = {"tile": (TILE, TILE), "photometric": "rgb", "compression": compression}
            file.write(pixels[:: 2**k, :: 2**k], subfiletype=int(k > 0), **options)
    with tifffile.TiffFile(path) as file:
        page = file.pages[0]
        places = [(page.dataoffsets[i], page.databytecounts[i]) for i in bad]
    content = bytearray(path.read_bytes())
    for offset, n in places:
        content[offset : offset + n] = b"\0" * n
    path.write_bytes(content)
    return path


def section_on(path: Path) -> Section:
    """A spot in the middle of each tile of the image."""
    at = (np.arange(SIDE // TILE) + 0.5) * TILE * MPP
    xy = np.stack(np.meshgrid(at, at), -1).reshape(-1, 2)
    return Section("A1", "p", Spots(xy, 40.0, tuple(f"s{i}" for i in range(len(xy)))), image=Image(path, MPP))


@pytest.mark.parametrize("vendor", [True, False])
def test_one_damaged_tile_spoils_no_other(tmp_path: Path, *, vendor: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not vendor:
        monkeypatch.setattr("openslide.OpenSlide.detect_format", lambda path: None)
    whole = encode(section_on(save(tmp_path / "good.tif", bad=())), Mean(), batch=3)
    section = section_on(save(tmp_path / "bad.tif", bad=(BAD,)))
    with open_slide(tmp_path / "bad.tif", mpp=MPP) as slide:
        assert ("OpenSlide" in type(slide._source).__name__) == vendor
    made = encode(section, Mean(), batch=3)
    kept = np.arange(16) != BAD
    assert made.spots.ids == tuple(np.array(whole.spots.ids)[kept])
    np.testing.assert_array_equal(made.need_features().values, whole.need_features().values[kept])


@pytest.mark.parametrize("symmetries", [False, True])
def test_the_file_marks_it_and_every_way_to_read_leaves_it_out(
    tmp_path: Path, *, symmetries: bool, caplog: pytest.LogCaptureFixture
) -> None:
    section = section_on(save(tmp_path / "bad.tif", bad=(BAD,)))
    with caplog.at_level(logging.WARNING, "eosin"):
        made = encode(section, Mean(), cache=tmp_path / "c", symmetries=symmetries)
    (told,) = [record.getMessage() for record in caplog.records]
    assert "'A1': 1 of 16 tiles could not be read, first 's6'; left out" in told and "bad.tif" in told
    assert made.notes == ("1 of 16 tiles could not be read, first 's6'; left out",)
    path = feature_path(tmp_path / "c", "A1", Mean())
    with h5py.File(path) as file:
        assert np.flatnonzero(~file["readable"][:]).tolist() == [BAD]
        assert all(not file[name][BAD].any() for name in ("features", *(["turned"] if symmetries else [])))
    again = encode(section, Mean(), cache=tmp_path / "c")
    attached = attach(section.take(np.array([7, 6, 5])), tmp_path / "c", "mean")
    alone = section_of_features(path, "mean")
    for one, ids in ((again, made.spots.ids), (attached, ("s7", "s5")), (alone, made.spots.ids)):
        assert one is not None and one.spots.ids == ids and len(one.need_features().values) == len(ids)


def test_completing_keeps_the_mark(tmp_path: Path) -> None:
    """A tile is readable if it was so for the features and for the turned ones."""
    good = save(tmp_path / "image.tif", bad=()).read_bytes()
    section = section_on(save(tmp_path / "image.tif", bad=(BAD,)))
    encode(section, Mean(), cache=tmp_path / "c")
    path = feature_path(tmp_path / "c", "A1", Mean())
    before = read_features(path).values
    (tmp_path / "image.tif").write_bytes(good)
    with h5py.File(path, "r+") as file:  # as if the damage had been no part of what tells images apart
        file.attrs["image"] = _mark(tmp_path, section)
    encode(section, Mean(), cache=tmp_path / "c", symmetries=True)
    file = read_features(path, turned=True)
    assert np.flatnonzero(~file.readable).tolist() == [BAD] and file.turned is not None
    np.testing.assert_array_equal(file.values, before)


def _mark(tmp_path: Path, section: Section) -> str:
    encode(section, Mean(), cache=tmp_path / "other")
    return str(read_features(feature_path(tmp_path / "other", "A1", Mean())).attrs["image"])


def test_a_slide_of_which_nothing_can_be_read_is_an_error(tmp_path: Path) -> None:
    section = section_on(save(tmp_path / "bad.tif", bad=range(16)))
    with pytest.raises(EosinError, match=r"bad.tif: cannot be decoded"):
        encode(section, Mean(), cache=tmp_path / "c", batch=5)
    assert not list((tmp_path / "c").rglob("*.h5"))


def test_an_image_that_is_decoded_whole_fails_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Picture.fromarray(np.random.default_rng(0).integers(0, 255, (512, 512, 3)).astype(np.uint8)).save(
        tmp_path / "a.png"
    )
    content = (tmp_path / "a.png").read_bytes()
    (tmp_path / "a.png").write_bytes(content[: len(content) // 2])
    section = section_on(tmp_path / "a.png")
    with pytest.raises(EosinError, match=r"a.png: cannot be decoded"):
        encode(section, Mean())
    tiles = read_ahead(open_slide(tmp_path / "a.png", mpp=0.5), section.spots.xy_um, Mean().views, 5)
    with pytest.raises(EosinError, match=r"a.png: cannot be decoded"):  # no batch of blanks comes first
        next(tiles)


def test_marks_of_another_shape_are_refused(tmp_path: Path) -> None:
    encode(section_on(save(tmp_path / "good.tif", bad=())), Mean(), cache=tmp_path / "c")
    path = feature_path(tmp_path / "c", "A1", Mean())
    with h5py.File(path, "r+") as file:
        del file["readable"]
        file["readable"] = np.ones(3)
    with pytest.raises(EosinError, match=r"'readable' is float64 \(3,\) for 16 tiles"):
        read_features(path)
    with h5py.File(path, "r+") as file:
        del file["readable"]  # as older files, and other tools'
    assert read_features(path).readable.all()
