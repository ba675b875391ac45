from __future__ import annotations

import numpy as np

from eosin.engine.regions import Regions
from eosin.types import Batch


def test_regions_are_the_nearest_spots_of_one_section():
    rng = np.random.default_rng(0)
    xy = rng.uniform(0, 1000, (90, 2))
    batch = Batch(xy, np.zeros((90, 2), dtype=np.float32), np.array([0, 50, 90]))
    regions = Regions(batch, np.arange(90), 0.0, 10**6)
    for _ in range(30):
        rows = regions.draw(1, rng)
        assert rows.min() >= 50
        assert len(rows) >= 2
        assert len(np.unique(rows)) == len(rows)
        inside = xy[rows]
        others = xy[np.setdiff1d(np.arange(50, 90), rows)]
        # some spot of the region is nearer to all of it than to any other spot: the centre
        assert len(others) == 0 or any(
            np.linalg.norm(inside - c, axis=1).max() <= np.linalg.norm(others - c, axis=1).min() + 1e-9 for c in inside
        )


def test_an_epoch_takes_every_section_equally_often():
    rng = np.random.default_rng(0)
    batch = Batch(rng.uniform(0, 1, (30, 2)), np.zeros((30, 1), dtype=np.float32), np.array([0, 10, 20, 30]))
    regions = Regions(batch, np.arange(30), 0.0, 10**6)
    steps = list(regions.epoch(4, 2, rng))
    assert len(steps) == regions.n_steps(4, 2) == 6
    owners = [rows[0] // 10 for step in steps for rows in step]
    assert np.bincount(owners).tolist() == [4, 4, 4]


def test_a_section_of_one_spot_is_its_own_region():
    batch = Batch(np.zeros((1, 2)), np.zeros((1, 1), dtype=np.float32), np.array([0, 1]))
    assert Regions(batch, np.arange(1), 0.0, 10**6).draw(0, np.random.default_rng(0)).tolist() == [0]


def test_no_region_is_smaller_than_its_share_and_all_sizes_above_occur():
    rng = np.random.default_rng(0)
    batch = Batch(rng.uniform(0, 1, (150, 2)), np.zeros((150, 1), dtype=np.float32), np.array([0, 50, 150]))
    regions = Regions(batch, np.arange(150), 0.6, 10**6)
    sizes = [len(regions.draw(1, rng)) for _ in range(200)]
    assert 60 <= min(sizes) < 65 and 95 < max(sizes) <= 100
