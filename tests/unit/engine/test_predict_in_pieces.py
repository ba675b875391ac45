"""A section in pieces is predicted as it is as a whole."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import toy
from eosin.engine import Trained, adapt, predict, train
from eosin.engine.memory_bounds import USUAL, Memory
from eosin.errors import EosinError
from eosin.features import write_features
from eosin.models import MODELS
from eosin.models.parts import pieces as cutting
from eosin.models.parts.pieces import Pieces
from eosin.storage import scratch
from eosin.storage.disk_rows import DiskRows
from eosin.types import Batch, Features, Prediction, Section, Spots

SETTINGS: dict[str, dict[str, Any]] = {
    "bleep": {"n_retrieved": 5},
    "forest": {"n_trees": 5},
    "kernel": {"smoothing": (0.5,)},
    "ridge": {"smoothing": (0.5,)},
    "stem": {"n_steps": 3},
    "stflow": {"n_steps": 2, "precondition": False},  # so that the network matters though it learned little
}
IN_PIECES = ["bleep", "forest", "gene-mean", "hest-ridge", "kernel", "knn", "ridge", "stem", "stflow", "stnet"]
"""All models that look no further than some neighbours."""


@cache
def trained(name: str, **settings: Any) -> Trained:
    tables = {"model": {**SETTINGS.get(name, {}), **settings}}
    if name in ("bleep", "stem", "stflow"):
        tables["train"] = {"epochs": 1, "regions_per_section": 2}
    made = train(toy.cohort(40), model=name, settings=tables, panel="var:5")
    return replace(made, metrics={k: v for k, v in made.metrics.items() if k != "network"})  # networks take part


def lattice(n: int) -> np.ndarray:
    side = int(np.ceil(np.sqrt(n)))
    return np.stack([np.arange(n) % side, np.arange(n) // side], 1) * 100.0


def scattered(n: int) -> np.ndarray:
    return np.random.default_rng(4).uniform(0, 100 * np.sqrt(n), (n, 2))


def fragments(n: int) -> np.ndarray:
    """Two, of which the second is far away and has fewer spots than neighbours are asked for."""
    xy = lattice(n)
    xy[-5:] += 1e6
    return xy


def duplicates(n: int) -> np.ndarray:
    """Some places with two to twelve spots."""
    rng = np.random.default_rng(6)
    xy = scattered(n)
    for size in (2, 3, 12):
        xy[rng.choice(n, size, replace=False)] = xy[0] + size
    return xy


LAYOUTS: dict[str, Callable[[int], np.ndarray]] = {f.__name__: f for f in (lattice, scattered, fragments, duplicates)}


def section(layout: str, n: int = 300, *, patient: str = "Q") -> Section:
    rng = np.random.default_rng(8)
    features = Features(rng.normal(size=(n, toy.N_FEATURES)), "toy", "toy-1")
    return Section("Q1", patient, Spots(LAYOUTS[layout](n), 100.0, tuple(map(str, range(n)))), features=features)


def assert_alike(one: Prediction, other: Prediction) -> None:
    def close(a: np.ndarray, b: np.ndarray) -> None:
        np.testing.assert_allclose(a, b, atol=1e-5, rtol=1e-5)

    assert one.draws.shape == other.draws.shape
    close(one.mean, other.mean)
    close(one.draws, other.draws)
    assert (one.error_bars is None) == (other.error_bars is None)
    if one.error_bars is not None and other.error_bars is not None:
        close(one.error_bars.scale, other.error_bars.scale)
        close(one.quantile(0.95), other.quantile(0.95))
    if one.likeness is not None and other.likeness is not None:
        assert np.array_equal(one.likeness.distance, other.likeness.distance)
    assert one.provenance == other.provenance


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", IN_PIECES)
def test_pieces_change_nothing(name: str, layout: str) -> None:
    model, one = trained(name), section(layout)
    whole = predict(model, one, draws=3, seed=2, draws_of_mean=4)
    assert_alike(predict(model, one, draws=3, seed=2, draws_of_mean=4, memory=Memory(piece_spots=37)), whole)


def test_the_models_in_pieces_are_all_that_say_how_far_they_look() -> None:
    training = toy.training(20)
    found = [name for name in MODELS if toy.made(name, training, **SETTINGS.get(name, {})).reach is not None]
    assert found == [name for name in MODELS if name in IN_PIECES]


@pytest.mark.parametrize("name", ["kernel", "ridge", "stflow"])
def test_the_test_sees_a_halo_that_is_too_small(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model, one = trained(name), section("lattice")
    whole = predict(model, one, draws=2)
    around = Pieces.around
    monkeypatch.setattr(Pieces, "around", lambda self, hops: around(self, ()))
    with pytest.raises(AssertionError):
        assert_alike(predict(model, one, draws=2, memory=Memory(piece_spots=60)), whole)


def test_one_hop_less_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    model = trained("stflow", base="none", n_layers=1)
    one = section("lattice", 900)
    whole = predict(model, one, draws=2)
    assert_alike(predict(model, one, draws=2, memory=Memory(piece_spots=225)), whole)
    around = Pieces.around
    monkeypatch.setattr(Pieces, "around", lambda self, hops: around(self, hops[:-1]))
    with pytest.raises(AssertionError):
        assert_alike(predict(model, one, draws=2, memory=Memory(piece_spots=225)), whole)


@pytest.mark.parametrize("prior", ["zinb", "empirical", "gaussian", "zero"])
def test_every_prior_gives_a_spot_the_same_noise(prior: str) -> None:
    model, one = trained("stflow", prior=prior), section("scattered")
    whole = predict(model, one, draws=3, seed=5)
    assert_alike(predict(model, one, draws=3, seed=5, memory=Memory(piece_spots=50)), whole)


def test_more_draws_than_go_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    model, one = trained("stflow"), section("scattered", 120)
    monkeypatch.setattr(model.model, "max_draws", 2)
    whole = predict(model, one, draws=5)
    assert_alike(predict(model, one, draws=5, memory=Memory(piece_spots=50)), whole)


@pytest.mark.parametrize("name", ["kernel", "ridge", "stflow"])
@pytest.mark.parametrize("on_slide", [True, False])
def test_an_adapted_model(name: str, on_slide: bool) -> None:  # noqa: FBT001
    known = toy.section("Z1", 80, patient="Q")
    model, one = adapt(trained(name), known, np.arange(30)), section("scattered")
    if on_slide:
        one = replace(one, name="Z1")
    assert_alike(predict(model, one, draws=2, memory=Memory(piece_spots=41)), predict(model, one, draws=2))


@pytest.mark.parametrize("patient", ["A", "Q"])
def test_registration_looks_at_the_whole_section(patient: str) -> None:
    cohort = [toy.serial(f"{p}{i}", seed=10 * k + i, of=k) for k, p in enumerate("AB") for i in range(3)]
    model = train(cohort, model="kernel", panel="var:6")
    assert model.model.registered is not None  # pyright: ignore
    one = replace(toy.serial("A9", seed=99, angle=0.4), patient=patient)
    whole = predict(model, one)
    assert "registration" in whole.provenance["remarks"]
    assert_alike(predict(model, one, memory=Memory(piece_spots=30)), whole)


def test_registration_refused_in_pieces_too() -> None:
    cohort = [toy.serial(f"{p}{i}", seed=10 * k + i, of=k) for k, p in enumerate("AB") for i in range(3)]
    model = train(cohort, model="kernel", panel="var:6")
    one = toy.serial("A9", seed=99, of=7)
    whole = predict(model, one)
    assert whole.provenance["remarks"]["registration"].startswith("refused")
    assert_alike(predict(model, one, memory=Memory(piece_spots=30)), whole)


def test_a_base_alone_whose_network_added_nothing() -> None:
    model = trained("stflow")
    model = replace(model, metrics={**model.metrics, "network": "added nothing"})
    one = section("lattice")
    assert_alike(predict(model, one, draws=2, memory=Memory(piece_spots=41)), predict(model, one, draws=2))


@pytest.mark.parametrize("name", ["ridge", "stflow"])
def test_a_model_without_error_bars(name: str) -> None:
    model, one = replace(trained(name), errors=None, distance=None), section("lattice")
    whole = predict(model, one, draws=3)
    assert_alike(predict(model, one, draws=3, memory=Memory(piece_spots=41), keep_draws=False), whole)


@pytest.mark.parametrize("name", ["ridge", "stflow", "kernel"])
def test_draws_that_are_not_kept_leave_the_mean(name: str) -> None:
    model, one = trained(name), section("lattice")
    whole = predict(model, one, draws=3, draws_of_mean=6)
    made = predict(model, one, draws=3, draws_of_mean=6, memory=Memory(piece_spots=41), keep_draws=False)
    np.testing.assert_allclose(made.mean, whole.mean, atol=1e-5)
    assert made.n_draws == 1 and np.array_equal(made.draws[0], made.mean)
    assert made.error_bars is not None and made.has_spread


def test_one_draw_of_a_network_in_pieces() -> None:
    model, one = trained("stflow"), section("lattice")
    assert_alike(predict(model, one, draws=1, memory=Memory(piece_spots=41)), predict(model, one, draws=1))


def test_features_and_tables_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = section("scattered")
    features = one.need_features()
    facts = {"mpp": 0.5, "tile_um": 112.0, "patch_size": 224, "patch_size_level0": 224, "encoder": "toy"}
    facts |= {"encoder_key": "toy-1", "level0_width": 10**4, "level0_height": 10**4}
    write_features(tmp_path / "f.h5", one.spots.ids, one.spots.xy_um, np.asarray(features.values), facts)
    lazy = one.with_features(replace(features, values=DiskRows(tmp_path / "f.h5", "features")))
    monkeypatch.setattr(scratch, "_IN_MEMORY", 0)
    monkeypatch.setattr(scratch.scratch_table, "__kwdefaults__", {"in_memory": 0})
    memory = Memory(piece_spots=50, folder=tmp_path / "between")
    for name in IN_PIECES:
        whole = predict(trained(name), one, draws=3, draws_of_mean=4)
        assert_alike(predict(trained(name), lazy, draws=3, draws_of_mean=4, memory=memory), whole)
    assert not list((tmp_path / "between").iterdir())


def test_small_sections_stay_whole_and_large_ones_do_not() -> None:
    ridge, flow = trained("ridge").model, trained("stflow").model
    assert USUAL.spots_of_piece(flow, 20_000, 1024, 50, 16) is None
    for model, n_spots in ((flow, 1_000_000), (ridge, 3_000_000)):
        at_once = USUAL.spots_of_piece(model, n_spots, 1024, 50, 16)
        assert at_once is not None and 2048 <= at_once < n_spots
        assert at_once <= (Memory(8).spots_of_piece(model, 10 * n_spots, 1024, 50, 16) or 0)
    with pytest.raises(EosinError, match=r"--memory is 1 GiB"):
        Memory(1.0)


def test_a_model_of_the_whole_section_says_so(caplog: pytest.LogCaptureFixture) -> None:
    model = toy.made("triplex", toy.training(20))
    with caplog.at_level("WARNING", "eosin"):
        assert USUAL.spots_of_piece(model, 500_000, 512, 50, 16) is None
    assert "looks at the whole section" in caplog.text
    with pytest.raises(EosinError, match=r"features of 9,000,000,000 spots alone take .* GiB"):
        USUAL.spots_of_piece(model, 9_000_000_000, 1024, 50, 16)


@pytest.mark.parametrize("deep", [0, 9])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_spot_is_once_in_a_piece(layout: str, deep: int) -> None:
    batch = Batch.of([section(layout, 211)])
    for most in (1, 7, 211, 500):
        found = list(Pieces(batch, most).around((cutting.Hop(3),) * deep))
        assert np.array_equal(np.sort(np.concatenate([piece.own for piece in found])), np.arange(211))
        assert all(len(piece.own) <= most and (np.diff(piece.rows) > 0).all() for piece in found)
        assert len(found) == -(-211 // most)


def test_strips_follow_the_order_of_the_file() -> None:
    wide = np.stack([np.arange(1000) % 50, np.arange(1000) // 50], 1) * 100.0  # 50 x 20, row by row
    one = Section(
        "W", "W", Spots(wide, 100.0, tuple(map(str, range(1000)))), features=section("lattice", 1000).features
    )
    owned = [piece.own for piece in Pieces(Batch.of([one]), 250).around(())]
    assert all((np.diff(own) == 1).all() for own in owned)
