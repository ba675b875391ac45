from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import energy_distance as scipys

from eosin.metrics import crps_per_gene, energy_distance, energy_distance_per_gene

RNG = np.random.default_rng(0)


def test_per_gene_it_is_the_square_of_scipys():
    truth, draws = RNG.normal(size=(40, 3)), RNG.normal(0.3, 1.2, size=(5, 40, 3))
    truth[:, 2] = np.round(truth[:, 2])  # ties
    draws[:, :, 2] = np.round(draws[:, :, 2])
    known = [scipys(truth[:, j], draws[:, :, j].ravel()) ** 2 for j in range(3)]
    assert energy_distance_per_gene(truth, draws) == pytest.approx(known)
    assert energy_distance_per_gene(truth, draws[0]) == pytest.approx(energy_distance_per_gene(truth, draws[:1]))


def test_by_hand():
    # X always 0, Y is 0 or 2: 2·1 − 0 − 1
    assert energy_distance_per_gene(np.zeros((2, 1)), np.array([[[0.0], [2.0]]])) == pytest.approx([1])
    # points (0, 0) and (3, 4), 5 apart
    assert energy_distance(np.zeros((1, 2)), np.array([[3.0, 4.0]])) == pytest.approx(10)


def test_of_one_gene_both_forms_are_one():
    a, b = RNG.normal(size=(30, 1)), RNG.normal(1, 2, size=(50, 1))
    assert energy_distance(a, b) == pytest.approx(energy_distance_per_gene(a, b[None].copy())[0])


def test_place_plays_no_part_but_spread_does():
    truth = RNG.normal(size=(200, 2))
    shuffled = truth[RNG.permutation(200)]
    assert energy_distance_per_gene(truth, shuffled) == pytest.approx([0, 0], abs=1e-12)
    assert energy_distance(truth, shuffled) == pytest.approx(0, abs=1e-12)
    assert (energy_distance_per_gene(truth, 0.3 * truth) > 0.05).all()  # a shrunken mean
    assert (crps_per_gene(truth, shuffled[None]) > 0.5).all()  # which CRPS, spot by spot, would not let pass


def test_a_planted_mixture_is_told_from_its_mean():
    # one image, two possible expressions: draws of both against the point between them
    def mixture(n: int) -> np.ndarray:
        return np.where(RNG.random((n, 1)) < 0.5, -2.0, 2.0) + 0.3 * RNG.normal(size=(n, 4))

    truth = mixture(400)
    assert energy_distance(truth, mixture(400)) < 0.1 * energy_distance(truth, np.zeros((1, 4)))


def test_blocks_and_empty_samples(monkeypatch):
    a, b = RNG.normal(size=(30, 2)), RNG.normal(size=(20, 2))
    whole = energy_distance(a, b)
    monkeypatch.setattr("eosin.metrics.distribution._BLOCK", 7)
    assert energy_distance(a, b) == pytest.approx(whole)
    assert np.isnan(energy_distance(a, b[:0]))
    assert np.isnan(energy_distance_per_gene(a, b[None, :0])).all()
    for bad in (b[:, :1], b[0]):
        with pytest.raises(ValueError, match="must be"):
            energy_distance(a, bad)
    with pytest.raises(ValueError, match="must be"):
        energy_distance_per_gene(a, b[None, :, :1])
