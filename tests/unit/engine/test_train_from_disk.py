"""Networks train from features on disk: the same weights as from memory, with few rows read at a time."""

from __future__ import annotations

import logging
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import toy
from eosin.engine import Trained, Validation, selection, train
from eosin.engine.regions import Regions
from eosin.errors import EosinError
from eosin.models import MODELS, Learned
from eosin.models.kernel import context, gram, landmark_choice, landmark_fits, member
from eosin.models.parts import fold_fits, scaling, sums
from eosin.models.ridge import __name__ as ridge
from eosin.storage.lazy_rows import LazyRows
from eosin.types import Batch, Section

REGION, N_SPOTS = 20, 60
MOST = 75
"""Rows that may be asked for at once: of 240."""
LEARNED = sorted(name for name in MODELS if isinstance(toy.made(name, toy.training(20)), Learned))
SMALL: dict[str, dict[str, Any]] = {
    "stflow": {"n_layers": 1, "width": 16, "edge_width": 16},
    "bleep": {},
}


class Rows(LazyRows):
    """Rows of an array; only so many are given at once, and only so many times."""

    def __init__(self, values: np.ndarray, calls_left: list[float]):
        self.values, self.shape, self.calls_left = values, values.shape, calls_left

    def rows(self, index: np.ndarray) -> np.ndarray:
        assert len(index) <= MOST, f"{len(index)} rows are asked for at once"
        self.calls_left[0] -= 1
        if self.calls_left[0] < 0:
            raise EosinError("the disk was taken away", file="features.h5", fix="put it back")
        return self.values[index]


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is taken at once is a little more than a region."""
    monkeypatch.setattr(context, "NUMBERS_AT_ONCE", MOST * toy.N_FEATURES)
    for module in (sums, gram, member, landmark_choice, landmark_fits, fold_fits, ridge):
        name = "NUMBERS_AT_ONCE"
        where = f"{module}.{name}" if isinstance(module, str) else f"{module.__name__}.{name}"
        monkeypatch.setattr(where, 40 * toy.N_FEATURES)
    monkeypatch.setattr(scaling, "_MOST_SPOTS", 50)
    monkeypatch.setattr(selection, "_MOST_SPOTS", 40)


def on_disk(sections: list[Section], calls: float = np.inf) -> list[Section]:
    left = [calls]  # of all sections together
    return [s.with_features(replace(s.need_features(), values=Rows(s.need_features().values, left))) for s in sections]


def trained(sections: list[Section], name: str, *, base: str = "ridge", **given: Any) -> Trained:
    model = SMALL.get(name, MODELS[name].presets.get("small", {}).get("model", {}))
    model = dict(model) if name == "bleep" else {**model, "base": base}
    settings = {"model": model, "train": {"epochs": 2, "largest_region": REGION, "patience": 9}}
    return train(sections, model=name, settings=settings, panel="var:6", **given)


@pytest.mark.parametrize("name", LEARNED)
def test_weights_are_those_of_features_in_memory(name: str, caplog: pytest.LogCaptureFixture) -> None:
    sections = toy.cohort(N_SPOTS)
    with caplog.at_level(logging.WARNING, "eosin"):
        lazy = trained(on_disk(sections), name)
    assert "into memory" not in caplog.text
    plain = trained(sections, name)
    same(lazy, plain)
    for one, other in zip(lazy.metrics["history"], plain.metrics["history"], strict=True):
        assert one.keys() == other.keys()
        for measured in {"loss", "pcc_held_out"} & one.keys():
            assert one[measured] == pytest.approx(other[measured], abs=1e-5)


@pytest.mark.parametrize("name", LEARNED)
def test_sections_on_disk_may_choose_the_epoch(name: str) -> None:
    sections, others = toy.cohort(N_SPOTS), [toy.section("C1", N_SPOTS)]
    lazy = trained(on_disk(sections), name, validate=Validation(on_disk(others)))
    same(lazy, trained(sections, name, validate=Validation(others)))


def test_on_a_kernel_as_well() -> None:
    sections = toy.cohort(N_SPOTS)
    same(trained(on_disk(sections), "stflow", base="kernel"), trained(sections, "stflow", base="kernel"))


def same(one: Trained, other: Trained) -> None:
    """Of closed forms, sums over blocks differ in rounding only; of networks nothing but what follows from that."""
    for name, values in other.model.arrays().items():
        np.testing.assert_allclose(one.model.arrays()[name].numpy(), values.numpy(), atol=1e-5, err_msg=name)
    assert (one.errors is None) == (other.errors is None)
    if one.errors is not None and other.errors is not None:
        np.testing.assert_allclose(one.errors.new.scale, other.errors.new.scale, atol=1e-5)


def test_a_run_whose_disk_goes_away_says_so_ends_its_thread_and_is_gone_on_with(tmp_path: Path) -> None:
    sections = toy.cohort(N_SPOTS)
    whole = trained(on_disk(sections), "stflow", out=tmp_path / "whole")
    counted = on_disk(sections, 10**9)
    trained(counted, "stflow")
    values = counted[0].need_features().values
    assert isinstance(values, Rows)
    n_calls = int(10**9 - values.calls_left[0])
    n_stopped = 0
    for calls in range(n_calls // 3, n_calls, max(n_calls // 8, 1)):  # in the base, within epochs, at the end
        with pytest.raises(EosinError, match=r"features.h5: the disk was taken away; put it back"):
            trained(on_disk(sections, calls), "stflow", out=tmp_path / f"run{calls}")
        assert not [thread for thread in threading.enumerate() if thread.name.startswith("regions")]
        n_stopped += (tmp_path / f"run{calls}" / "training.safetensors").exists()
        again = trained(on_disk(sections), "stflow", out=tmp_path / f"run{calls}", resume=True)
        for name, values in whole.model.arrays().items():
            assert np.array_equal(values.numpy(), again.model.arrays()[name].numpy()), name
    assert n_stopped >= 2


def test_no_region_has_more_spots_than_is_said() -> None:
    rng = np.random.default_rng(0)
    batch = Batch(rng.uniform(0, 1, (150, 2)), np.zeros((150, 1), dtype=np.float32), np.array([0, 20, 150]))
    regions = Regions(batch, np.arange(150), 0.0, 30)
    sizes = [len(regions.draw(section, rng)) for section in (0, 1) for _ in range(100)]
    assert 15 < max(sizes[:100]) <= 20 and max(sizes[100:]) == 30 and sizes[100:].count(30) > 50
