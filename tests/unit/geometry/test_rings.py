"""Averages over rings of neighbours."""

from __future__ import annotations

import numpy as np
import pytest

from eosin.geometry import ring_averages

LATTICE = np.stack(np.meshgrid(np.arange(7), np.arange(7)), -1).reshape(-1, 2) * 200.0
CENTRE = 24


def test_spots_at_the_same_distance_share_their_ranks() -> None:
    """On a square lattice 4 + 4 spots are nearer than the next 4; ranks 7 to 10 are half of each of two fours."""
    first, second = (m[CENTRE].toarray()[0] for m in ring_averages(LATTICE, (6, 10)))
    steps = np.abs(LATTICE - LATTICE[CENTRE]).sum(1) / 200 + np.abs(LATTICE - LATTICE[CENTRE]).max(1) / 2000
    sides, corners, two_away = (np.isclose(steps, value) for value in (1.1, 2.1, 2.2))
    assert np.allclose(first[sides], 1 / 6) and np.allclose(first[corners], 0.5 / 6)
    assert np.allclose(second[corners], 0.5 / 4) and np.allclose(second[two_away], 0.5 / 4)
    assert np.isclose(first.sum(), 1) and np.isclose(second.sum(), 1)
    assert np.count_nonzero(first) == 8 and np.count_nonzero(second) == 8


def test_sections_do_not_mix_and_a_ring_without_spots_is_empty() -> None:
    xy = np.array([[0.0, 0], [100, 0], [10, 0], [20, 0], [30, 0]])
    near, far = ring_averages(xy, (1, 2), starts=np.array([0, 2, 5]))
    assert near[0].toarray()[0].tolist() == [0, 1, 0, 0, 0]
    assert far[:2].nnz == 0
    assert near[3].toarray()[0].tolist() == [0, 0, 0.5, 0, 0.5]  # equally far
    assert far[2].toarray()[0].tolist() == [0, 0, 0, 0, 1]


def test_spots_at_one_place_are_neighbours() -> None:
    (ring,) = ring_averages(np.zeros((3, 2)), (8,))
    assert np.allclose(ring.toarray(), (1 - np.eye(3)) / 2)


def test_a_spot_alone_has_no_ring() -> None:
    assert ring_averages(np.zeros((1, 2)), (8, 24))[1].nnz == 0


def test_ranks_must_grow() -> None:
    assert ring_averages(LATTICE, ()) == ()
    for ranks in [(0,), (8, 8), (9, 3)]:
        with pytest.raises(ValueError, match="grow"):
            ring_averages(LATTICE, ranks)


def test_rings_end_at_the_reach() -> None:
    xy = np.array([[0.0, 0], [10, 0], [25, 0], [200, 0]])
    near, far = (matrix.toarray() for matrix in ring_averages(xy, (1, 3), reach_um=30.0))
    assert near[0].tolist() == [0, 1, 0, 0] and far[0].tolist() == [0, 0, 1, 0]
    assert not near[3].any() and not far[3].any()
