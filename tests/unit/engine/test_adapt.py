"""A model that is updated by measured spots: it learns the patient, keeps it on disk, and leaves others alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import sparse

import toy
from eosin.engine import Trained, adapt, load, predict, train
from eosin.errors import EosinError
from eosin.genes import target
from eosin.metrics import coverage_of_bars
from eosin.types import Section


def shifted(name: str, seed: int) -> Section:
    """A section of patient Z, whose genes are at levels of their own."""
    section = toy.section(name, 80, patient="Z", seed=seed)
    factors = np.exp(np.random.default_rng(9).normal(1.4, 0.8, size=toy.N_GENES))
    assert section.counts is not None
    counts = np.random.default_rng(seed).poisson(section.counts.toarray() * factors)
    return replace(section, counts=sparse.csr_matrix(counts))


@pytest.fixture(scope="module", params=["kernel", "ridge"])
def trained(request: pytest.FixtureRequest) -> Trained:
    return train(toy.cohort(60), model=request.param, panel="var:6")


def miss(model: Trained, section: Section, rows: np.ndarray | slice = slice(None)) -> float:
    return float(np.square(target(section, model.panel) - predict(model, section).mean)[rows].mean())


def test_measured_spots_help_other_spots_and_other_sections(trained: Trained) -> None:
    one, other = shifted("Z1", 1), shifted("Z2", 2)
    rest = np.arange(20, 80)
    updated = adapt(trained, one, np.arange(20))
    assert miss(updated, one, rest) < 0.7 * miss(trained, one, rest)
    assert miss(updated, other) < 0.7 * miss(trained, other)
    bars = predict(updated, other).error_bars
    assert (
        bars is not None and bars.kind == "known patient" and bars.basis.startswith("20 measured spots of the patient")
    )
    made = predict(updated, other)
    assert 0.75 < coverage_of_bars(target(other, trained.panel), made.mean, bars, 0.9) <= 1  # counts at other levels
    assert (made.sd < predict(trained, other).sd).all()
    assert (predict(updated, one).sd < made.sd).all()  # a slide that was measured is known better than a sister
    assert made.provenance["remarks"]["adapted"] == "to 20 spots of Z1"
    assert made.provenance["adapted_to"] == [{"name": "Z1", "patient": "Z", "n_spots": 20}]
    assert bars.n_patients == 2  # of training; whom measured spots made known is told by the basis


def test_counts_of_other_spots_are_not_looked_at(trained: Trained) -> None:
    section = shifted("Z1", 1)
    assert section.counts is not None
    changed = section.counts.toarray()
    changed[20:] = 99
    other = replace(section, counts=sparse.csr_matrix(changed))
    ours, theirs = (predict(adapt(trained, s, np.arange(20)), shifted("Z2", 2)) for s in (section, other))
    assert np.array_equal(ours.mean, theirs.mean) and np.array_equal(ours.sd, theirs.sd)


def test_others_are_predicted_as_before(trained: Trained) -> None:
    updated, stranger = adapt(trained, shifted("Z1", 1)), toy.section("Q1", 40)
    ours, before = predict(updated, stranger), predict(trained, stranger)
    assert np.array_equal(ours.draws, before.draws) and np.array_equal(ours.sd, before.sd)
    assert "adapted_to" not in ours.provenance


def test_it_is_kept_on_disk_and_can_go_on(trained: Trained, tmp_path: Path) -> None:
    updated = adapt(trained, shifted("Z1", 1), np.arange(15))
    updated.save(tmp_path / "run")
    again, new = load(tmp_path / "run"), shifted("Z2", 2)
    assert np.array_equal(predict(again, new).mean, predict(updated, new).mean)
    assert np.array_equal(predict(again, new).quantile(0.05), predict(updated, new).quantile(0.05))
    more = adapt(again, shifted("Z3", 3))
    assert [m["n_spots"] for m in more.config()["adapted_to"]] == [15, 80]
    assert not np.array_equal(predict(more, new).mean, predict(updated, new).mean)


def test_a_known_patient_can_be_updated_too(trained: Trained) -> None:
    section = toy.section("A3", 40, patient="A")
    made = predict(adapt(trained, section, np.arange(10)), section)
    assert made.error_bars is not None and made.error_bars.n_patients == 2


def test_what_cannot_be_is_refused(trained: Trained) -> None:
    section = shifted("Z1", 1)
    with pytest.raises(EosinError, match="no measured spot"):
        adapt(trained, section, np.array([], dtype=int))
    with pytest.raises(EosinError, match="was trained on section 'A1'"):
        adapt(trained, toy.section("A1", 60))
    with pytest.raises(EosinError, match="adapted to spots of section 'Z1' already"):
        adapt(adapt(trained, section, np.arange(5)), section)
    with pytest.raises(EosinError, match="has no counts"):
        adapt(trained, replace(section, counts=None, genes=None))
    with pytest.raises(EosinError, match="no error bars"):
        adapt(replace(trained, errors=None), section)


def test_a_network_that_took_part_is_updated_with_its_draws() -> None:
    settings = {
        "model": {"width": 8, "edge_width": 8, "n_layers": 1, "n_heads": 2, "n_steps": 2, "base": "none"},
        "train": {"epochs": 1},
    }
    trained = train(toy.cohort(40), model="stflow", panel="var:6", settings=settings)
    section = shifted("Z1", 1)
    updated = adapt(trained, section, np.arange(20))
    before, after = predict(trained, section, draws=6), predict(updated, section, draws=6)
    assert miss(updated, section) < miss(trained, section)
    moved = after.draws.mean((0, 1)) - before.draws.mean((0, 1))
    assert np.corrcoef(moved, after.mean.mean(0) - before.mean.mean(0))[0, 1] > 0.5
