"""Models that read features by rows never ask for many at once, and learn the same as from arrays in memory."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import toy
from eosin.engine import load, predict, train
from eosin.features import attach, feature_file, write_features
from eosin.models import MODELS, Learned, Training, knn, ridge
from eosin.models.kernel import context, gram, landmark_choice, landmark_fits, member
from eosin.models.kernel.landmark_fits import LandmarkFits
from eosin.models.parts import fold_fits, smoothing, sums
from eosin.models.parts.patients import within_sections
from eosin.storage.lazy_rows import LazyRows, StackedRows
from eosin.types import Section

MOST = 70
BLOCK = 40 * toy.N_FEATURES
KERNEL = {"n_exact": 50, "n_landmarks": 40, "penalties": (1e-3, 0.1), "smoothing": (0.0, 0.5)}
SETTINGS: dict[str, dict[str, Any]] = {"ridge": {}, "kernel": KERNEL}


class Refusing(LazyRows):
    """Rows of an array, of which no more than `MOST` are given at once."""

    def __init__(self, values: np.ndarray):
        self.values, self.shape, self.n_most = values, values.shape, 0

    def rows(self, index: np.ndarray) -> np.ndarray:
        assert len(index) <= MOST, f"{len(index)} rows are asked for at once"
        self.n_most = max(self.n_most, len(index))
        return self.values[index]


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks that hold some twenty spots; a kernel sees 24 neighbours of each beside them."""
    monkeypatch.setattr(context, "NUMBERS_AT_ONCE", MOST * toy.N_FEATURES)
    for module in (sums, gram, member, landmark_choice, landmark_fits, fold_fits, ridge):
        monkeypatch.setattr(module, "NUMBERS_AT_ONCE", BLOCK)


def on_disk(sections: list[Section]) -> list[Section]:
    return [s.with_features(replace(s.need_features(), values=Refusing(s.need_features().values))) for s in sections]


@pytest.mark.parametrize("model", ["ridge", "kernel"])
def test_no_more_rows_are_asked_for_than_a_block_holds(model: str, small_blocks: None) -> None:
    """Training with error bars, and prediction."""
    sections = [toy.section(name, 60) for name in ("A1", "A2", "B1", "B2")]
    given = {"model": model, "panel": "var:6", "settings": {"model": SETTINGS[model]}}
    plain, lazy = train(sections, **given), train(on_disk(sections), **given)
    assert plain.trained_on == lazy.trained_on  # fingerprints
    for name, values in plain.model.arrays().items():
        np.testing.assert_allclose(lazy.model.arrays()[name].numpy(), values.numpy(), atol=1e-6, err_msg=name)
    assert plain.errors is not None and lazy.errors is not None
    np.testing.assert_allclose(plain.errors.new.scale, lazy.errors.new.scale, atol=1e-6)
    (test,) = on_disk([toy.section("A9", 60)])
    np.testing.assert_allclose(predict(lazy, test).mean, predict(plain, toy.section("A9", 60)).mean, atol=1e-6)


def test_all_training_spots_are_predicted_out_of_fold_by_rows(small_blocks: None) -> None:
    training = toy.training(60)
    lazy = replace(training, batch=replace(training.batch, features=StackedRows([Refusing(training.batch.features)])))
    for model, given in SETTINGS.items():
        one, other = (toy.solved(model, data, **given).out_of_fold(data) for data in (training, lazy))
        np.testing.assert_allclose(one, other, atol=1e-6)


def test_other_models_take_them_or_some_into_memory_and_say_so(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Whole(Refusing):
        def rows(self, index: np.ndarray) -> np.ndarray:
            return self.values[index]

    sections = [toy.section(name, 30) for name in ("A1", "B1")]
    lazy = [s.with_features(replace(s.need_features(), values=Whole(s.need_features().values))) for s in sections]
    with caplog.at_level(logging.WARNING, "eosin"):
        found = train(lazy, model="knn", panel="var:4")
    assert "model 'knn' takes all features into memory" in caplog.text
    expected = train(sections, model="knn", panel="var:4")
    assert np.array_equal(predict(found, lazy[0]).mean, predict(expected, sections[0]).mean)
    monkeypatch.setattr(knn, "MOST_IN_MEMORY", 20)
    with caplog.at_level(logging.WARNING, "eosin"):
        some = train(lazy, model="knn", panel="var:4")
    assert "model 'knn' learns from 20 of 60 spots" in caplog.text
    assert len(some.model.keys) == 20 and some.errors is not None and some.trained_on == expected.trained_on


@pytest.mark.parametrize("half", [False, True])
def test_features_of_large_cohorts_stay_in_their_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, half: bool
) -> None:
    about = {
        "mpp": 0.5,
        "tile_um": 8.0,
        "patch_size": 16,
        "patch_size_level0": 16,
        "level0_width": 9,
        "level0_height": 9,
    }
    sections = [toy.section(name, 40) for name in ("A1", "A2", "B1")]
    for section in sections:
        place, spots = tmp_path / f"{section.name}.h5", section.spots
        attrs = {**about, "encoder": "toy", "encoder_key": "toy-1"}
        write_features(place, spots.ids, spots.xy_um, section.need_features().values, attrs, half=half)
    bare = [replace(section, features=None) for section in sections]
    whole = [attach(section, tmp_path, "toy") for section in bare]
    n_bytes = 3 * 40 * toy.N_FEATURES * 4
    monkeypatch.setattr(feature_file, "IN_MEMORY_BYTES", n_bytes)
    kept = [attach(section, tmp_path, "toy", n_spots=120) for section in bare]
    assert not any(isinstance(section.need_features().values, LazyRows) for section in (*whole, *kept))
    monkeypatch.setattr(feature_file, "IN_MEMORY_BYTES", n_bytes - 1)
    left = [attach(section, tmp_path, "toy", n_spots=120) for section in bare]
    for one, other in zip(whole, left):
        assert isinstance(other.need_features().values, LazyRows)
        assert np.array_equal(one.need_features().values, np.asarray(other.need_features().values))
        assert one.fingerprint() == other.fingerprint()
        rows = np.array([7, 3, 21])
        assert np.array_equal(one.take(rows).need_features().values, other.take(rows).need_features().values[:])
    models = [train(each, model="ridge", panel="var:4", out=tmp_path / "run") for each in (whole, left)]
    found = [predict(load(tmp_path / "run"), section).mean for section in (whole[0], left[0])]
    assert np.array_equal(*found) and models[0].trained_on == models[1].trained_on


