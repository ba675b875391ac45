"""Registration in the kernel: where sections are serial it helps, where they are not the gate refuses it."""

from __future__ import annotations

import logging
from dataclasses import replace

import numpy as np
import pytest

import toy
from eosin.engine import load, predict, train
from eosin.engine.train import gather
from eosin.genes import choose_panel
from eosin.models.kernel.atlas import NOWHERE, Places
from eosin.types import Batch, Section
from toy import serial

SERIAL = [serial(f"A{i}", seed=i, angle=0.7 * i) for i in range(1, 5)]


def pcc(model, section: Section) -> float:
    truth, found = np.log1p(section.expression(section.genes[:6])), model.predict(Batch.of([section]))
    return float(np.mean([np.corrcoef(truth[:, g], found[:, g])[0, 1] for g in range(6)]))


def fitted(sections: list[Section], **settings):
    panel = choose_panel(",".join(sections[0].genes[:6]), sections)
    return toy.solved("kernel", gather(sections, panel), **settings)


@pytest.fixture(scope="module")
def model():
    return fitted(SERIAL[:3])


@pytest.fixture(scope="module")
def plain():
    """The same without registration."""
    return fitted(SERIAL[:3], registration=False)


def test_serial_sections_gain(model, plain) -> None:
    test = SERIAL[3]
    assert model.registered is not None and model.registered.near.weight > 0
    assert "used" in model.remarks(Batch.of([test]))["registration"]
    assert pcc(model, test) > pcc(plain, test) + 0.01


def test_other_tissue_of_the_same_patient_is_refused(model, plain) -> None:
    other = serial("A9", seed=30, of=5)
    assert "refused" in model.remarks(Batch.of([other]))["registration"]
    assert np.allclose(model.predict(Batch.of([other])), plain.predict(Batch.of([other])), atol=1e-5)
    ungated = fitted(SERIAL[:3], gate=False)
    assert "used" in ungated.remarks(Batch.of([other]))["registration"]


def test_a_section_that_is_too_small_is_laid_over_nothing(model) -> None:
    small = SERIAL[3].take(np.arange(6))
    assert model.remarks(Batch.of([small]))["registration"] == "found nothing to lay it over"
    assert np.isfinite(model.predict(Batch.of([small]))).all()


def test_one_training_section_takes_the_default_weight_and_asks_for_more() -> None:
    model = fitted(SERIAL[:1])
    assert model.registered is not None
    assert (model.registered.near.weight, model.registered.near.length) == (0.25, 1.5)
    assert model.registered.needed == (0.6, 0.7)


def test_sections_that_have_nothing_in_common_are_trained_without() -> None:
    """Each of another tissue: places say nothing, and leaving sections out shows it."""
    model = fitted([serial(f"A{i}", seed=i, of=10 + i) for i in range(4)])
    assert model.registered is None
    assert "registration" not in model.remarks(Batch.of([SERIAL[0]]))


def test_every_patient_has_a_reference_of_their_own_and_frames_do_not_mix() -> None:
    sections = [*SERIAL[:2], *(serial(f"B{i}", seed=50 + i, of=3, n=(9, 12)) for i in range(2))]
    training = gather(sections, choose_panel("var:6", sections))
    model = toy.solved("kernel", training, register_weights=(0.5,), register_lengths=(1.5,))
    places = model.registered.near.places
    part = training.batch.part_of_spot()
    assert [set(places.frame[part == i]) for i in range(4)] == [{0}, {0}, {1}, {1}]
    together = places.nearness(places, 1.5)
    assert (together[part <= 1][:, part >= 2] == 0).all() and (together[part == 0][:, part == 1] > 0.5).any()
    nowhere = replace(places, frame=np.full_like(places.frame, NOWHERE))
    assert (nowhere.nearness(nowhere, 1.5) == 0).all()


def test_only_places_on_one_reference_are_near() -> None:
    rng = np.random.default_rng(0)
    own, other = (Places(rng.choice([NOWHERE, 0, 1, 2], size=n), rng.normal(size=(n, 2))) for n in (40, 30))
    near = own.nearness(other, 0.7)
    for i in range(40):
        for j in range(30):
            together = own.frame[i] == other.frame[j] != NOWHERE
            expected = np.exp(-np.square(own.xy[i] - other.xy[j]).sum() / (2 * 0.7**2)) if together else 0.0
            assert near[i, j] == pytest.approx(expected, rel=1e-12, abs=0)


