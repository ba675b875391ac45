"""Features of a section are made once, kept whole, and never mistaken for another's."""

from __future__ import annotations

import dataclasses
import logging
import os
from collections.abc import Sequence
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from PIL import Image as Picture

from eosin.encoders import Encoder, EncoderCard, View
from eosin.errors import EosinError
from eosin.features import attach, encode, feature_path, read_features, write_features
from eosin.types import Image, Section, Spots

MPP = 0.5


class Colour(Encoder):
    """Mean colour of two windows, counting its calls."""

    def __init__(self, name: str = "colour") -> None:
        self.views = (View(8.0, 16), View(16.0, 8))
        self.spec = name
        self.card = EncoderCard(name, "", "MIT", True, False, 6, "")
        self.calls = 0

    @property
    def key(self) -> str:
        return f"{self.card.name};1"

    def encode(self, tiles: Sequence[torch.Tensor]) -> torch.Tensor:
        self.check_tiles(tiles)
        self.calls += 1
        return torch.cat([tile.float().mean((1, 2)) for tile in tiles], 1)


@pytest.fixture
def section(tmp_path: Path) -> Section:
    pixels = np.zeros((100, 200, 3), np.uint8)
    pixels[:] = np.arange(200, dtype=np.uint8)[None, :, None]  # grey = x in pixels
    Picture.fromarray(pixels).save(tmp_path / "image.png")
    x = np.linspace(10, 90, 23)
    xy = np.stack([x, np.full(23, 25.0)], 1)
    spots = Spots(xy, 5.0, tuple(f"s{i}" for i in range(23)))
    return Section("A/1", "p", spots, image=Image(tmp_path / "image.png", MPP))


def test_each_spot_gets_its_own_place(section: Section) -> None:
    for batch in (1, 7, 64):
        values = encode(section, Colour(), batch=batch).need_features().values
        np.testing.assert_allclose(values[:, 0], section.spots.xy_um[:, 0] / MPP - 0.5, atol=0.6)
        np.testing.assert_allclose(values[:, 3], values[:, 0], atol=0.6)


def test_finished_is_skipped(section: Section, tmp_path: Path) -> None:
    encoder = Colour()
    first = encode(section, encoder, cache=tmp_path / "c")
    calls = encoder.calls
    second = encode(section, encoder, cache=tmp_path / "c")
    assert encoder.calls == calls
    np.testing.assert_array_equal(first.need_features().values, second.need_features().values)
    assert second.need_features().key == encoder.key and second.need_features().encoder == "colour"


def test_kept_features_need_no_image_file(section: Section, tmp_path: Path) -> None:
    encode(section, Colour(), cache=tmp_path / "c")
    section.image.path.unlink()
    assert encode(section, Colour(), cache=tmp_path / "c").features is not None


def _moved(section: Section) -> Section:
    xy = section.spots.xy_um + 0.5
    return dataclasses.replace(section, spots=Spots(xy, 5.0, section.spots.ids))


def _renamed(section: Section) -> Section:
    return dataclasses.replace(section, spots=Spots(section.spots.xy_um, 5.0, section.spots.ids[::-1]))


def _rescaled(section: Section) -> Section:
    return dataclasses.replace(section, image=Image(section.image.path, 0.55))


def _repainted(section: Section) -> Section:
    Picture.fromarray(np.full((100, 200, 3), 9, np.uint8)).save(section.image.path)
    return section


@pytest.mark.parametrize("change", [_moved, _renamed, _rescaled, _repainted])
def test_outdated_is_made_again(section: Section, tmp_path: Path, change, caplog: pytest.LogCaptureFixture) -> None:
    encode(section, Colour(), cache=tmp_path / "c")
    other, encoder = change(section), Colour()
    again = encode(other, encoder, cache=tmp_path / "c")
    assert encoder.calls > 0 and "again" in caplog.text
    np.testing.assert_array_equal(again.need_features().values, encode(other, Colour()).need_features().values)


