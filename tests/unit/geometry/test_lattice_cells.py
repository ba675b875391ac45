"""Rows and columns of spots, found from positions alone."""

from __future__ import annotations

import numpy as np
import pytest

from eosin.geometry import lattice_positions, nearest_spacing


def lattice(n, *, hexagonal=False, turned=0.0, jitter=0.0, pitch=100.0, lines_down=False, seed=0):
    """Positions [s 2] and the true (row, column), with a third of the cells empty; the four corners are there."""
    rng = np.random.default_rng(seed)
    row, column = (a.ravel() for a in np.mgrid[0:n, 0:n])
    x, y = (column + 0.5 * (row % 2), row * np.sqrt(0.75)) if hexagonal else (column, row)
    keep = (rng.random(n * n) > 1 / 3) | (np.isin(row, (0, n - 1)) & np.isin(column, (0, n - 1)))
    xy, cells = np.column_stack([x, y])[keep] * pitch, np.column_stack([row, column])[keep]
    if lines_down:
        xy, cells = xy[:, ::-1], cells[:, ::-1]
    cos, sin = np.cos(np.radians(turned)), np.sin(np.radians(turned))
    return xy @ [[cos, sin], [-sin, cos]] + rng.normal(0, jitter * pitch, xy.shape) + 4000, cells


@pytest.mark.parametrize("n", [4, 20, 80])
@pytest.mark.parametrize("turned", [-19, 0, 7])
@pytest.mark.parametrize("hexagonal", [False, True])
def test_lattice_positions_find_rows_and_columns(n, turned, hexagonal):
    xy, cells = lattice(n, hexagonal=hexagonal, turned=turned, jitter=0.03)
    assert np.array_equal(lattice_positions(xy), cells)


@pytest.mark.parametrize(("n", "seed"), [(80, 0), *((20, seed) for seed in range(8))])
@pytest.mark.parametrize("hexagonal", [False, True])
def test_lattice_positions_bear_jitter(hexagonal, n, seed):
    xy, cells = lattice(n, hexagonal=hexagonal, turned=3, jitter=0.12, seed=seed)
    apart = lattice_positions(xy) - cells
    usual = np.unique(apart, axis=0, return_counts=True)
    assert usual[1].max() > 0.98 * len(xy)  # no drift; a few spots lie nearer to another cell


def test_a_spot_off_a_hexagonal_lattice_keeps_the_cell_that_it_is_nearest_to():
    xy, cells = lattice(12, hexagonal=True)
    xy[70] += [42.0, -20.0]
    assert np.array_equal(lattice_positions(xy), cells)


def test_hexagonal_lattice_of_vertical_lines():
    xy, cells = lattice(20, hexagonal=True, turned=4, jitter=0.03, lines_down=True)
    assert np.array_equal(lattice_positions(xy), cells)


def test_lattice_positions_are_those_of_visium():
    row, column = (a.ravel() for a in np.mgrid[0:78, 0:128])
    there = (row + column) % 2 == 0
    row, column = row[there], column[there]
    got = lattice_positions(np.column_stack([column * 50.0, row * 50 * np.sqrt(3)]))
    assert np.array_equal(got, np.column_stack([row, column // 2]))


def test_unequal_pitches_do_not_add_up():
    row, column = (a.ravel() for a in np.mgrid[0:60, 0:60])
    got = lattice_positions(np.column_stack([column * 103.0, row * 97.0]))
    assert np.array_equal(got, np.column_stack([row, column]))


def test_lattice_positions_of_each_section_are_its_own():
    (first, cells), (second, others) = lattice(9, turned=5), lattice(12, hexagonal=True, pitch=30.0)
    got = lattice_positions(np.vstack([first, second]), np.array([0, len(first), len(first) + len(second)]))
    assert np.array_equal(got, np.vstack([cells, others]))


def test_few_spots_and_duplicates_have_lattice_positions():
    assert lattice_positions(np.zeros((0, 2))).shape == (0, 2)
    assert lattice_positions(np.array([[7.0, 9.0]])).tolist() == [[0, 0]]
    assert lattice_positions(np.full((5, 2), 3.0)).tolist() == [[0, 0]] * 5
    assert lattice_positions(np.array([[0.0, 0], [100, 0]])).tolist() == [[0, 0], [0, 1]]
    xy, cells = lattice(8)
    twice = lattice_positions(np.vstack([xy, xy[:5]]))
    assert np.array_equal(twice, np.vstack([cells, cells[:5]]))


def test_irregular_positions_fall_into_squares_of_the_nearest_distance():
    xy = np.random.default_rng(0).uniform(0, 3000, (500, 2))
    got, pitch = lattice_positions(xy), nearest_spacing(xy)
    assert np.array_equal(got, np.floor((xy - xy.min(0)) / pitch + 0.5)[:, ::-1])
