"""What the kernel must not depend on: how a section lies, the order of its spots, other sections of the same call."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import toy
from eosin.engine.train import gather
from eosin.genes import choose_panel
from eosin.models import Training
from eosin.types import Batch

CHANGED_BY = 1e-5
"""Rounding, in log counts."""


def on_lattice(batch: Batch) -> Batch:
    """The same spots at exact places of a lattice, where most neighbours are equally far."""
    return replace(batch, xy_um=np.round(batch.xy_um / 100) * 100)


@pytest.fixture(scope="module", params=["jittered", "lattice"])
def solved(request: pytest.FixtureRequest):
    training: Training = toy.training(49)
    batch = Batch.of([toy.section("X1", 45), toy.section("A9", 30)])
    if request.param == "lattice":
        training, batch = replace(training, batch=on_lattice(training.batch)), on_lattice(batch)
    model = toy.solved("kernel", training)
    return model, batch, model.predict(batch)


@settings(deadline=None, max_examples=15)
@given(angle=st.floats(0, 2 * np.pi), mirrored=st.booleans(), shift=st.tuples(*[st.floats(-1e5, 1e5)] * 2))
def test_how_a_section_lies_changes_nothing(solved, angle, mirrored, shift) -> None:
    model, batch, expected = solved
    cos, sin = np.cos(angle), np.sin(angle)
    turn = np.array([[cos, -sin], [sin, cos]]) @ np.diag([-1.0 if mirrored else 1.0, 1.0])
    moved = replace(batch, xy_um=batch.xy_um @ turn.T + shift)
    assert np.allclose(model.predict(moved), expected, atol=CHANGED_BY)


@settings(deadline=None, max_examples=15)
@given(seed=st.integers(0, 2**16))
def test_the_order_of_the_spots_changes_nothing(solved, seed) -> None:
    model, batch, expected = solved
    rng = np.random.default_rng(seed)
    order = [rng.permutation(45), 45 + rng.permutation(30)]
    found = model.predict(batch.regions(order))
    assert np.allclose(found, expected[np.concatenate(order)], atol=CHANGED_BY)


def test_another_section_of_the_call_changes_nothing(solved) -> None:
    model, batch, expected = solved
    alone = np.concatenate([model.predict(batch.regions([rows])) for rows in (np.arange(45), np.arange(45, 75))])
    assert np.allclose(alone, expected, atol=CHANGED_BY)


def test_the_order_of_training_sections_and_spots_changes_nothing() -> None:
    sections = toy.cohort(40)
    rng = np.random.default_rng(0)
    shuffled = [s.take(rng.permutation(len(s))) for s in reversed(sections)]
    panel = choose_panel("var:6", sections)
    batch = Batch.of([toy.section("X1", 45), toy.section("A9", 30)])
    found = [toy.solved("kernel", gather(order, panel)).predict(batch) for order in (sections, shuffled)]
    assert np.allclose(*found, atol=CHANGED_BY)


def test_a_shift_of_level_of_a_training_section_changes_no_differences() -> None:
    """Centred within sections: what a section has more of everywhere moves the level only."""
    training = toy.training(40)
    raised = training.target.copy()
    raised[: training.batch.starts[1]] += 3
    batch = Batch.of([toy.section("X1", 45)])
    plain, other = (toy.solved("kernel", replace(training, target=y)).predict(batch) for y in (training.target, raised))
    assert np.allclose(other - other.mean(0), plain - plain.mean(0), atol=1e-4)
    assert (other.mean(0) > plain.mean(0) + 0.5).all()
