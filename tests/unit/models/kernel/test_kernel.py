"""The model `kernel` at the edges: few spots, one section, many spots, many genes; what it says of itself."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import toy
from eosin.engine import load, predict, train
from eosin.engine.train import gather
from eosin.errors import EosinError
from eosin.genes import choose_panel
from eosin.models import MODELS, Training
from eosin.models.kernel.heads import choice_genes
from eosin.models.kernel.member import landmarks
from eosin.models.kernel.settings import KernelSettings
from eosin.types import Batch, GenePanel, Section


def training_of(sections: list[Section]) -> Training:
    return gather(sections, choose_panel("var:6", sections))


def correlation(model, section: Section, panel: GenePanel) -> float:
    truth = np.log1p(section.expression(panel.names))
    found = model.predict(Batch.of([section]))
    return float(np.mean([np.corrcoef(truth[:, g], found[:, g])[0, 1] for g in range(len(panel))]))


@pytest.mark.parametrize("names", [["A1"], ["A1", "A2"], ["A1", "B1"], ["A1", "A2", "B1"]])
def test_one_section_one_patient_or_more_are_enough(names: list[str]) -> None:
    sections = [toy.section(name, 60) for name in names]
    training = training_of(sections)
    model = toy.solved("kernel", training)
    assert correlation(model, toy.section("A9", 50), training.panel) > 0.3
    left_over = training.target - model.out_of_fold(training)
    assert left_over.var() < training.target.var()  # also regions of one section are predicted without themselves
    in_sample = training.target - model.predict(training.batch)
    assert left_over.var() > in_sample.var()


@pytest.mark.parametrize("n", [1, 2, 3])
def test_hardly_any_spots_give_finite_values(n: int) -> None:
    for names in (["A1"], ["A1", "B1"]):
        training = training_of([toy.section(name, n) for name in names])
        model = toy.solved("kernel", training)
        assert np.isfinite(model.predict(Batch.of([toy.section("A9", 5)]))).all()
        assert np.isfinite(model.out_of_fold(training)).all()


def test_a_section_of_two_spots_can_be_trained_on_and_predicted() -> None:
    training = training_of([toy.section("A1", 2), toy.section("A2", 40), toy.section("B1", 40)])
    model = toy.solved("kernel", training)
    assert np.isfinite(model.predict(Batch.of([toy.section("A9", 2)]))).all()


def test_constant_features_and_genes_do_no_harm() -> None:
    training = toy.training(30)
    features = np.hstack([training.batch.features, np.full((len(training.batch), 1), 7, np.float32)])
    target = training.target.copy()
    target[:, 2] = 1.5
    with_constant = replace(training, batch=replace(training.batch, features=features), target=target)
    plain = toy.solved("kernel", replace(training, target=target)).predict(training.batch)
    found = toy.solved("kernel", with_constant).predict(with_constant.batch)
    assert np.allclose(found, plain, atol=1e-5)
    assert np.allclose(found[:, 2], 1.5)


def test_a_known_patient_has_the_level_of_their_own_sections() -> None:
    sections = [toy.section(name, 50) for name in ("A1", "A2", "B1", "B2")]
    sections[2:] = [replace(s, counts=s.counts * 4) for s in sections[2:]]
    training = training_of(sections)
    model = toy.solved("kernel", training)
    test = toy.section("X1", 60)
    level = {p: model.predict(Batch.of([replace(test, patient=p)])).mean() for p in ("A", "B", "Z")}
    of_patient = {p: training.target[rows].mean() for p, rows in (("A", slice(0, 100)), ("B", slice(100, 200)))}
    assert level["A"] == pytest.approx(of_patient["A"], abs=0.3)
    assert level["B"] == pytest.approx(of_patient["B"], abs=0.3)
    assert level["Z"] == pytest.approx((of_patient["A"] + of_patient["B"]) / 2, abs=0.3)


def test_the_head_is_reported_with_the_prediction() -> None:
    sections = toy.cohort(30)
    trained = train(sections, model="kernel", panel="var:4")
    known, new = (predict(trained, replace(toy.section("X1", 20), patient=p)) for p in ("B", "Z"))
    assert known.provenance["remarks"]["head"] == "known patient"
    assert new.provenance["remarks"]["head"] == "new patient"
    plain = train(sections, model="kernel", panel="var:4", settings={"model": {"heads": False}})
    assert predict(plain, replace(toy.section("X1", 20), patient="B")).provenance["remarks"]["head"] == "new patient"


def test_encoders_side_by_side_are_members_and_a_checkpoint_keeps_them(tmp_path) -> None:
    sections = [replace(s, features=replace(s.need_features(), blocks=(4, 8))) for s in toy.cohort(30)]
    trained = train(sections, model="kernel", panel="var:4", out=tmp_path / "run")
    assert trained.model.blocks == (4, 8)
    test = toy.section("X1", 20)
    expected = predict(trained, test).mean
    assert np.array_equal(predict(load(tmp_path / "run"), test).mean, expected)
    one = train(sections, model="kernel", panel="var:4", settings={"model": {"members": "one"}})
    assert one.model.blocks == (12,)
    assert not np.allclose(predict(one, test).mean, expected, atol=1e-4)


def test_landmarks_are_drawn_from_every_section_alike_and_come_near_the_exact_answer() -> None:
    training = toy.training(60)
    section = training.batch.part_of_spot()
    settings = KernelSettings(n_landmarks=100)
    chosen = landmarks(section, np.arange(240), settings)
    assert np.bincount(section[chosen]).tolist() == [25, 25, 25, 25]
    assert np.array_equal(chosen, landmarks(section, np.arange(240), settings))
    test = Batch.of([toy.section("X1", 40)])
    exact = toy.solved("kernel", training).predict(test)
    near = toy.solved("kernel", training, n_exact=100, n_landmarks=120).predict(test)
    assert np.corrcoef(exact.ravel(), near.ravel())[0, 1] > 0.97
    assert not np.allclose(exact, near, atol=1e-4)


def test_blocks_of_rows_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    training, test = toy.training(40), Batch.of([toy.section("X1", 40)])
    found = []
    for numbers in (2**25, 500):
        monkeypatch.setattr("eosin.models.kernel.gram.NUMBERS_AT_ONCE", numbers)
        monkeypatch.setattr("eosin.models.kernel.member.NUMBERS_AT_ONCE", numbers)
        monkeypatch.setattr("eosin.models.kernel.kernel._ROWS_AT_ONCE", numbers // 50)
        model = toy.solved("kernel", training, n_exact=60, n_landmarks=60)
        found.append(model.predict(test))
    assert np.allclose(*found, atol=1e-6)


def test_genes_to_choose_by_are_spread_over_the_variances() -> None:
    target = np.random.default_rng(0).normal(size=(50, 300)) * np.linspace(3, 0.1, 300)
    target[:, 7] = 1.0
    chosen = choice_genes(target, 20)
    assert len(chosen) == 20 and 7 not in chosen
    variance = np.delete(target.var(0), 7)
    assert {target[:, chosen].var(0).min(), target[:, chosen].var(0).max()} == {variance.min(), variance.max()}
    assert choice_genes(target, 300).tolist() == list(range(300))
    assert len(choice_genes(np.ones((5, 10)), 3)) == 3


def test_a_gene_that_is_constant_but_for_rounding_chooses_nothing():
    """In single precision the mean of many equal values is not that value."""
    target = np.random.default_rng(0).normal(size=(5_000, 300)).astype(np.float32)
    target[:, 7] = 0.3
    assert target.var(0)[7] > 0
    assert 7 not in choice_genes(target, 299)


def test_penalty_of_a_large_panel_is_that_of_its_genes_to_choose_by() -> None:
    """Fifty times the same genes: one fit, the same penalty, and each copy predicted alike."""
    training, test = toy.training(40), Batch.of([toy.section("X1", 30)])
    many = replace(
        training,
        target=np.tile(training.target, 50),
        counts=np.tile(training.counts, 50),
        panel=GenePanel(tuple(f"G{i}" for i in range(300))),
    )
    small, large = toy.solved("kernel", training), toy.solved("kernel", many)
    assert large.heads == small.heads
    assert np.allclose(large.predict(test), np.tile(small.predict(test), 50), atol=1e-5)


@pytest.mark.parametrize("given", [{"rings": (8, 8)}, {"rings": (0, 3)}, {"penalties": ()}, {"n_landmarks": 0}])
def test_impossible_settings_are_refused(given: dict) -> None:
    with pytest.raises(EosinError):
        MODELS["kernel"].settings.of(given)


def test_patients_and_blocks_stay_with_their_parts() -> None:
    batch = Batch.of([toy.section("A1", 5), toy.section("B1", 4)])
    assert batch.patients == ("A", "B")
    part = batch.regions([np.array([6, 7]), np.array([0]), np.array([5])])
    assert part.patients == ("B", "A", "B")