def test_encoders_do_not_share_files(section: Section, tmp_path: Path) -> None:
    assert feature_path(tmp_path, "A/1", Colour()) != feature_path(tmp_path, "A/1", Colour("hue"))
    assert feature_path(tmp_path, "A/1", Colour()) != feature_path(tmp_path, "A_1", Colour())


@pytest.mark.parametrize("damage", ["truncate", "flip", "empty", "text"])
def test_damaged_file_is_rebuilt_and_said(
    section: Section, tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    good = encode(section, Colour(), cache=tmp_path / "c").need_features().values
    path = feature_path(tmp_path / "c", section.name, Colour())
    whole = bytearray(path.read_bytes())
    if damage == "flip":
        place = bytes(whole).find(good.tobytes()[:40])
        whole[place + 5] ^= 0x40
    cut = {"truncate": bytes(whole[: len(whole) // 2]), "flip": bytes(whole), "empty": b"", "text": b"features" * 90}
    path.write_bytes(cut[damage])
    with pytest.raises(EosinError, match=path.name):
        read_features(path)
    encoder = Colour()
    with caplog.at_level(logging.WARNING, "eosin"):
        again = encode(section, encoder, cache=tmp_path / "c").need_features().values
    assert encoder.calls > 0 and str(path) in caplog.text and "again" in caplog.text
    np.testing.assert_array_equal(again, good)
    np.testing.assert_array_equal(read_features(path).values, good)


def test_what_was_done_before_a_stop_is_kept_beside_the_file(section: Section, tmp_path: Path) -> None:
    class Fails(Colour):
        def encode(self, tiles: Sequence[torch.Tensor]) -> torch.Tensor:
            if self.calls:
                raise KeyboardInterrupt
            return super().encode(tiles)

    with pytest.raises(KeyboardInterrupt):
        encode(section, Fails(), cache=tmp_path / "c", batch=4)
    path = feature_path(tmp_path / "c", section.name, Colour())
    assert [p for p in (tmp_path / "c").rglob("*") if p.is_file()] == [path.with_name(f"{path.name}.part")]
    encode(section, Colour(), cache=tmp_path / "c", batch=4)
    assert [p for p in (tmp_path / "c").rglob("*") if p.is_file()] == [path]


def test_what_a_killed_writer_left_is_removed(section: Section, tmp_path: Path) -> None:
    """Feature files are written in pieces beside their place, and may be large; another section's are not touched."""
    path = feature_path(tmp_path / "c", section.name, Colour())
    path.parent.mkdir(parents=True)
    left, other = path.with_name(f".{path.stem}-ab_d1234.h5"), path.with_name(f".{path.stem}-B-ab_d1234.h5")
    left.touch(), other.touch()
    encode(section, Colour(), cache=tmp_path / "c")
    assert sorted(path.parent.iterdir()) == sorted([path, other])


def test_a_verb_need_not_keep_the_features_of_all_sections(section: Section, tmp_path: Path) -> None:
    from eosin.api.encode import encode as encode_all

    kept = encode_all([section], encoder=Colour(), out=tmp_path / "c")
    left = encode_all([section], encoder=Colour(), out=tmp_path / "c", keep=False)
    assert kept[0].features is not None and left[0].features is None and len(left[0]) == 23


def test_spots_off_the_image(section: Section) -> None:
    """At a wrong scale spots fall off the image; a window that only crosses the border is padded."""
    edge = dataclasses.replace(section, spots=Spots(np.array([[0.0, 0.0], [100.0, 50.0]]), 5.0, ("a", "b")))
    assert encode(edge, Colour()).need_features().values[0, 0] > 150
    small = dataclasses.replace(section, image=Image(section.image.path, 0.25))
    with pytest.raises(EosinError, match=r"image.png: section 'A/1': 11 of 23 spots lie outside .* 50 x 25 µm.*--mpp"):
        encode(small, Colour())
    with pytest.raises(EosinError, match="has no image"):
        encode(dataclasses.replace(section, image=None), Colour())


def test_half_precision_is_the_same_fresh_and_kept(section: Section, tmp_path: Path) -> None:
    fresh = encode(section, Colour(), cache=tmp_path / "c", half=True).need_features().values
    kept = encode(section, Colour(), cache=tmp_path / "c").need_features().values
    np.testing.assert_array_equal(fresh, kept)
    with h5py.File(feature_path(tmp_path / "c", section.name, Colour())) as file:
        assert file["features"].dtype == np.float16
    with pytest.raises(EosinError, match="float16"):
        write_features(tmp_path / "x.h5", ["a"], np.zeros((1, 2)), np.full((1, 1), 1e6), _ATTRS, half=True)


_ATTRS = {"mpp": 0.5, "tile_um": 8.0, "patch_size": 16, "patch_size_level0": 16, "level0_width": 9, "level0_height": 9}


def test_other_tools_can_read_it(section: Section, tmp_path: Path) -> None:
    encode(section, Colour(), cache=tmp_path / "c")
    with h5py.File(feature_path(tmp_path / "c", section.name, Colour())) as file:
        assert file["features"].shape == (23, 6) and file["features"].dtype == np.float32
        about = dict(file["coords"].attrs)
        assert about["patch_size"] == 16 and about["patch_size_level0"] == 16
        assert (about["level0_width"], about["level0_height"]) == (200, 100) and about["level0_magnification"] == 20
        centres_px = file["coords"][:] + about["patch_size_level0"] / 2
        np.testing.assert_allclose(centres_px * MPP, section.spots.xy_um, atol=0.51 * MPP)
        assert [b.decode() for b in file["barcodes"][:]] == list(section.spots.ids)
        assert file.attrs["encoder_key"] == Colour().key and file.attrs["mpp"] == MPP


def test_attach_ours(section: Section, tmp_path: Path) -> None:
    made = encode(section, Colour(), cache=tmp_path / "c").need_features()
    some = section.take(np.array([20, 3, 7]))
    for asked in ("colour", "colour;1"):
        got = attach(some, tmp_path / "c", asked).need_features()
        np.testing.assert_array_equal(got.values, made.values[[20, 3, 7]])
        assert got.key == made.key and got.encoder == "colour"
    assert attach(section, tmp_path / "c", "hue") is None
    assert attach(dataclasses.replace(section, name="B"), tmp_path / "c", "colour") is None
    with pytest.raises(EosinError, match="no such folder"):
        attach(section, tmp_path / "gone", "colour")


def test_attach_tridents_by_place(section: Section, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    order = rng.permutation(23)
    values = rng.normal(size=(23, 4)).astype(np.float32)
    named = dataclasses.replace(section, name="T")
    with h5py.File(tmp_path / "T.h5", "w") as file:
        file["features"] = values[order]
        file["coords"] = np.round(section.spots.xy_um[order] / MPP - 8).astype(int)
        file["coords"].attrs.update({"patch_size": 16, "patch_size_level0": 16})
    np.testing.assert_array_equal(attach(named, tmp_path, "uni").need_features().values, values)
    with pytest.raises(EosinError, match=r"T.h5: no features for 23 of the 23 spots"):
        attach(_moved(_moved(_moved(named))), tmp_path, "uni")


def test_attach_hests_by_name(section: Section, tmp_path: Path) -> None:
    with h5py.File(tmp_path / "T.h5", "w") as file:
        file["embeddings"] = np.arange(22.0)[:, None]
        file["coords"] = np.zeros((22, 2), int)
        file["barcodes"] = np.array([[f"s{i}".encode()] for i in range(22)])
    named = dataclasses.replace(section, name="T")
    with pytest.raises(EosinError, match=r"no features for 1 of the 23 spots .*first 's22'"):
        attach(named, tmp_path, "uni")
    got = attach(named.take(np.arange(22)[::-1]), tmp_path, "uni").need_features()
    assert got.values[:, 0].tolist() == list(range(22))[::-1]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_unwritable_cache(section: Section, tmp_path: Path) -> None:
    (tmp_path / "c").mkdir(mode=0o500)
    with pytest.raises(EosinError, match="permissions"):
        encode(section, Colour(), cache=tmp_path / "c")
