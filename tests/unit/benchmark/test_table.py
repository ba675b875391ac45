from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from eosin.benchmark import costs, remarks, shown, table
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
    assert rows[0][2:] == ["0.500*", "0.700*", "0.600*"]
    assert rows[1][2:] == ["0.100", "0.200", "0.150"]


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
    header, rows = costs([*cells, cell("m", "x", 2, None, "failed"), cell("n", "x", 0, None, "failed")])
    assert header[2:] == ["parameters", "training s", "s per 1,000 spots", "MiB per 1,000 spots", "cells"]
    assert rows == [["m", "e", "1,500 to 1,600", "1.0", "0.500", "-", "2 of 3"], ["n", "e", *["-"] * 4, "0 of 1"]]


def test_what_a_reader_must_know_stands_below() -> None:
    cells = [
        {**cell("m", "x/1", 0, 0.1), "leak": ["panel: chosen with test section 'B1'"]},
        {**cell("m", "y/1", 0, 0.1), "note": "same-patient"},
    ]
    stamp = {"name": "p", "version": 2, "sha256": "ab" * 32, "split": "generated", "selection": "inner"}
    said = "\n".join(remarks({"cells": cells, "protocol": stamp, "remarks": ["added"]}))
    for text in ("protocol p, version 2", "abab", "LEAK, not a result: x: panel", "same-patient: y", "added"):
        assert text in said


def test_the_headline_is_pooled_over_spots_where_the_protocol_says_so() -> None:
    stamp = {"name": "p", "version": 2, "sha256": "ab" * 32, "split": "generated", "selection": "inner"}
    stamp |= {"metrics": ["pcc.mean", "mse"]}
    cells = [
        {**cell(m, "x", 0, v), "metrics": {"pcc": {"mean": v, "pooled": 1 - v}}} for m, v in (("a", 0.2), ("b", 0.6))
    ]
    for pooling, headline, best in (("spots", "pcc.pooled", "a"), ("section", "pcc.mean", "b")):
        scores = {"cells": cells, "protocol": {**stamp, "pooling": pooling}}
        (first, title), *others = shown(scores)
        assert first == headline and title.startswith("headline, ")
        assert ("spots of all test sections" in title) == (pooling == "spots")
        assert "mse" in dict(others)
        assert [row[0] for row in table(cells, first)[1] if "*" in row[2]] == [best]
        assert f"headline {headline}" in remarks(scores)[0]


@pytest.mark.parametrize(
    ("stamp", "headline"),
    [
        ({}, "pcc.mean"),
        ({"metrics": ["pcc.strict"], "pooling": "spots"}, "pcc.pooled_strict"),
        ({"metrics": ["pcc.pooled_strict", "pcc.mean"], "pooling": "spots"}, "pcc.pooled_strict"),
        ({"metrics": ["mse"], "pooling": "spots"}, "mse"),
        ({"metrics": ["pcc.mean"]}, "pcc.mean"),  # written before pooling was stamped
    ],
)
def test_every_headline_has_its_pooled_form(stamp: dict[str, Any], headline: str) -> None:
    assert shown({"cells": [], "protocol": stamp})[0][0] == headline
