"""Positions of spots of the same names: the same, moved together, or of others."""

from __future__ import annotations

import numpy as np
import pytest

from eosin.geometry.same_places import Places, compare_places

GRID = np.stack(np.meshgrid(np.arange(8), np.arange(6)), -1).reshape(-1, 2) * 100.0


@pytest.mark.parametrize(
    ("xy", "units", "found"),
    [
        (GRID + 30, (1.0,), Places.SAME),
        (GRID * 4, (1.0,), Places.MOVED),
        (GRID * 4, (1.0, 0.25), Places.SAME),
        (GRID[:, ::-1], (1.0,), Places.MOVED),
        (GRID + np.array([400, 0]), (1.0,), Places.MOVED),
        (GRID[np.random.default_rng(0).permutation(len(GRID))], (1.0,), Places.OTHERS),
        (np.vstack([GRID[5:10], GRID[:5], GRID[10:]]), (1.0,), Places.OTHERS),
    ],
)
def test_places_are_compared(xy: np.ndarray, units: tuple[float, ...], found: Places) -> None:
    assert compare_places(xy, GRID, units) is found


def test_a_few_spots_can_only_be_the_same_or_moved() -> None:
    assert compare_places(GRID[:3][::-1], GRID[:3]) is Places.MOVED
    assert compare_places(GRID[:1] + 200, GRID[:1]) is Places.MOVED
