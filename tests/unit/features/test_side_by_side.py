"""Several encoders in one run: each has the file that it would have alone, and pixels are read once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch

from eosin.encoders import Encoder, EncoderCard, View, get_encoder
from eosin.features import encode, encode_all, feature_path, find_encoded
from eosin.slide import Slide
from eosin.types import Image, Section, Spots
from unit.slide import pictures

SPECS = ("stain?px=96&tile_um=40,60", "pixels?px=16&tile_um=40", "stain?px=96&tile_um=60")


@pytest.fixture
def section(tmp_path: Path) -> Section:
    path = pictures.save_pyramid(tmp_path / "a.tif", pictures.painted(800, 600, 0.5), 0.5)
    xy = np.stack(np.meshgrid(np.arange(30, 371, 68.0), np.arange(30, 271, 60.0)), -1).reshape(-1, 2)
    return Section("a", "p", Spots(xy, 50.0, tuple(map(str, range(len(xy))))), image=Image(path, 0.5))


def content(folder: Path, encoder: Encoder) -> dict[str, object]:
    """All that a feature file holds."""
    with h5py.File(feature_path(folder, "a", encoder)) as file:
        tables = {str(name): np.asarray(file[name]).tobytes() for name in file}
        return {**tables, **{str(name): str(value) for name, value in file.attrs.items()}}


@pytest.mark.parametrize("how", [{"batch": 8}, {"batch": 8, "symmetries": True, "half": True}], ids=["plain", "turned"])
def test_files_are_those_of_one_encoder_at_a_time(section: Section, tmp_path: Path, how: dict[str, Any]) -> None:
    encoders = [get_encoder(spec) for spec in SPECS]
    made = encode_all(section, encoders, cache=tmp_path / "together", **how)
    for encoder, found in zip(encoders, made):
        alone = encode(section, get_encoder(encoder.spec), cache=tmp_path / "alone", **how)
        assert content(tmp_path / "together", encoder) == content(tmp_path / "alone", encoder)
        assert found.features is not None and alone.features is not None
        np.testing.assert_array_equal(found.features.values, alone.features.values)
    assert not [path for path in (tmp_path / "together").rglob("*") if path.is_file() and path.suffix != ".h5"]


def test_a_window_that_two_encoders_have_is_read_once(
    section: Section, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[tuple[float, int]] = []
    real = Slide.read
    monkeypatch.setattr(Slide, "read", lambda self, c, w, px: read.append((w, px)) or real(self, c, w, px))
    encode_all(section, [get_encoder(f"{spec}&version=1") for spec in SPECS[::2]], cache=tmp_path)
    assert sorted(set(read)) == [(40.0, 96), (60.0, 96)] and len(read) == 2 * len(section)
    read.clear()
    encode_all(section, [get_encoder(f"{spec}&version=1") for spec in SPECS[::2]], cache=tmp_path)
    assert not read


class Stops(Encoder):
    """The mean of a window; stops before call `stop`."""

    def __init__(self, name: str, stop: int | None = None) -> None:
        self.views, self.spec = (View(20.0, 8),), name
        self.card = EncoderCard(name, "", "MIT", True, False, 1, "")
        self.stop, self.calls = stop, 0

    @property
    def key(self) -> str:
        return self.spec

    def encode(self, tiles: Sequence[torch.Tensor]) -> torch.Tensor:
        if self.calls == self.stop:
            raise KeyboardInterrupt
        self.calls += 1
        return tiles[0].float().mean((1, 2, 3))[:, None]


def test_an_interrupted_run_is_resumed_for_all(section: Section, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        encode_all(section, [Stops("one"), Stops("two", 3)], cache=tmp_path / "f", batch=4)
    encoders = [Stops("one"), Stops("two")]
    encode_all(section, encoders, cache=tmp_path / "f", batch=4)
    n_batches = -(-len(section) // 4)
    assert [encoder.calls for encoder in encoders] == [n_batches - 3] * 2
    for encoder in encoders:
        encode(section, encoder, cache=tmp_path / "alone", batch=4)
        assert content(tmp_path / "f", encoder) == content(tmp_path / "alone", encoder)


def test_only_what_is_missing_is_encoded(section: Section, tmp_path: Path) -> None:
    encode(section, Stops("one"), cache=tmp_path)
    encoders = [Stops("one", 0), Stops("two"), Stops("three")]
    encode_all(section, encoders, cache=tmp_path)
    assert encoders[0].calls == 0 and all(find_encoded(section, encoder, tmp_path) for encoder in encoders)
    other = replace(section, spots=Spots(section.spots.xy_um + 1.0, 50.0, section.spots.ids))
    encode_all(other, again := [Stops("one"), Stops("two")], cache=tmp_path)  # files of other spots are replaced
    assert all(encoder.calls for encoder in again)
