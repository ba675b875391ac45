"""Pieces that stand for very many spots: connected, of every section, the same every time."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from eosin.geometry import neighbours
from eosin.geometry.patches import patches


def lattice(n: int, shift: float = 0.0) -> np.ndarray:
    return np.stack(np.meshgrid(np.arange(n), np.arange(n)), -1).reshape(-1, 2) * 100.0 + shift


def test_few_spots_are_all_taken() -> None:
    assert np.array_equal(patches(lattice(10), 100), np.arange(100))


def test_pieces_are_connected_and_lie_in_every_section() -> None:
    sizes = (100, 60, 3)
    xy = np.concatenate([lattice(n) for n in sizes])
    starts = np.cumsum([0, *(n**2 for n in sizes)])
    rows = patches(xy, 3000, starts=starts)
    assert np.array_equal(rows, np.unique(rows)) and 2000 < len(rows) < 4000
    counts = [np.count_nonzero((rows >= a) & (rows < b)) for a, b in pairwise(starts)]
    shares = np.array(counts[:2]) / np.square(sizes[:2])
    assert np.allclose(shares, 3000 / len(xy), rtol=0.35) and counts[2] > 0
    around = neighbours(xy, 4, starts=starts)
    inside = np.isin(around.index[rows], rows).mean()
    assert inside > 0.8  # by chance 0.2
    spread = [np.ptp(xy[rows[rows < starts[1]], axis]) for axis in (0, 1)]
    assert min(spread) > 7000  # of 9,900 µm


def test_spots_on_one_place_are_no_error() -> None:
    assert 0 < len(patches(np.zeros((50, 2)), 10)) <= 50
