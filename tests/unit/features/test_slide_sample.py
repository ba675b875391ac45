"""An encoder is shown a sample of the slide once, before the spots; what it measured is kept with the features."""

from __future__ import annotations

import copy
import dataclasses
import logging
from collections.abc import Sequence
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from PIL import Image as Picture

from eosin.api.info import info
from eosin.encoders import Encoder, EncoderCard, View
from eosin.encoders.composite import Composite
from eosin.errors import EosinError
from eosin.features import attach, encode, feature_path
from eosin.features.slide_sample import sample_of
from eosin.slide import Slide
from eosin.types import Image, Section, Spots

N = 23


class Lighter(Encoder):
    """Mean grey of a window, less that of the slide."""

    def __init__(self, scale: float = 1.0, stop: int | None = None) -> None:
        self.views, self.slide_views = (View(8.0, 16),), (View(16.0, 8),)
        self.spec = "lighter"
        self.card = EncoderCard("lighter", "", "MIT", True, False, 1, "")
        self.mean, self.scale, self.stop, self.shown = 0.0, scale, stop, 0

    @property
    def key(self) -> str:
        return "lighter;1"

    def for_slide(self, windows: Sequence[torch.Tensor]) -> Lighter:
        made = copy.copy(self)
        made.shown = len(windows[0])
        made.mean = float(windows[0].float().mean()) if made.shown else 0.0
        made.slide_facts = {"mean": made.mean * self.scale, "n": float(made.shown)}
        made.slide_notes = ("pale",)
        return made

    def encode(self, tiles: Sequence[torch.Tensor]) -> torch.Tensor:
        if self.stop == 0:
            raise KeyboardInterrupt
        self.stop = None if self.stop is None else self.stop - 1
        return tiles[0].float().mean((1, 2))[:, :1] - self.mean


@pytest.fixture
def section(tmp_path: Path) -> Section:
    pixels = np.zeros((100, 200, 3), np.uint8)
    pixels[:] = np.arange(200, dtype=np.uint8)[None, :, None]  # grey = x in pixels
    Picture.fromarray(pixels).save(tmp_path / "image.png")
    xy = np.stack([np.linspace(10, 90, N), np.full(N, 25.0)], 1)
    return Section(
        "A1", "p", Spots(xy, 5.0, tuple(f"s{i}" for i in range(N))), image=Image(tmp_path / "image.png", 0.5)
    )


def test_features_are_those_of_the_slide(section, tmp_path):
    encoder = Lighter()
    features = encode(section, encoder, cache=tmp_path / "c").need_features()
    assert encoder.mean == 0.0 and not encoder.slide_facts  # as it was
    assert features.facts["n"] == 12 and features.facts["mean"] == pytest.approx(99.5, abs=1)
    expected = section.spots.xy_um[:, 0] / 0.5 - 0.5 - features.facts["mean"]
    np.testing.assert_allclose(features.values[:, 0], expected, atol=0.6)
    path = feature_path(tmp_path / "c", "A1", encoder)
    with h5py.File(path) as file:
        assert file.attrs["slide_n"] == 12.0
    assert info(path)["slide"] == dict(features.facts)
    again = encode(section, encoder, cache=tmp_path / "c").need_features()
    attached = attach(section, tmp_path / "c", "lighter")
    assert attached is not None
    assert dict(again.facts) == dict(attached.need_features().facts) == dict(features.facts)


def test_order_of_spots_does_not_matter(section):
    rows = np.random.default_rng(0).permutation(N)
    here, there = encode(section, Lighter()), encode(section.take(rows), Lighter())
    np.testing.assert_array_equal(here.need_features().values[rows], there.need_features().values)


@pytest.mark.parametrize(("n", "looked_at"), [(1, 1), (2, 1), (23, 12), (999, 500), (1001, 500), (20_000, 500)])
def test_every_second_spot_up_to_a_number_evenly_spread(n, looked_at):
    xy_um = np.stack([np.zeros(n), np.arange(n)[::-1]], 1)
    rows = sample_of(xy_um)
    assert len(rows) == len(set(rows.tolist())) == looked_at
    y = xy_um[rows, 1]
    assert (np.diff(y) >= 2).all() and y[0] == 0 and y[-1] >= n - 1 - 2 * n / looked_at


def test_resumed_encoding_has_the_same_numbers(section, tmp_path):
    whole = encode(section, Lighter(), cache=tmp_path / "whole", batch=4).need_features()
    with pytest.raises(KeyboardInterrupt):
        encode(section, Lighter(stop=3), cache=tmp_path / "cut", batch=4)
    resumed = encode(section, Lighter(), cache=tmp_path / "cut", batch=4).need_features()
    np.testing.assert_array_equal(resumed.values, whole.values)
    assert dict(resumed.facts) == dict(whole.facts)


def test_rows_of_a_slide_that_was_measured_otherwise_are_not_resumed(section, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        encode(section, Lighter(scale=2.0, stop=3), cache=tmp_path, batch=4)
    encoder = Lighter(stop=6)
    encode(section, encoder, cache=tmp_path, batch=4)  # all six batches
    with pytest.raises(KeyboardInterrupt):
        encode(section, Lighter(stop=5), batch=4)


def test_turned_tiles_that_are_added_later_are_of_the_same_slide(section, tmp_path):
    encode(section, Lighter(), cache=tmp_path / "late")
    late = encode(section, Lighter(), cache=tmp_path / "late", symmetries=True).need_features()
    once = encode(section, Lighter(), cache=tmp_path / "once", symmetries=True).need_features()
    np.testing.assert_array_equal(late.turned, once.turned)
    assert dict(late.facts) == dict(once.facts)


def test_windows_that_cannot_be_read_are_left_out(section, monkeypatch, caplog):
    read = Slide.read

    def some(self: Slide, centre_um, width_um, px):
        if centre_um[0] > 50:
            raise EosinError("a bad block")
        return read(self, centre_um, width_um, px)

    monkeypatch.setattr(Slide, "whole", property(lambda self: False))
    monkeypatch.setattr(Slide, "read", some)
    with caplog.at_level(logging.INFO, "eosin"):
        features = encode(section, Lighter()).need_features()
    assert features.facts["n"] == 6 and features.facts["mean"] == pytest.approx(56, abs=2)
    assert "encoder 'lighter' takes mean" in caplog.text and "section 'A1': pale" in caplog.text


def test_parts_of_a_composite_are_shown_the_slide(section):
    both = Composite([Lighter(), Lighter(scale=3.0)])
    assert both.slide_views == (View(16.0, 8),)
    features = encode(section, both).need_features()
    np.testing.assert_array_equal(features.values[:, 0], encode(section, Lighter()).need_features().values[:, 0])
    assert list(features.facts) == ["mean", "n", "mean_2"]
    assert features.facts["mean_2"] == 3 * features.facts["mean"]
    assert both.for_slide([torch.zeros(0, 8, 8, 3, dtype=torch.uint8)]).key == both.key


def test_an_encoder_without_slide_views_is_not_shown_any(section):
    class Plain(Lighter):
        def __init__(self) -> None:
            super().__init__()
            self.slide_views = ()

    features = encode(section, Plain()).need_features()
    assert not features.facts
    moved = dataclasses.replace(section, features=features)
    assert not moved.take(np.arange(3)).need_features().facts
