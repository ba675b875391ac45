"""Distribution-free intervals: the promise holds over patients, and too few are refused."""

from __future__ import annotations

import numpy as np
import pytest

from eosin.errors import EosinError
from eosin.trust.conformal import FEWEST_PATIENTS, conformal_shape, need_patients

PROBABILITIES = np.arange(1, 1000) / 1000


def test_too_few_patients_are_refused_with_the_reason() -> None:
    need_patients(FEWEST_PATIENTS)
    with pytest.raises(EosinError, match="need at least 9 patients, here are 8"):
        need_patients(FEWEST_PATIENTS - 1)


def literal(misses: list[np.ndarray], level: float) -> float:
    """The smallest bound below which patients of equal weight, and one at infinity, lie with probability `level`."""
    k = len(misses)
    for bound in sorted(np.concatenate([np.abs(m).ravel() for m in misses])):
        if sum((np.abs(m) <= bound).mean() for m in misses) / (k + 1) >= level - 1e-12:
            return float(bound)
    return np.inf


def test_quantiles_are_those_of_the_weighted_misses() -> None:
    rng = np.random.default_rng(0)
    misses = [rng.normal(0, 1 + p / 4, size=(4 + p, 2)) for p in range(9)]
    patient = np.repeat(np.arange(9), [len(m) for m in misses])
    found = conformal_shape(np.concatenate(misses), patient, PROBABILITIES)
    for q, level in ((0.75, 0.5), (0.9, 0.8), (0.95, 0.9)):
        place = int(np.argmin(np.abs(PROBABILITIES - q)))
        assert found[place] == pytest.approx(literal(misses, level))
        assert found[998 - place] == -found[place]
    assert np.isinf(literal(misses, 0.91)) and found[-1] == found[int(np.argmin(np.abs(PROBABILITIES - 0.95)))]
    assert (np.diff(found) >= 0).all()


def test_nine_in_ten_new_patients_spots_lie_inside_whatever_the_distribution() -> None:
    rng = np.random.default_rng(1)
    place = int(np.argmin(np.abs(PROBABILITIES - 0.95)))
    inside = []
    for _ in range(300):
        scales = rng.pareto(2.0, size=13) + 0.2  # patients of very different errors
        misses = [s * (rng.exponential(size=(20, 1)) - 1) + s * rng.normal() for s in scales]
        patient = np.repeat(np.arange(12), 20)
        bound = conformal_shape(np.concatenate(misses[:12]), patient, PROBABILITIES)[place]
        inside.append((np.abs(misses[12]) <= bound).mean())
    assert 0.9 < np.mean(inside) < 0.97  # never less; more, since whole patients are counted