def test_landmarks_out_of_fold_are_the_formula_of_each_fold() -> None:
    """Ridge on coordinates of spots outside the fold, made of the kernel with the landmarks."""
    training = toy.training(50)
    given = {**KERNEL, "penalties": (0.02,), "smoothing": (0.0,), "registration": False}
    model = toy.solved("kernel", training, **given)
    found, target, section = model.out_of_fold(training), training.target, training.batch.part_of_spot()
    fits = LandmarkFits.around(model.members[0], model._contexts(training.batch)[0], model.settings, None)
    phi = fits.coordinates.rows(np.arange(len(target)))
    assert phi.shape[1] <= 40
    for label in np.unique(training.groups):
        out = training.groups == label
        centre = phi[~out].mean(0)
        apart, values = phi[~out] - centre, within_sections(target[~out], section[~out])
        weights = np.linalg.solve(
            apart.T @ apart / len(apart) + 0.02 * np.eye(len(centre)), apart.T @ values / len(apart)
        )
        expected = (phi[out] - centre) @ weights + target[~out].mean(0)
        np.testing.assert_allclose(found[out], expected, atol=1e-4)


@pytest.mark.parametrize("model", ["ridge", "kernel"])
def test_some_spots_out_of_fold_are_as_among_all(model: str) -> None:
    """Also where neighbours, which smoothing needs, are not among them."""
    training = toy.training(60)
    given = {**SETTINGS[model], "smoothing": (0.5,)}
    solved = toy.solved(model, training, **given)
    rows = np.array([0, 1, 17, 100, 101, 239])
    np.testing.assert_allclose(solved.some_out_of_fold(training, rows), solved.out_of_fold(training)[rows], atol=1e-6)


@pytest.mark.parametrize("model", ["ridge", "kernel"])
def test_pieces_of_many_spots_choose_as_all_do(model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def solved(training: Training) -> tuple[Any, np.ndarray]:
        solved = toy.solved(model, training, **{**SETTINGS[model], "registration": False} if model == "kernel" else {})
        return solved, solved.out_of_fold(training)

    training = toy.training(200)
    all_of_them, _ = solved(training)
    monkeypatch.setattr(smoothing, "_MOST_SPOTS", 300)
    monkeypatch.setattr("eosin.models.kernel.fitting.MOST_JUDGED", 300)
    some, _ = solved(training)
    n = len(smoothing.rows_to_judge(training.batch, 6))
    assert 200 < n < 450 < len(training.batch)
    test = toy.section("X9", 40)
    batch = type(training.batch).of([test])
    one, other = all_of_them.predict(batch), some.predict(batch)
    assert np.corrcoef(one.ravel(), other.ravel())[0, 1] > 0.99


def test_error_bars_of_very_many_spots_are_learned_from_pieces(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    sections = [toy.section(name, 300) for name in ("A1", "A2", "B1", "B2")]
    whole = train(sections, model="ridge", panel="var:6").errors
    monkeypatch.setattr(smoothing, "_MOST_SPOTS", 600)
    with caplog.at_level(logging.INFO, "eosin"):
        some = train(sections, model="ridge", panel="var:6").errors
    assert "error bars are learned from" in caplog.text and "of 1200 training spots" in caplog.text
    assert whole is not None and some is not None
    np.testing.assert_allclose(some.new.scale, whole.new.scale, rtol=0.1)
    np.testing.assert_allclose(some.known.level, whole.known.level, rtol=0.25)


def test_every_registered_model_says_whether_it_reads_rows() -> None:
    made = {name: toy.made(name, toy.training(20)) for name in MODELS}
    assert {name for name in made if made[name].reads_rows} == {"ridge", "kernel", "gene-mean"}
    learned = {name for name in made if isinstance(made[name], Learned)}
    closed = {"ridge", "kernel", "gene-mean", "gigapath"}  # gigapath reads tiles by rows, and its head is a ridge
    assert {name for name in made if made[name].trains_on_rows} == learned | closed
