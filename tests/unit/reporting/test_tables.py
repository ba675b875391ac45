from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from eosin.errors import EosinError
from eosin.metrics import METRICS
from eosin.reporting import write_bench_report
from eosin.reporting.charts import calibration, spread_and_error
from eosin.reporting.html import join, number, tag
from eosin.reporting.tables import COLUMNS, pick, score_table


def cell(
    model: str, value: float | None, *, seed: int = 0, split: str = "leave-section-out/A", **more: Any
) -> dict[str, Any]:
    done = {"status": "done", "metrics": {"pcc": {"mean": value}, "mse": 1.0 - (value or 0)}}
    return {"model": model, "encoder": "stain", "split": split, "test": ["A"], "seed": seed, **done, **more}


def bench(tmp_path: Path, *cells: dict[str, Any]) -> str:
    path = write_bench_report(tmp_path / "bench.html", {"schema": 1, "cells": list(cells)}, when="now")
    return path.read_text(encoding="utf-8")


def test_every_column_is_a_defined_metric() -> None:
    assert {column.key for column in COLUMNS} <= set(METRICS)


def test_best_follows_the_direction_of_the_metric() -> None:
    scores = {"a": {"pcc": {"mean": 0.3}, "mse": 0.1}, "b": {"pcc": {"mean": 0.6}, "mse": 0.2}}
    page = score_table(scores)
    assert '<td class="best">0.600</td>' in page and '<td class="best">0.100</td>' in page
    assert page.count('class="best"') == 2


def test_coverage_is_best_near_what_a_perfect_model_has() -> None:
    few = {"coverage_90": 0.71, "coverage_90_expected": 0.70}
    page = score_table({"few draws": few, "many": {"coverage_90": 0.97, "coverage_90_expected": 0.88}})
    assert '<td class="best">0.710</td>' in page and '<td class="best">0.970</td>' not in page


def test_a_lone_model_wins_nothing_and_what_is_missing_is_a_dash() -> None:
    assert "best" not in score_table({"a": {"pcc": 0.3}})
    assert "<td>–</td>" in score_table({"a": {"pcc": 0.3, "mse": None}, "b": {"mse": 0.5}})


def test_pick_reads_paths_and_refuses_what_is_no_number() -> None:
    assert pick({"pcc": {"mean": 0.5}}, "pcc.mean") == 0.5
    assert pick({"pcc": 0.5}, "pcc.mean") == 0.5
    assert pick({"pcc": 0.5}, "pcc.pooled") is None
    for bad in (None, float("nan"), float("inf"), "0.5", True):
        assert pick({"mse": bad}, "mse") is None


def test_html_escapes_text_and_attributes_once() -> None:
    assert tag("td", "<b>&", title='"x"') == '<td title="&quot;x&quot;">&lt;b&gt;&amp;</td>'
    assert join(["<", tag("b", "<")]) == "&lt;<b>&lt;</b>"


def test_numbers_read_well() -> None:
    assert [number(v) for v in (0.12345, -0.5, 3, None, float("nan"), True)] == ["0.123", "−0.500", "3", "–", "–", "–"]


def test_bench_means_over_splits_then_seeds(tmp_path: Path) -> None:
    cells = [
        cell("stflow", v, seed=seed, split=f"leave-section-out/{name}")
        for seed, values in enumerate([(0.2, 0.4), (0.4, 0.6)])
        for name, v in zip("AB", values)
    ]
    page = bench(tmp_path, *cells, cell("ridge", 0.3), cell("ridge", 0.3, seed=1))
    assert "0.400 ± 0.141" in page  # seeds 0.3 and 0.5; over all four it would be ± 0.163
    assert "+0.100" in page


def test_the_ridge_stands_first_and_its_absence_is_said(tmp_path: Path) -> None:
    page = bench(tmp_path, cell("stflow", 0.5), cell("ridge:wide", 0.4))
    assert page.index(">ridge:wide<") < page.index(">stflow<")
    assert "No tuned ridge" not in page
    assert "No tuned ridge" in bench(tmp_path, cell("stflow", 0.5))


def test_a_failure_costs_its_number_and_is_listed(tmp_path: Path) -> None:
    failed = cell("stflow", None, split="leave-section-out/B", status="failed", metrics={}, error="broke <here>")
    page = bench(tmp_path, cell("stflow", 0.9), failed, cell("ridge", 0.4))
    assert "broke &lt;here&gt;" in page
    assert "0.900" not in page.split("Failed runs")[0]
    assert "2 of 3 runs finished" in page


def test_notes_of_the_splits_are_shown_once(tmp_path: Path) -> None:
    page = bench(tmp_path, cell("ridge", 0.4, note="same patient"), cell("stflow", 0.4, note="same patient"))
    assert page.count("same patient") == 1


@pytest.mark.parametrize(
    "bad", [{}, {"schema": 2, "cells": [1]}, {"schema": 1, "cells": []}, {"schema": 1, "cells": [{}]}]
)
def test_other_files_are_refused_and_nothing_is_written(bad: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(EosinError, match="eosin bench"):
        write_bench_report(tmp_path / "x.html", bad)
    assert list(tmp_path.iterdir()) == []


def test_bench_page_escapes_and_loads_nothing(tmp_path: Path) -> None:
    page = bench(tmp_path, cell("<script>", 0.4, split="<script>", encoder="<script>", settings={"<script>": 1}))
    assert "<script" not in page and "://" not in page


def test_calibration_is_exact_for_a_perfect_model_with_few_draws() -> None:
    rng = np.random.default_rng(0)
    sample = rng.gamma(2.0, size=(6, 400, 50))
    nominal, observed = calibration(sample[0], sample[1:])  # 5 draws
    np.testing.assert_allclose(nominal, [4 / 6, 2 / 6])
    np.testing.assert_allclose(observed, nominal, atol=0.02)


def test_narrow_draws_show_below_the_line() -> None:
    rng = np.random.default_rng(0)
    nominal, observed = calibration(rng.standard_normal((200, 20)), 0.3 * rng.standard_normal((9, 200, 20)))
    assert (observed < nominal).all()


def test_spread_meets_error_bin_by_bin() -> None:
    rng = np.random.default_rng(0)
    scale = np.linspace(0.2, 2.0, 300)[:, None]
    draws = scale * rng.standard_normal((60, 300, 40))
    sd, error = spread_and_error(scale * rng.standard_normal((300, 40)), draws)
    np.testing.assert_allclose(error, sd, rtol=0.15)
    assert (np.diff(sd) > 0).all()
