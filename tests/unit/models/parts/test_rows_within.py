"""The size of pieces, by device."""

from __future__ import annotations

import pytest
import torch

from eosin.models.parts.rows_within import rows_within

BUDGET = {"cpu": 100, "cuda": 1000}


@pytest.mark.parametrize(
    ("device", "numbers", "rows"), [("cpu", 30, 3), ("cuda", 30, 33), ("mps", 30, 33), ("cpu", 101, 1), ("cpu", 0, 100)]
)
def test_a_piece_stays_within_the_budget_of_its_device(device: str, numbers: int, rows: int) -> None:
    assert rows_within(BUDGET, torch.device(device), numbers) == rows
