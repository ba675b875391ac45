from __future__ import annotations

from typing import Any

import pytest

from eosin.cli.score_text import TextTable, costs_text, split_text
from eosin.scores.score_table import split_table


def cell(model: str, split: str, seed: int, pcc: float | None, status: str = "done") -> dict[str, Any]:
    metrics = {"pcc": {"mean": pcc}} if status == "done" else {}
    return {"model": model, "encoder": "e", "split": split, "seed": seed, "status": status, "metrics": metrics}


def table(cells: list[dict[str, Any]], metric: str = "pcc.mean", **more: Any) -> TextTable:
    return split_text(split_table(cells, metric, **more))


def test_families_are_columns_models_rows_in_the_order_of_the_grid() -> None:
    cells = [cell("b", "x/1", 0, 0.5), cell("b", "y", 0, 0.7), cell("a", "x/1", 0, 0.1), cell("a", "y", 0, 0.2)]
    header, rows = table(cells)
    assert header == ["model", "encoder", "x", "y", "mean"]
    assert [row[0] for row in rows] == ["b", "a"]
    assert rows[0][2:] == ["0.500*", "0.700*", "0.600*"]
    assert rows[1][2:] == ["0.100", "0.200", "0.150"]


@pytest.mark.parametrize("lost", [cell("m", "x/2", 0, None, "failed"), cell("m", "x/2", 0, None)])
def test_a_family_with_a_lost_cell_has_no_number(lost: dict[str, Any]) -> None:
    """A mean over the splits that happened to work would flatter the model."""
    _, rows = table([cell("m", "x/1", 0, 0.9), lost])
    assert rows == [["m", "e", "-", "-"]]


def test_the_best_is_the_lowest_where_less_is_better() -> None:
    cells = [{**cell(m, "x", 0, 0.1), "metrics": {"mse": v}} for m, v in (("a", 2.0), ("b", 1.0))]
    assert [row[2] for row in table(cells, "mse")[1]] == ["2.000", "1.000*"]
    cells = [{**cell(m, "x", 0, 0.1), "metrics": {"coverage_90": v}} for m, v in (("a", 0.5), ("b", 0.9))]
    assert [row[2] for row in table(cells, "coverage_90")[1]] == ["0.500", "0.900"]  # nearer to expected is better


def test_a_lone_model_is_not_called_the_best() -> None:
    assert table([cell("m", "x", 0, 0.5)])[1][0][2] == "0.500"


def test_the_difference_to_the_ridge_stands_beside_its_family() -> None:
    cells = [cell(m, s, 0, 0.5) for m in ("ridge", "m") for s in ("x/1", "y")]
    found = {"model": "m", "encoder": "e", "split": "x", "difference": 0.0123, "low": -0.004, "high": 0.03}
    header, rows = table(cells, comparisons=[found])
    assert header[-1] == "to ridge, x" and len(header) == 6
    assert [row[-1] for row in rows] == ["-", "+0.012 (-0.004 to +0.030)"]


def test_costs_are_means_over_what_was_finished() -> None:
    spent = {"seconds_per_1000": 0.5, "mib_per_1000": None}
    cells = [
        {**cell("m", "x", seed, 0.1), "n_parameters": n, "seconds_train": 2.0 * seed, "inference": spent}
        for seed, n in ((0, 1500), (1, 1600))
    ]
    header, rows = costs_text([*cells, cell("m", "x", 2, None, "failed"), cell("n", "x", 0, None, "failed")])
    assert header[2:] == ["parameters", "training s", "s per 1,000 spots", "MiB per 1,000 spots", "cells"]
    assert rows == [["m", "e", "1,500 to 1,600", "1.0", "0.500", "-", "2 of 3"], ["n", "e", *["-"] * 4, "0 of 1"]]


def test_the_spread_over_seeds_stands_behind_the_mean() -> None:
    cells = [cell("m", "x", seed, value) for seed, value in enumerate((0.2, 0.5))]
    assert table(cells)[1] == [["m", "e", "0.350 ± 0.212", "0.350"]]
