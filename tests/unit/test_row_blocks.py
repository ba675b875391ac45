from __future__ import annotations

import pytest

from eosin.row_blocks import row_blocks


@pytest.mark.parametrize("n_rows", [1, 6, 7, 8, 100])
@pytest.mark.parametrize(("budget", "per_row"), [(7, 1), (20, 3), (1, 5), (1000, 1), (7, 0)])
def test_every_row_is_in_one_block_and_no_block_exceeds_the_budget(n_rows: int, budget: int, per_row: int) -> None:
    blocks = list(row_blocks(n_rows, budget=budget, per_row=per_row))
    assert [row for block in blocks for row in range(block.start, block.stop)] == list(range(n_rows))
    for block in blocks:
        n = block.stop - block.start
        assert n == 1 or n * per_row <= budget


def test_blocks_are_as_large_as_the_budget_allows() -> None:
    assert [(b.start, b.stop) for b in row_blocks(7, budget=11, per_row=4)] == [(0, 2), (2, 4), (4, 6), (6, 7)]


def test_no_rows_make_no_block() -> None:
    assert list(row_blocks(0, budget=5)) == []
