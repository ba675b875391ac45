"""Neighbours of some spots of a section are those that all its spots have."""

from __future__ import annotations

import numpy as np
import pytest

from eosin.geometry import neighbours
from eosin.geometry.nearest import OneSection

RNG = np.random.default_rng(0)
LATTICE = np.stack([np.arange(100) % 10, np.arange(100) // 10], 1) * 50.0
PLACES = {
    "lattice": LATTICE,
    "scattered": RNG.uniform(0, 500, (100, 2)),
    "at one place": np.repeat(RNG.uniform(0, 500, (25, 2)), 4, axis=0),
    "few": LATTICE[:4],
    "one": LATTICE[:1],
}


@pytest.mark.parametrize("reach_um", [None, 60.0])
@pytest.mark.parametrize("include_ties", [True, False])
@pytest.mark.parametrize("places", PLACES)
def test_some_spots(places: str, include_ties: bool, reach_um: float | None) -> None:  # noqa: FBT001
    xy = PLACES[places]
    whole = neighbours(xy, 6, include_ties=include_ties, reach_um=reach_um)
    for rows in (np.arange(len(xy)), np.arange(len(xy))[::-3], np.arange(1)):
        some = OneSection(xy).neighbours(rows, 6, include_ties=include_ties, reach_um=reach_um)
        for row, index, valid in zip(rows, some.index, some.valid):
            assert set(index[valid]) == set(whole.index[row][whole.valid[row]])
            assert (index[~valid] == row).all()


def test_spots_at_one_place_are_chosen_by_their_rows() -> None:
    xy = np.array([[0.0, 0.0], *[[10.0, 0.0]] * 5, [99.0, 0.0]])
    assert set(neighbours(xy, 3).index[0]) == {1, 2, 3}
    assert set(neighbours(xy[[0, 2, 3, 5, 6]], 2).index[0]) == {1, 2}
