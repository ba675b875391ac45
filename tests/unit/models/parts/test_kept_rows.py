"""Rows that are kept are those that were made, however they are asked for, and no more than there is room for."""

from __future__ import annotations

import numpy as np
import pytest

from eosin.models.parts import kept_rows
from eosin.models.parts.kept_rows import KeptRows

N, WIDTH = 50, 3
TABLE = np.random.default_rng(0).normal(size=(N, WIDTH)).astype(np.float32)


@pytest.mark.parametrize("room", [0, 20, N])
def test_any_rows_in_any_order_are_those_of_the_table(room: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_rows, "MOST_BYTES", room * 4 * WIDTH)
    asked: list[int] = []

    def make(rows: np.ndarray) -> np.ndarray:
        asked.extend(rows)
        return TABLE[rows]

    kept, rng = KeptRows(make, N, WIDTH), np.random.default_rng(1)
    assert kept.all_fit == (room == N)
    for _ in range(30):
        rows = rng.integers(0, N, rng.integers(0, 12))  # some twice
        found = (kept.rows if rng.random() < 0.7 else kept.passing)(rows)
        assert np.array_equal(found, TABLE[rows])
        found[:] = np.nan  # the caller may do with it what it wants
    counts = np.bincount(asked, minlength=N)
    assert (counts.max() == 1) == (room == N)  # then nothing is made twice


def test_rows_that_pass_do_not_take_the_room_of_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_rows, "MOST_BYTES", 10 * 4 * WIDTH)
    asked: list[int] = []
    kept = KeptRows(lambda rows: asked.extend(rows) or TABLE[rows], N, WIDTH)  # type: ignore[func-returns-value]
    kept.passing(np.arange(N))
    kept.rows(np.arange(40, 50))
    asked.clear()
    kept.rows(np.arange(40, 50))
    assert not asked
