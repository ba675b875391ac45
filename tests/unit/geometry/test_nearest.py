"""Nearest neighbours of spots: equal to the all-pairs search, within a section, with ties settled alike."""

from __future__ import annotations

import numpy as np
import pytest

from eosin.errors import EosinError
from eosin.geometry import neighbours


def literal_neighbours(xy, k):
    distance = np.linalg.norm(xy[:, None] - xy[None], axis=-1)
    np.fill_diagonal(distance, np.inf)
    return np.argsort(distance, axis=1)[:, :k]


def test_neighbours_equal_the_all_pairs_search():
    xy = np.random.default_rng(0).uniform(0, 1000, (300, 2))
    near = neighbours(xy, 8)
    assert np.array_equal(np.sort(near.index, 1), np.sort(literal_neighbours(xy, 8), 1))
    assert near.valid.all()


def test_neighbours_never_cross_sections():
    xy = np.zeros((20, 2)) + np.random.default_rng(0).normal(size=(20, 2))
    near = neighbours(xy, 5, starts=np.array([0, 12, 20]))
    assert near.index[:12].max() < 12
    assert near.index[12:].min() >= 12


@pytest.mark.parametrize("n", [1, 2, 4])
def test_fewer_spots_than_neighbours_are_marked_invalid(n):
    xy = np.random.default_rng(0).normal(size=(n, 2))
    near = neighbours(xy, 8)
    assert near.valid.sum(1).tolist() == [n - 1] * n
    for i in range(n):
        assert set(near.index[i][near.valid[i]]) == set(range(n)) - {i}


def test_duplicate_positions_are_neighbours_of_one_another_and_never_of_themselves():
    xy = np.zeros((12, 2))
    near = neighbours(xy, 4)
    assert near.valid.all()
    assert not (near.index == np.arange(12)[:, None]).any()
    assert all(len(set(row)) == 4 for row in near.index)


@pytest.mark.parametrize("include_ties", [False, True])
def test_lattice_ties_do_not_depend_on_the_order_of_spots(include_ties):
    rows, columns = np.mgrid[0:9, 0:9]
    xy = np.column_stack([(columns + 0.5 * (rows % 2)).ravel(), (rows * np.sqrt(3) / 2).ravel()]) * 100
    order = np.random.default_rng(0).permutation(len(xy))

    def sets(points, names):
        near = neighbours(points, 8, include_ties=include_ties)
        return {names[i]: frozenset(names[j] for j in near.index[i][near.valid[i]]) for i in range(len(points))}

    assert sets(xy, list(range(81))) == sets(xy[order], list(order))


def test_including_ties_takes_the_whole_ring():
    rows, columns = np.mgrid[0:9, 0:9]
    xy = np.column_stack([columns.ravel(), rows.ravel()]) * 100.0
    centre = 40
    near = neighbours(xy, 5, include_ties=True)
    assert near.valid[centre].sum() == 8  # four at 100, four at 141
    assert neighbours(xy, 5).valid[centre].sum() == 5


def test_many_ties_beyond_the_first_query_are_found():
    angle = np.linspace(0, 2 * np.pi, 60, endpoint=False)
    xy = np.vstack([[0, 0], 100 * np.column_stack([np.cos(angle), np.sin(angle)])])
    assert neighbours(xy, 3, include_ties=True).valid[0].sum() == 60


def test_zero_neighbours_are_refused():
    with pytest.raises(EosinError, match="at least 1"):
        neighbours(np.zeros((3, 2)), 0)


@pytest.mark.parametrize("include_ties", [False, True])
def test_beyond_the_reach_nobody_is_a_neighbour(include_ties):
    xy = np.random.default_rng(1).uniform(0, 1000, (200, 2))
    near = neighbours(xy, 12, include_ties=include_ties, reach_um=90.0)
    distance = np.linalg.norm(xy[:, None] - xy[None], axis=-1)
    for i in range(len(xy)):
        nearest = [j for j in np.argsort(distance[i]) if j != i and distance[i, j] <= 90][:12]
        assert set(near.index[i][near.valid[i]]) == set(nearest)
    assert (near.index[~near.valid] == np.nonzero(~near.valid)[0]).all()  # the spot itself stands in
    assert not near.valid.all() and near.valid.any()


def test_a_spot_at_just_the_reach_is_a_neighbour():
    rows, columns = np.mgrid[0:5, 0:5]
    xy = np.column_stack([columns.ravel(), rows.ravel()]) * 0.1 * 1000
    assert neighbours(xy, 8, reach_um=100.0).valid.sum(1).max() == 4
