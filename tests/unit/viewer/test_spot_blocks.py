from __future__ import annotations

import numpy as np
import pytest

from eosin.viewer.spot_blocks import block_spots


@pytest.mark.parametrize("n", [1, 2, 50, 20_000])
def test_every_spot_is_in_one_block_and_within_its_box(n: int) -> None:
    xy = np.random.default_rng(0).uniform(-50, 3000, (n, 2))
    blocks = block_spots(xy)
    assert sorted(blocks.order.tolist()) == list(range(n))
    assert blocks.starts[0] == 0 and blocks.starts[-1] == n and (np.diff(blocks.starts) > 0).all()
    for b in range(len(blocks)):
        left, top, right, bottom = blocks.boxes_um[b]
        x, y = xy[blocks.rows(b)].T
        assert left == x.min() and right == x.max() and top == y.min() and bottom == y.max()


def test_blocks_are_bounded_where_spots_lie_on_one_another() -> None:
    blocks = block_spots(np.concatenate([np.zeros((30_000, 2)), [[1e4, 1e4]]]))
    assert np.diff(blocks.starts).max() <= 8192 and len(blocks) >= 4


def test_the_first_spots_of_a_block_are_a_fair_sample() -> None:
    side = np.arange(60.0)
    xy = np.stack(np.meshgrid(side, side), -1).reshape(-1, 2)
    blocks = block_spots(xy)
    for b in range(len(blocks)):
        rows = blocks.rows(b)
        first = xy[rows[: len(rows) // 4]]
        extent = np.ptp(xy[rows], axis=0)
        assert (np.abs(first.mean(0) - xy[rows].mean(0)) < 0.1 * extent).all()
        assert (np.ptp(first, axis=0) > 0.8 * extent).all()
