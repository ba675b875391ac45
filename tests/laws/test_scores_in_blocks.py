"""Scores of tables that are read some spots at a time are those of whole tables, and no second table is made."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from scipy.stats import pearsonr

from eosin.genes import target
from eosin.metrics import bars as bars_file
from eosin.metrics import calibration, crps_of_bars, differential, domains, moments, structure
from eosin.metrics.moments import pair_moments
from eosin.scores import matching
from eosin.scores.scoring import score
from eosin.storage import scratch
from eosin.types import ErrorBars, GenePanel, Prediction, Section, Spots

GENES = tuple(f"G{j:02d}" for j in range(30))
SETS = {"first": GENES[:5], "spread": GENES[3:28:5]}


def section(name: str, n: int, seed: int) -> Section:
    rng = np.random.default_rng(seed)
    spots = Spots(rng.uniform(0, 1500, (n, 2)), 55.0, tuple(f"{name}-{i}" for i in range(n)))
    waves = np.sin(spots.xy_um[:, :1] / rng.uniform(60, 600, len(GENES)))
    counts = rng.poisson(rng.uniform(0.2, 4, len(GENES)) * np.exp(waves)).astype(np.float32)
    counts[:, 2] = 3  # constant in the truth
    sides = np.where(waves[:, 0] > 0, "up", np.where(waves[:, 1] > 0, "left", "right")).tolist()
    labels = tuple(["unlabelled"] * 4 + sides[4:])
    return Section(name, name, spots, counts=sparse.csr_matrix(counts), genes=GENES, domains=labels)


def predicted(truth: Section, n_draws: int, *, bars: bool) -> Prediction:
    rng, panel = np.random.default_rng(n_draws), GenePanel(GENES[1:])
    values = target(truth, panel)
    draws = np.maximum(values + rng.normal(scale=0.4, size=(n_draws, *values.shape)), 0).astype(np.float32)
    draws[:, :, 6] = 0.5  # constant in the prediction
    if not bars:
        return Prediction(truth.name, truth.spots, panel, draws, "m", 0, mirrored=True)
    around = ErrorBars(np.linspace(0.1, 1, len(panel)), np.linspace(0.01, 0.99, 21), np.linspace(-2, 2, 21), 0.0)
    mean = draws.mean(0)
    return Prediction(truth.name, truth.spots, panel, draws, "m", 0, centre=mean, error_bars=around)


@pytest.fixture
def in_blocks(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """Everything goes a few spots or genes at a time, and tables lie in files."""
    for room in (moments, differential, structure, bars_file):
        monkeypatch.setattr(room, "VALUES_AT_ONCE", 700)
    monkeypatch.setattr(matching, "_VALUES_AT_ONCE", 700)
    monkeypatch.setattr(calibration, "_BLOCK_VALUES", 700)
    monkeypatch.setattr(structure, "_BLOCK", 7)
    monkeypatch.setattr(structure, "_SPOTS_AT_ONCE", 37)
    monkeypatch.setattr(matching, "scratch_table", lambda shape: scratch.scratch_table(shape, in_memory=0))
    yield monkeypatch


def close(a: Any, b: Any, path: str = "") -> None:
    if isinstance(a, dict):
        assert list(a) == list(b), path
        for key in a:
            close(a[key], b[key], f"{path}/{key}")
    elif isinstance(a, float):
        assert b == pytest.approx(a, abs=1e-9), path
    else:
        assert a == b, path


@pytest.mark.parametrize("bars", [False, True])
@pytest.mark.parametrize("n_draws", [1, 4])
def test_scores_by_blocks_are_those_of_the_whole(in_blocks: pytest.MonkeyPatch, n_draws: int, *, bars: bool) -> None:
    truths = [section("a", 150, 1), section("b", 90, 2)]
    given = [predicted(truth, n_draws, bars=bars) for truth in truths]
    by_blocks = score(given, truths, biomarkers=GENES[3:6], pathways=SETS)
    in_blocks.undo()
    close(score(given, truths, biomarkers=GENES[3:6], pathways=SETS), by_blocks)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 40), st.floats(-1e4, 1e4))
def test_sums_of_parts_are_those_of_the_whole(seed: int, cut: int, shift: float) -> None:
    rng = np.random.default_rng(seed)
    truth = rng.normal(size=(41, 3)) + shift
    guess = truth * [1, -1, 0.2] + rng.normal(size=(41, 3))
    parts = moments.PairMoments.of_block(truth[:cut], guess[:cut]) + moments.PairMoments.of_block(
        truth[cut:], guess[cut:]
    )
    literal = [float(pearsonr(truth[:, j], guess[:, j]).statistic) for j in range(3)]
    np.testing.assert_allclose(parts.pearson, literal, atol=1e-9)
    np.testing.assert_allclose(parts.predicted.variance, guess.var(0), rtol=1e-9)
    np.testing.assert_allclose(parts.squared_error.sum() / truth.size, ((truth - guess) ** 2).mean(), rtol=1e-9)
    np.testing.assert_allclose(parts.pearson, pair_moments(truth, guess).pearson, atol=1e-12)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), smallest=st.sampled_from([None, 0.0, 0.7]), narrow=st.booleans())
def test_crps_of_error_bars_is_twice_the_mean_quantile_loss(*, seed: int, smallest: float | None, narrow: bool) -> None:
    rng = np.random.default_rng(seed)
    scale = rng.uniform(0.05, 2, 4) * (0 if narrow else 1)
    shape = np.sort(rng.normal(size=9))
    bars = ErrorBars(scale, np.linspace(0.02, 0.98, 9), shape, smallest)
    truth, mean = rng.normal(0.5, 1, (30, 4)), rng.normal(0.5, 1, (30, 4))
    truth[0], mean[1] = 0.0, truth[1]
    levels, losses = (np.arange(99) + 0.5) / 99, []
    for level in levels:
        miss = truth - bars.quantile(mean, level)
        losses.append(np.maximum(level * miss, (level - 1) * miss).mean())
    assert crps_of_bars(truth, mean, bars) == pytest.approx(2 * np.mean(losses), abs=1e-6)


@pytest.mark.parametrize("bars", [False, True])
def test_no_table_is_made_in_memory(in_blocks: pytest.MonkeyPatch, *, bars: bool) -> None:
    """Of 6,000 spots of 200 genes: a table takes 4.8 MB as float32 and twice that as float64."""
    n, genes = 6_000, tuple(f"G{j}" for j in range(200))
    in_blocks.undo()
    for room in (moments, differential, structure, bars_file):
        in_blocks.setattr(room, "VALUES_AT_ONCE", 1 << 13)
    in_blocks.setattr(matching, "_VALUES_AT_ONCE", 1 << 13)
    in_blocks.setattr(calibration, "_BLOCK_VALUES", 1 << 13)
    in_blocks.setattr(structure, "_SPOTS_AT_ONCE", 1 << 11)
    in_blocks.setattr(domains, "MOST_SPOTS", 100)
    in_blocks.setattr(matching, "scratch_table", lambda shape: scratch.scratch_table(shape, in_memory=0))
    rng, side = np.random.default_rng(0), 100
    place = np.stack([np.arange(n) % side, np.arange(n) // side], 1) * 100.0
    spots = Spots(place, 55.0, tuple(f"s{i}" for i in range(n)))
    counts = sparse.csr_matrix(rng.random((n, 200)) < 0.02, dtype=np.float32)
    labels = tuple(np.where(place[:, 0] > 5000, "right", "left").tolist())
    truth = Section("a", "a", spots, counts=counts, genes=genes, domains=labels)
    table = scratch.scratch_table((3, n, 200), in_memory=0)
    table[:] = rng.random(table.shape, dtype=np.float32)
    around = ErrorBars(np.full(200, 0.3), np.linspace(0.01, 0.99, 21), np.linspace(-2, 2, 21), 0.0) if bars else None
    given = Prediction("a", spots, GenePanel(genes), table, "m", 0, centre=table[0], error_bars=around)
    tracemalloc.start()
    found = score(given, replace(truth), pathways={"set": genes[:9]})
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found["domains"]["n_clustered"] == {"a": 100}
    assert peak < n * 200 * 4, f"{peak / 1e6:.1f} MB"
