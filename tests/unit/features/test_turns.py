"""The eight ways to lay a tile, and the feature files that hold seven of them besides."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from PIL import Image as Picture

from eosin.encoders import Encoder, EncoderCard, View, get_encoder
from eosin.errors import EosinError
from eosin.features import attach, encode, feature_path, read_features
from eosin.features.turns import TURNS, UNTURNED, turn
from eosin.types import Features, Image, Section, Spots

WAYS = (UNTURNED, *TURNS)
N = 11


class Probe(Encoder):
    """What a function says of each window, views side by side; counts its calls."""

    def __init__(self, look=lambda tile: tile[:, 0, :, 0]) -> None:
        self.views = (View(8.0, 16), View(16.0, 16))
        self.look, self.calls, self.spec = look, 0, "probe"
        width = 2 * look(torch.zeros(1, 16, 16, 3)).shape[1]
        self.card = EncoderCard("probe", "", "MIT", True, False, width, "")

    @property
    def key(self) -> str:
        return "probe;1"

    def encode(self, tiles: Sequence[torch.Tensor]) -> torch.Tensor:
        self.check_tiles(tiles)
        self.calls += 1
        return torch.cat([self.look(tile.float()) for tile in tiles], 1)


@pytest.fixture
def section(tmp_path: Path) -> Section:
    pixels = np.random.default_rng(0).integers(0, 255, (100, 200, 3)).astype(np.uint8)
    Picture.fromarray(pixels).save(tmp_path / "image.png")
    xy = np.stack([np.linspace(12, 88, N), np.full(N, 25.0)], 1)
    spots = Spots(xy, 5.0, tuple(f"s{i}" for i in range(N)))
    return Section("A1", "p", spots, image=Image(tmp_path / "image.png", 0.5))


def features(section: Section, encoder: Encoder, **given) -> Features:
    return encode(section, encoder, **given).need_features()


def file_of(folder: Path, encoder: Encoder) -> Path:
    return feature_path(folder, "A1", encoder)


# --- the group ----------------------------------------------------------------------------------------------------


def square() -> torch.Tensor:
    return torch.arange(2 * 25 * 3).reshape(2, 5, 5, 3)


def test_the_eight_ways_are_distinct_and_closed() -> None:
    """D4: any two ways, one after the other, are one of the eight, and each has an inverse."""
    laid = {way: turn([square()], way)[0] for way in WAYS}
    assert torch.equal(laid[UNTURNED], square())
    for first in WAYS:
        both = [turn([laid[first]], second)[0] for second in WAYS]
        found = [[way for way in WAYS if torch.equal(laid[way], tile)] for tile in both]
        assert sorted(ways[0] for ways in found if len(ways) == 1) == sorted(WAYS)  # each way once: a Latin square


def test_they_are_what_they_are_called() -> None:
    tile = torch.tensor([[1, 2], [3, 4]])[None, :, :, None]
    rows = {way: turn([tile], way)[0][0, :, :, 0].tolist() for way in TURNS}
    assert rows == {
        "flip-x": [[2, 1], [4, 3]],
        "flip-y": [[3, 4], [1, 2]],
        "quarter": [[2, 4], [1, 3]],
        "half": [[4, 3], [2, 1]],
        "three-quarters": [[3, 1], [4, 2]],
        "transpose": [[1, 3], [2, 4]],
        "transverse": [[4, 2], [3, 1]],
    }


def test_spots_and_colours_keep_their_places() -> None:
    for way in WAYS:
        (laid,) = turn([square()], way)
        assert laid.is_contiguous() and laid.shape == square().shape
        for axis in (0, 3):
            kept, had = (np.sort(tile.movedim(axis, 0).flatten(1).numpy(), 1) for tile in (laid, square()))
            assert np.array_equal(kept, had)


# --- features -----------------------------------------------------------------------------------------------------


def test_features_are_those_of_the_turned_windows_all_views_together(section: Section) -> None:
    seen = Probe(lambda tile: tile.flatten(1))
    found = features(section, seen, symmetries=True, batch=4)
    assert found.turned is not None and found.turned.shape == (N, 7, seen.n_features)
    windows = torch.from_numpy(found.values).reshape(N, 2, 16, 16, 3)
    for j, way in enumerate(TURNS):
        laid = torch.stack(turn([windows[:, 0], windows[:, 1]], way), 1)
        assert np.array_equal(found.turned[:, j], laid.flatten(1).numpy())


@pytest.mark.parametrize("name", ["probe", "stain?px=96"])
def test_the_features_as_they_lie_do_not_change(section: Section, name: str) -> None:
    encoder = Probe() if name == "probe" else get_encoder(name)
    plain, both = features(section, encoder, batch=4), features(section, encoder, batch=4, symmetries=True)
    assert plain.turned is None
    assert np.array_equal(plain.values, both.values) and plain.key == both.key


def test_an_encoder_that_averages_over_pixels_sees_no_turn(section: Section) -> None:
    found = features(section, Probe(lambda tile: tile.mean((1, 2))), symmetries=True)
    assert np.allclose(found.turned, found.values[:, None], rtol=1e-5)
    other = features(section, Probe(), symmetries=True)
    assert not np.allclose(other.turned, other.values[:, None])


# --- files --------------------------------------------------------------------------------------------------------


def test_a_file_without_turns_is_completed_not_made_again(section: Section, tmp_path: Path) -> None:
    encoder = Probe()
    plain = features(section, encoder, cache=tmp_path / "c")
    path = file_of(tmp_path / "c", encoder)
    with h5py.File(path) as file:
        before, about = {name: np.asarray(file[name]) for name in file}, dict(file.attrs)
        corners = dict(file["coords"].attrs)
    whole = features(section, encoder, cache=tmp_path / "c", symmetries=True)
    assert encoder.calls == 1 + 7
    with h5py.File(path) as file:
        assert set(file) == {*before, "turned"}
        assert all(np.array_equal(file[name], before[name]) and file[name].fletcher32 for name in before)
        assert dict(file["coords"].attrs) == corners and about.items() <= dict(file.attrs).items()
        assert file.attrs["turns"] == ",".join(TURNS) and file["turned"].fletcher32
    fresh = features(section, Probe(), symmetries=True)
    assert np.array_equal(whole.values, plain.values) and np.array_equal(whole.turned, fresh.turned)


def test_a_complete_file_serves_both(section: Section, tmp_path: Path) -> None:
    made = features(section, Probe(), cache=tmp_path / "c", symmetries=True)
    for symmetries in (True, False):
        encoder = Probe()
        kept = features(section, encoder, cache=tmp_path / "c", symmetries=symmetries)
        assert encoder.calls == 0 and np.array_equal(kept.values, made.values)
        assert np.array_equal(kept.turned, made.turned) if symmetries else kept.turned is None  # eight times the memory
    two = section.take(np.array([5, 2]))
    some = attach(two, tmp_path / "c", "probe", turned=True)
    assert some is not None and np.array_equal(some.need_features().turned, made.turned[[5, 2]])
    assert attach(two, tmp_path / "c", "probe").need_features().turned is None


def test_completing_that_fails_leaves_the_file_as_it_was(section: Section, tmp_path: Path) -> None:
    encoder = Probe()
    features(section, encoder, cache=tmp_path / "c")
    before = file_of(tmp_path / "c", encoder).read_bytes()

    def fail(tile: torch.Tensor) -> torch.Tensor:
        raise KeyboardInterrupt

    encoder.look = fail
    with pytest.raises(KeyboardInterrupt):
        features(section, encoder, cache=tmp_path / "c", symmetries=True)
    assert file_of(tmp_path / "c", encoder).read_bytes() == before


def test_half_precision(section: Section, tmp_path: Path) -> None:
    """What is completed in half leaves the features in full; fresh ones are half in both, and the same when kept."""
    scaled = Probe(lambda tile: tile.mean((1, 2)) / 3)
    full = features(section, scaled, cache=tmp_path / "c")
    mixed = features(section, scaled, cache=tmp_path / "c", symmetries=True, half=True)
    assert np.array_equal(mixed.values, full.values) and not np.array_equal(mixed.turned[:, 0], full.values)
    fresh = features(section, scaled, cache=tmp_path / "d", symmetries=True, half=True)
    for folder, made, types in (("c", mixed, ("f4", "f2")), ("d", fresh, ("f2", "f2"))):
        kept = features(section, scaled, cache=tmp_path / folder, symmetries=True)
        assert np.array_equal(kept.values, made.values) and np.array_equal(kept.turned, made.turned)
        with h5py.File(file_of(tmp_path / folder, scaled)) as file:
            assert tuple(file[name].dtype.str[1:] for name in ("features", "turned")) == types


def test_turns_of_another_shape_are_refused(section: Section, tmp_path: Path) -> None:
    encoder = Probe()
    features(section, encoder, cache=tmp_path / "c", symmetries=True)
    path = file_of(tmp_path / "c", encoder)
    with h5py.File(path, "r+") as file:
        del file["turned"]
        file["turned"] = np.zeros((N, 3, 2))
    with pytest.raises(EosinError, match=r"A1.h5: features \(11, 32\) and turned \(11, 3, 2\) disagree"):
        read_features(path, turned=True)
