from __future__ import annotations

import math
from typing import Any

import pytest

from eosin.scores.metric_columns import Column
from eosin.scores.results import Summary
from eosin.scores.score_table import best_value, metric_table, split_table

PCC, MSE, COVER, GOAL = (Column(key, key) for key in ("pcc.mean", "mse", "coverage_90", "coverage_90_expected"))


def cell(model: str, split: str, value: float, metric: str = "mse") -> dict[str, Any]:
    return {"model": model, "encoder": "e", "split": split, "seed": 0, "status": "done", "metrics": {metric: value}}


def best_rows(columns: list[Column], rows: list[dict[Column, float]], **more: Any) -> list[list[bool]]:
    readers = [lambda column, row=row: Summary(row.get(column, math.nan), 0.0, 1) for row in rows]
    return [[one.best for one in row] for row in metric_table(columns, readers, **more).rows]


def test_the_best_of_a_column_follows_its_metric() -> None:
    rows = [{PCC: 0.4, MSE: 0.1}, {PCC: 0.6, MSE: 0.3}]
    assert best_rows([PCC, MSE], rows) == [[False, True], [True, False]]
    assert best_rows([PCC, MSE], rows, mark=False) == [[False, False]] * 2
    assert best_rows([PCC, MSE], rows[:1]) == [[False, False]]  # one row is not the best of anything


def test_near_its_expected_value_is_best_where_that_is_known() -> None:
    rows = [{COVER: 0.97, GOAL: 0.88}, {COVER: 0.71, GOAL: 0.70}]
    assert best_rows([COVER, GOAL], rows) == [[False, False], [True, False]]
    assert best_rows([COVER], rows) == [[False], [False]]


def test_columns_without_a_number_are_left_out() -> None:
    readers = [lambda column: Summary(0.5 if column is MSE else math.nan, 0.0, 1)] * 2
    made = metric_table([PCC, MSE], readers)
    assert made.columns == (MSE,)
    assert [len(row) for row in made.rows] == [1, 1]


def test_split_rules_are_columns_with_the_mean_over_them() -> None:
    cells = [cell(m, s, v) for m, v in (("a", 1.0), ("b", 2.0)) for s in ("x/1", "y")]
    made = split_table(cells, "mse", rows=[("b", "e"), ("a", "e")])
    assert made.families == ("x", "y")
    assert [line.row[0] for line in made.rows] == ["b", "a"]  # in the order asked for
    assert [line.mean.value.mean for line in made.rows] == [2.0, 1.0]
    assert [[one.best for one in (*line.cells, line.mean)] for line in made.rows] == [[False] * 3, [True] * 3]
    unmarked = split_table(cells, "mse", mark=False)
    assert not any(one.best for line in unmarked.rows for one in (*line.cells, line.mean))


@pytest.mark.parametrize(("difference", "there"), [(0.1, True), (None, False)])
def test_differences_to_the_ridge_stand_with_their_split_rule(difference: float | None, *, there: bool) -> None:
    against = {"model": "m", "encoder": "e", "split": "y", "difference": difference, "low": 0.0, "high": 0.2}
    made = split_table([cell("m", s, 1.0) for s in ("x/1", "y")], "mse", comparisons=[against])
    assert made.compared == ("y",)
    assert made.rows[0].to_ridge == (None, against if there else None)


def test_no_value_is_best_where_neither_way_is_better_or_none_is_known() -> None:
    assert best_value([1.0, 2.0], "expected") is None
    assert best_value([math.nan], "up") is None
    assert (best_value([1.0, math.nan, 2.0], "up"), best_value([1.0, 2.0], "down")) == (2.0, 1.0)
