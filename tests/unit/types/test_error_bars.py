from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from eosin.errors import EosinError
from eosin.types import ErrorBars, GenePanel, Prediction, Spots

BARS = ErrorBars(np.array([1.0, 2.0, 0.5]), np.array([0.05, 0.5, 0.95]), np.array([-1.0, 0.1, 3.0]), 0.0, "new patient")
MEAN = np.array([[1.0, 5.0, 2.0], [0.2, 3.0, 0.0]])


def test_a_quantile_is_the_mean_plus_the_scaled_shape_and_not_below_the_smallest_value() -> None:
    assert np.allclose(BARS.quantile(MEAN, 0.95), MEAN + 3 * BARS.scale)
    assert np.allclose(BARS.quantile(MEAN, 0.05), [[0.0, 3.0, 1.5], [0.0, 1.0, 0.0]])
    assert np.allclose(replace(BARS, smallest=None).quantile(MEAN, 0.05)[1], [-0.8, 1.0, -0.5])
    assert np.allclose(BARS.quantile(MEAN, 0.275), np.maximum(MEAN - 0.45 * BARS.scale, 0))  # halfway between two
    assert BARS.standard_quantile(0) == -1 and BARS.standard_quantile(1) == 3


@pytest.mark.parametrize("q", [-0.1, 1.1, np.nan])
def test_what_is_no_probability_is_refused(q: float) -> None:
    with pytest.raises(EosinError, match="no probability"):
        BARS.quantile(MEAN, q)


@pytest.mark.parametrize(
    "wrong",
    [
        {"scale": np.array([1.0, -1.0, 1.0])},
        {"scale": np.array([1.0, np.nan, 1.0])},
        {"shape": np.array([0.0, -1.0, 2.0])},
        {"shape": np.array([0.0, 1.0])},
        {"probabilities": np.array([0.5, 0.5, 0.9])},
    ],
)
def test_impossible_ones_are_refused(wrong: dict) -> None:
    with pytest.raises(EosinError):
        replace(BARS, **wrong)


def test_they_survive_json() -> None:
    again = ErrorBars.from_json(json.loads(json.dumps(BARS.to_json())))
    assert np.array_equal(again.quantile(MEAN, 0.7), BARS.quantile(MEAN, 0.7))
    assert (again.kind, again.smallest, again.n_patients) == (BARS.kind, BARS.smallest, BARS.n_patients)
    with pytest.raises(EosinError, match="not readable"):
        ErrorBars.from_json({"scale": [1.0]})


def test_a_prediction_takes_sd_and_quantiles_from_them_and_not_from_its_draws() -> None:
    spots = Spots(np.array([[0.0, 0.0], [100.0, 0.0]]), 55.0, ("a", "b"))
    panel = GenePanel(("A", "B", "C"))
    draws = np.random.default_rng(0).normal(size=(3, 2, 3)).astype(np.float32)
    given = Prediction("A1", spots, panel, draws, "m", 0, centre=MEAN, error_bars=BARS)
    assert np.allclose(given.mean, MEAN) and given.has_spread
    assert np.allclose(given.sd, [BARS.scale] * 2)
    assert np.allclose(given.quantile(0.95), BARS.quantile(MEAN, 0.95))
    part = given.of_spots(np.array([1])).of_genes([2, 0], GenePanel(("C", "A")))
    assert np.allclose(part.mean, [[0.0, 0.2]]) and np.allclose(part.sd, [[0.5, 1.0]])
    assert part.spots.ids == ("b",) and np.array_equal(part.draws, draws[:, [1]][:, :, [2, 0]])
    with pytest.raises(EosinError, match="do not fit"):
        replace(given, error_bars=BARS.of_genes([0]))
    with pytest.raises(EosinError, match="do not fit"):
        replace(given, centre=MEAN[:1])
    with pytest.raises(EosinError, match="NaN"):
        replace(given, centre=MEAN * np.nan)
