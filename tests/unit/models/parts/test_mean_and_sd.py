"""Means and standard deviations in blocks, and that whoever asks for them copies no whole table."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from eosin.models.parts import mean_and_sd as mean_and_sd_module
from eosin.models.parts import principal
from eosin.models.parts.mean_and_sd import mean_and_sd
from eosin.models.parts.principal import Fit
from eosin.models.parts.scaling import InputMap, ValueScale


@pytest.fixture
def table():
    return (np.random.default_rng(0).normal(size=(2_000, 40)) * 3 + 5).astype(np.float32)


@pytest.mark.parametrize("at_once", [1, 97, 2**22])
def test_blocks_equal_the_literal_formulas(table, at_once, monkeypatch):
    monkeypatch.setattr(mean_and_sd_module, "NUMBERS_AT_ONCE", at_once * 40)
    mean, sd = mean_and_sd(table)
    np.testing.assert_allclose(mean, table.astype(float).mean(0), rtol=1e-12)
    np.testing.assert_allclose(sd, table.astype(float).std(0), rtol=1e-12)


def test_components_do_not_depend_on_the_blocks(table, monkeypatch):
    values = table[:, :3] - table[:, 3:6]
    whole = Fit.of(table, values, 5)
    for module in (mean_and_sd_module, principal):
        monkeypatch.setattr(module, "NUMBERS_AT_ONCE", 41 * 40)
    blocks = Fit.of(table, values, 5)
    np.testing.assert_allclose(blocks.eigenvalues, whole.eigenvalues, rtol=1e-10)
    for penalty in (0.1, 10.0):
        one, other = (fit.components(table) @ fit.weights(penalty) for fit in (whole, blocks))
        np.testing.assert_allclose(one, other, atol=1e-10)


@pytest.mark.parametrize(
    ("part", "n_copies"),
    [(ValueScale(40, standardise=True), 0.5), (InputMap(40, None), 1.5), (InputMap(40, 8), 1.5)],
    ids=["values", "features", "components"],
)
def test_fitting_scales_copies_no_whole_table(part, n_copies, monkeypatch):
    """An input map takes its features, of some spots of very many, into memory once, as they are."""
    for module in (mean_and_sd_module, principal):
        monkeypatch.setattr(module, "NUMBERS_AT_ONCE", 1_000 * 40)
    table = np.random.default_rng(0).normal(size=(40_000, 40)).astype(np.float32)
    part.observe(table[:100])
    tracemalloc.start()
    part.observe(table)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < n_copies * table.nbytes
