"""Models that see tiles, and the slide encoder, train from features on disk: a region or a section at a time."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import toy
from eosin.engine import Trained, selection, train
from eosin.models.parts import fold_fits, image_branch, scaling, sums
from eosin.storage.lazy_rows import BesideRows, LazyRows, StackedRows
from eosin.trust import distance
from eosin.types import Features, Section
from eosin.types.count_rows import CountRows

PX, N_SPOTS, REGION = 8, 60, 20
MOST = 50
"""Rows that parts take at once where they say how many; of 240."""
TILES: dict[str, dict[str, Any]] = {
    "histogene": {"base": "ridge", "width": 16, "image_px": PX},
    "stnet": {"image_px": PX, "image_backbone": "test_resnet"},
}


class Rows(LazyRows):
    """Rows of an array."""

    def __init__(self, values: np.ndarray):
        self.values, self.shape = values, values.shape

    def rows(self, index: np.ndarray) -> np.ndarray:
        return self.values[index]


def on_disk(section: Section) -> Section:
    features = section.need_features()
    return section.with_features(replace(features, values=Rows(np.asarray(features.values))))


@pytest.fixture
def asked_for(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many rows of the cohort are asked for at once; blocks of all parts that have one are small."""
    for module in (sums, fold_fits, "eosin.models.ridge"):
        where = module if isinstance(module, str) else module.__name__
        monkeypatch.setattr(f"{where}.NUMBERS_AT_ONCE", 40 * toy.N_FEATURES)
    monkeypatch.setattr(selection, "_MOST_SPOTS", MOST)
    monkeypatch.setattr(scaling, "_MOST_SPOTS", MOST)
    monkeypatch.setattr(distance, "_MOST_SPOTS", MOST)
    monkeypatch.setattr(image_branch, "_CALIBRATION_TILES", MOST)
    found, rows_of = [0], StackedRows.rows

    def rows(self: StackedRows, index: np.ndarray) -> np.ndarray:
        if not isinstance(self.parts[0], CountRows):
            found.append(len(index))
        return rows_of(self, index)

    monkeypatch.setattr(StackedRows, "rows", rows)
    return found


def with_tiles(section: Section) -> Section:
    features = section.need_features().values
    pixels = np.random.default_rng(len(section.name)).integers(0, 256, (len(section), 3 * PX**2))
    return section.with_features(Features(np.hstack([features, pixels]), "toy", "toy-tiles"))


def same(one: Trained, other: Trained) -> None:
    for name, values in other.model.arrays().items():
        np.testing.assert_allclose(one.model.arrays()[name].numpy(), values.numpy(), atol=2e-5, err_msg=name)
    assert one.errors is not None and other.errors is not None
    np.testing.assert_allclose(one.errors.new.scale, other.errors.new.scale, atol=1e-4)


@pytest.mark.parametrize("name", TILES)
def test_networks_that_see_tiles_have_the_weights_of_features_in_memory(
    name: str, asked_for: list[int], caplog: pytest.LogCaptureFixture
) -> None:
    sections = [with_tiles(section) for section in toy.cohort(N_SPOTS)]
    settings = {"model": TILES[name], "train": {"epochs": 2, "largest_region": REGION, "patience": 9}}

    def trained(given: list[Section]) -> Trained:
        return train(given, model=name, settings=settings, panel="var:6")

    with caplog.at_level(logging.WARNING, "eosin"):
        lazy = trained([on_disk(section) for section in sections])
    assert "into memory" not in caplog.text
    assert 0 < max(asked_for) <= 127, sorted(asked_for)[-5:]  # of 240; features are checked on 64 to 127 spots
    same(lazy, trained(sections))


@pytest.mark.parametrize("head", ["ridge", "kernel"])
@pytest.mark.parametrize("own_features", [False, True])
def test_the_slide_encoder_reads_one_section_at_a_time(
    asked_for: list[int], caplog: pytest.LogCaptureFixture, head: str, *, own_features: bool
) -> None:
    sections = toy.cohort(N_SPOTS)
    settings = {"model": {"n_layers": 1, "width": 16, "n_heads": 2, "own_features": own_features, "head": head}}

    def trained(given: list[Section]) -> Trained:
        return train(given, model="gigapath", settings=settings, panel="var:6")

    with caplog.at_level(logging.WARNING, "eosin"):
        lazy = trained([on_disk(section) for section in sections])
    assert "into memory" not in caplog.text
    if head == "ridge":  # a kernel of so few spots is exact and sees all of them at once
        assert 0 < max(asked_for) <= N_SPOTS, sorted(asked_for)[-5:]
    same(lazy, trained(sections))


def test_tables_beside_one_another_are_one() -> None:
    rng = np.random.default_rng(0)
    left, right = (rng.random((9, n), dtype=np.float32) for n in (3, 2))
    beside, whole = BesideRows([Rows(left), right]), np.hstack([left, right])
    for key in (slice(2, 7), [8, 0, 3], 4, whole[:, 0] > 0.5, (slice(1, 3), slice(2, 4))):
        np.testing.assert_array_equal(beside[key], whole[key])
    np.testing.assert_array_equal(np.asarray(beside.chosen(np.array([5, 1]), slice(2, 5))), whole[[5, 1], 2:5])
    with pytest.raises(ValueError, match="beside one another"):
        BesideRows([left, right[:4]])
