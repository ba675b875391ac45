"""The model `kernel` equals its formulas, written as loops in `kernel_literal.py`."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import toy
from eosin.engine.train import gather
from eosin.genes import choose_panel
from eosin.models import Training
from eosin.types import Batch, Section
from reference import kernel_literal as literal

PENALTIES, SHARES = (1e-3, 0.1), (0.0, 0.5)
NAMES = ("A1", "A2", "B1", "B2", "B3")
N = 22


def with_level(section: Section, name: str) -> Section:
    """The toy's section; its patients differ in the level of the genes."""
    assert section.counts is not None
    return replace(section, counts=section.counts * (1 if name[0] == "A" else 3))


@pytest.fixture(scope="module")
def cohort() -> tuple[list[Section], Training]:
    sections = [with_level(toy.section(name, N), name) for name in NAMES]
    return sections, gather(sections, choose_panel("var:4", sections))


def pairs(batch: Batch) -> list[tuple[np.ndarray, np.ndarray]]:
    return [(batch.xy_um[a:b], batch.features[a:b]) for a, b in zip(batch.starts[:-1], batch.starts[1:])]


def settings(**given: object) -> dict:
    return {"penalties": PENALTIES, "smoothing": SHARES, **given}


@pytest.mark.parametrize("patient", ["A", "B", "somebody else"])
def test_a_prediction_is_what_the_formulas_say(cohort, patient: str) -> None:
    _, training = cohort
    section, target = training.batch.part_of_spot(), training.target
    context = literal.in_context(pairs(training.batch), (8, 24))
    test = Batch.of([replace(toy.section("X9", 20), patient=patient)])
    by_section = [[s] for s in range(len(NAMES))]
    folds = [[0, 1], [2, 3, 4]] if patient == "somebody else" else by_section
    penalty, share = literal.choose(
        context, toy.N_FEATURES, target, section, folds, PENALTIES, SHARES, pairs(training.batch), 8
    )
    fit = literal.KernelFit(context, toy.N_FEATURES, target, section, penalty)
    plain = fit.predict(literal.in_context(pairs(test), (8, 24)))
    own = np.array([name[0] == patient for name in NAMES])[section]
    level = target[own].mean(0) if own.any() else target.mean(0)
    expected = literal.smoothed(plain, pairs(test), share, 8) + level
    found = toy.solved("kernel", training, **settings())
    assert np.allclose(found.predict(test), expected, atol=2e-5)
    assert found.remarks(test)["head"] == ("known patient" if own.any() else "new patient")


def test_members_are_averaged(cohort) -> None:
    sections, _ = cohort
    blocks = [replace(s, features=replace(s.need_features(), blocks=(5, 7))) for s in sections]
    training = gather(blocks, choose_panel("var:4", blocks))
    test = Batch.of([toy.section("X9", 20)])
    expected = np.zeros((20, 4))
    for columns in (slice(0, 5), slice(5, 12)):
        batch = replace(training.batch, features=training.batch.features[:, columns], blocks=())
        member = toy.solved("kernel", replace(training, batch=batch), **settings())
        expected += member.predict(replace(test, features=test.features[:, columns])) / 2
    assert np.allclose(toy.solved("kernel", training, **settings()).predict(test), expected, atol=1e-5)


def test_out_of_fold_is_fitted_without_the_patient(cohort) -> None:
    _, training = cohort
    found = toy.solved("kernel", training, **settings(penalties=(0.01,), smoothing=(0.5,))).out_of_fold(training)
    section, target = training.batch.part_of_spot(), training.target
    context = literal.in_context(pairs(training.batch), (8, 24))
    expected = np.zeros(target.shape)
    for held in ([0, 1], [2, 3, 4]):
        out = np.isin(section, held)
        fit = literal.KernelFit(context[~out], toy.N_FEATURES, target[~out], section[~out], 0.01)
        expected[out] = fit.predict(context[out])
        rows = [pairs(training.batch)[s] for s in held]
        expected[out] = literal.smoothed(expected[out], rows, 0.5, 8) + target[~out].mean(0)
    assert np.allclose(found, expected, atol=2e-5)


def test_landmarks_that_are_all_spots_give_the_exact_answer(cohort) -> None:
    _, training = cohort
    test = Batch.of([toy.section("X9", 20)])
    exact = toy.solved("kernel", training, **settings(penalties=(0.01,)))
    n = len(training.batch)
    nystroem = toy.solved("kernel", training, **settings(penalties=(0.01,), n_exact=2, n_landmarks=n))
    assert np.allclose(exact.predict(test), nystroem.predict(test), atol=1e-4)
    assert len(nystroem.members[0].anchors.linear) == n
