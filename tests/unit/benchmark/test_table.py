from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from eosin.benchmark import table
from eosin.benchmark.table import pick, split_family, summary


def cell(model: str, split: str, seed: int, pcc: float | None, status: str = "done") -> dict[str, Any]:
    metrics = {"pcc": {"mean": pcc}} if status == "done" else {}
    return {"model": model, "encoder": "e", "split": split, "seed": seed, "status": status, "metrics": metrics}


def test_means_are_over_splits_first_and_spread_is_over_seeds() -> None:
    cells = [
        cell("m", f"leave/{s}", seed, pcc)
        for seed, row in enumerate([(0.1, 0.3), (0.4, 0.6)])
        for s, pcc in enumerate(row)
    ]
    mean, sd = summary(cells, "pcc.mean")
    assert mean == pytest.approx(0.35)
    assert sd == pytest.approx(np.std([0.2, 0.5], ddof=1))
    header, rows = table(cells)
    assert header == ["model", "encoder", "leave", "mean"]
    assert rows == [["m", "e", "0.350 ± 0.212", "0.350"]]


def test_families_are_columns_models_rows_in_the_order_of_the_grid() -> None:
    cells = [cell("b", "x/1", 0, 0.5), cell("b", "y", 0, 0.7), cell("a", "x/1", 0, 0.1), cell("a", "y", 0, 0.2)]
    header, rows = table(cells)
    assert header == ["model", "encoder", "x", "y", "mean"]
    assert [row[0] for row in rows] == ["b", "a"]
    assert rows[0][2:] == ["0.500", "0.700", "0.600"]


@pytest.mark.parametrize("lost", [cell("m", "x/2", 0, None, "failed"), cell("m", "x/2", 0, None)])
def test_a_family_with_a_lost_cell_has_no_number(lost: dict[str, Any]) -> None:
    """A mean over the splits that happened to work would flatter the model."""
    _, rows = table([cell("m", "x/1", 0, 0.9), lost])
    assert rows == [["m", "e", "-", "-"]]


def test_pick_and_family() -> None:
    assert pick({"pcc": {"mean": 1.0}}, "pcc.mean") == 1.0
    assert pick({"pcc": {"mean": 1.0}}, "pcc.mode") is None
    assert pick({"mse": 2.0}, "mse.mean") is None
    assert split_family("leave-section-out/C2") == "leave-section-out"
    assert split_family("C2,C3:C6") == "C2,C3:C6"
