"""A calibration given some spots at a time: what `Calibration.apply` gives, in little memory."""

from __future__ import annotations

import logging
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from scipy import sparse

from eosin.engine import calibrated as room
from eosin.engine.calibrated import calibrated
from eosin.errors import EosinError
from eosin.genes import target
from eosin.storage import scratch
from eosin.trust import Calibration
from eosin.types import GenePanel, Likeness, Prediction, Section, Spots

GENES = tuple(f"G{j}" for j in range(8))


def measured(name: str, n: int, seed: int) -> Section:
    rng = np.random.default_rng(seed)
    xy = np.stack([np.arange(n) % 20, np.arange(n) // 20], 1) * 100.0
    rates = np.exp(1 + np.sin(xy[:, :1] / rng.uniform(200, 600, len(GENES))) + rng.normal(0, 0.3, len(GENES)))
    spots = Spots(xy, 55.0, tuple(f"{name}-{i}" for i in range(n)))
    return Section(name, name, spots, counts=sparse.csr_matrix(rng.poisson(rates)), genes=GENES)


def guess(section: Section, n_draws: int = 1, genes: tuple[str, ...] = GENES) -> Prediction:
    panel = GenePanel(genes)
    values = target(section, GenePanel(GENES))[:, : len(genes)] - 0.4
    draws = values + np.random.default_rng(3).normal(scale=0.3, size=(n_draws, *values.shape))
    likeness = Likeness(np.linspace(0, 1, len(section)), 1.0, 1.0)
    return Prediction(section.name, section.spots, panel, draws, "m", 4, likeness=likeness)


@pytest.fixture(scope="module")
def calibration() -> Calibration:
    sections = [measured(f"S{i}", 100, i) for i in range(4)]
    return Calibration.learn([(guess(section), section) for section in sections])


@pytest.fixture
def by_blocks(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.setattr(room, "IN_MEMORY_BYTES", 0)
    monkeypatch.setattr(room, "_VALUES_AT_ONCE", 500)
    monkeypatch.setattr(room, "scratch_table", lambda shape: scratch.scratch_table(shape, in_memory=0))
    return monkeypatch


@pytest.mark.parametrize("n_draws", [1, 3])
@pytest.mark.parametrize("with_mean", [False, True])
@pytest.mark.parametrize("unknown", [False, True])
def test_blocks_give_what_the_whole_gives(
    calibration: Calibration, by_blocks: pytest.MonkeyPatch, n_draws: int, *, with_mean: bool, unknown: bool
) -> None:
    given = guess(measured("new", 300, 9), n_draws, (*GENES[:3], "X", *GENES[5:]) if unknown else GENES)
    if with_mean:
        given = replace(given, centre=given.mean + np.float32(0.1))
    one, other = calibration.apply(given), calibrated(calibration, given)
    for array in ("mean", "draws", "sd"):
        np.testing.assert_array_equal(getattr(one, array), getattr(other, array))
    assert (one.panel, one.mirrored, dict(one.provenance)) == (other.panel, other.mirrored, dict(other.provenance))
    assert one.error_bars is not None and other.error_bars is not None
    assert one.error_bars.to_json() == other.error_bars.to_json()
    assert other.spots is given.spots and other.likeness is given.likeness


def test_it_warns_once_and_refuses_as_before(
    calibration: Calibration, by_blocks: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "eosin"):
        done = calibrated(calibration, guess(measured("new", 300, 9), 1, (*GENES[:3], "X")))
    assert [record.getMessage() for record in caplog.records] == [
        "new: 1 gene left out that the calibration lacks, first 'X'"
    ]
    with pytest.raises(EosinError, match="calibrated already"):
        calibrated(calibration, done)


def test_no_table_is_made_in_memory(calibration: Calibration, by_blocks: pytest.MonkeyPatch) -> None:
    given = guess(measured("new", 150_000, 9))
    by_blocks.setattr(room, "_VALUES_AT_ONCE", 1 << 14)
    tracemalloc.start()
    calibrated(calibration, given)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < given.draws.nbytes, f"{peak / 1e6:.1f} MB"
