"""Distances between neighbouring spots: of one section, and of each part of a batch."""

from __future__ import annotations

import numpy as np
import pytest

from eosin.geometry import nearest_spacing, neighbours, spacings


def square(n: int, pitch: float) -> np.ndarray:
    """Positions [n² 2] of a square lattice."""
    rows, columns = np.mgrid[0:n, 0:n]
    return np.column_stack([columns.ravel(), rows.ravel()]) * pitch


def test_the_spacing_of_a_lattice_is_its_pitch():
    assert nearest_spacing(square(5, 55.0)) == 55.0


def test_one_outlier_does_not_change_the_spacing():
    assert nearest_spacing(np.vstack([square(5, 55.0), [[9000.0, 9000.0]]])) == 55.0


@pytest.mark.parametrize("n", [0, 1])
def test_fewer_than_two_spots_have_no_spacing(n):
    assert np.isnan(nearest_spacing(np.zeros((n, 2))))


def test_each_part_has_its_own_spacing_and_a_part_without_distances_has_one():
    xy = np.vstack([square(4, 100.0), square(3, 20.0) + 5000, [[1.0, 1.0]], np.full((3, 2), 7.0)])
    starts = np.array([0, 16, 25, 26, 29])  # two lattices, a single spot, three spots at one place
    near = neighbours(xy, 1, starts=starts)
    distance = np.linalg.norm(xy[near.index] - xy[:, None], axis=-1)
    assert spacings(distance, near.valid, starts).tolist() == [100.0] * 16 + [20.0] * 9 + [1.0] + [1.0] * 3


def test_distances_that_are_not_valid_do_not_count():
    distance, valid = np.array([[10.0, 999.0], [10.0, 999.0]]), np.array([[True, False], [True, False]])
    assert spacings(distance, valid, np.array([0, 2])).tolist() == [10.0, 10.0]