def test_how_a_section_lies_and_the_order_of_its_spots_change_nothing(model) -> None:
    batch = Batch.of([SERIAL[3]])
    expected = model.predict(batch)
    for angle, mirror in ((0.4, 1), (2.9, -1)):
        cos, sin = np.cos(angle), np.sin(angle)
        turned = replace(batch, xy_um=batch.xy_um @ np.array([[cos, sin], [-sin, cos]]) * [mirror, 1] + 7e3)
        assert np.allclose(model.predict(turned), expected, atol=1e-4)
    order = np.random.default_rng(0).permutation(len(batch))
    assert np.allclose(model.predict(batch.regions([order])), expected[order], atol=1e-4)
    both = Batch.of([SERIAL[3], serial("A9", seed=30, of=5)])
    assert np.allclose(model.predict(both)[: len(batch)], expected, atol=1e-5)


def test_a_checkpoint_keeps_registration(tmp_path) -> None:
    trained = train(SERIAL[:3], model="kernel", panel="var:4", out=tmp_path / "run")
    first, again = predict(trained, SERIAL[3]), predict(load(tmp_path / "run"), SERIAL[3])
    assert np.array_equal(first.mean, again.mean)
    assert first.provenance["remarks"] == again.provenance["remarks"]
    assert "used" in first.provenance["remarks"]["registration"]


def test_out_of_fold_knows_places_too(model, plain) -> None:
    training = gather(SERIAL[:3], choose_panel(",".join(SERIAL[0].genes[:6]), SERIAL[:3]))
    errors = [np.square(m.out_of_fold(training) - training.target).mean() for m in (model, plain)]
    assert errors[0] < errors[1]


def test_landmarks_that_are_all_spots_lay_sections_over_one_another_as_the_exact_kernel_does() -> None:
    sections = [toy.serial(name, seed=seed) for seed, name in enumerate(("A1", "A2", "A3"))]
    training = gather(sections, choose_panel("var:6", sections))
    given = {"penalties": (0.01,), "register_weights": (0.25,), "register_lengths": (1.5,), "smoothing": (0.0, 0.5)}
    exact = toy.solved("kernel", training, **given)
    by_landmarks = toy.solved("kernel", training, **given, n_exact=2, n_landmarks=len(training.batch))
    assert exact.registered is not None and by_landmarks.registered is not None
    assert np.allclose(exact.registered.needed, by_landmarks.registered.needed, atol=0.05)
    assert [head.smoothing for head in exact.registered.heads] == [h.smoothing for h in by_landmarks.registered.heads]
    test = Batch.of([toy.serial("A9", seed=9)])
    assert np.allclose(exact.predict(test), by_landmarks.predict(test), atol=1e-3)
    one, other = exact.out_of_fold(training), by_landmarks.out_of_fold(training)
    assert (
        np.corrcoef(one.ravel(), other.ravel())[0, 1] > 0.995
    )  # scales of a fold are its own, landmarks' those of all
    rows = np.array([0, 5, 200])
    assert np.allclose(by_landmarks.some_out_of_fold(training, rows), other[rows], atol=1e-5)
    alone = toy.solved("kernel", training, **given, n_exact=2, n_landmarks=len(training.batch), registration=False)
    assert not np.allclose(alone.out_of_fold(training), other, atol=0.05)


def test_few_landmarks_lay_nothing_over(caplog: pytest.LogCaptureFixture) -> None:
    sections = [toy.serial(name, seed=seed) for seed, name in enumerate(("A1", "A2"))]
    training = gather(sections, choose_panel("var:4", sections))
    with caplog.at_level(logging.INFO, "eosin"):
        model = toy.solved("kernel", training, n_exact=50, n_landmarks=10, penalties=(0.01,))
    assert model.registered is None
    assert "10 landmarks are too few for 216 spots" in caplog.text
