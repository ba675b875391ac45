from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from eosin.scores.results import pick, remarks, split_family, summary
from eosin.scores.score_table import shown, split_table


def cell(model: str, split: str, seed: int, pcc: float | None, status: str = "done") -> dict[str, Any]:
    metrics = {"pcc": {"mean": pcc}} if status == "done" else {}
    return {"model": model, "encoder": "e", "split": split, "seed": seed, "status": status, "metrics": metrics}


def test_means_are_over_splits_first_and_spread_is_over_seeds() -> None:
    cells = [
        cell("m", f"leave/{s}", seed, pcc)
        for seed, row in enumerate([(0.1, 0.3), (0.4, 0.6)])
        for s, pcc in enumerate(row)
    ]
    mean, sd, n_seeds = summary(cells, "pcc.mean")
    assert mean == pytest.approx(0.35)
    assert sd == pytest.approx(np.std([0.2, 0.5], ddof=1))
    assert n_seeds == 2


def test_pick_and_family() -> None:
    assert pick({"pcc": {"mean": 1.0}}, "pcc.mean") == 1.0
    assert pick({"pcc": {"mean": 1.0}}, "pcc.mode") is None
    assert pick({"mse": 2.0}, "mse.mean") is None
    assert split_family("leave-section-out/C2") == "leave-section-out"
    assert split_family("C2,C3:C6") == "C2,C3:C6"


def test_what_a_reader_must_know_stands_below() -> None:
    cells = [
        {**cell("m", "x/1", 0, 0.1), "leak": ["panel: chosen with test section 'B1'"]},
        {**cell("m", "y/1", 0, 0.1), "note": "same-patient"},
    ]
    stamp = {"name": "p", "version": 2, "sha256": "ab" * 32, "split": "generated", "selection": "inner"}
    said = "\n".join(remarks({"cells": cells, "protocol": stamp, "remarks": ["added"]}))
    for text in ("protocol p, version 2", "abab", "LEAK, not a result: x: panel", "same-patient: y", "added"):
        assert text in said


def test_a_network_that_added_nothing_is_called_so() -> None:
    idle = {"training": {"network": "added nothing", "epochs": 0}}
    cells = [
        {**cell("stflow", "x/1", 0, 0.1), **idle},
        {**cell("stflow", "x/1", 1, 0.1), "training": {"epochs": 3}},
        {**cell("egnn", "x/1", 0, 0.1), "training": {"epochs": 3}},
        cell("stflow", "x/1", 2, None, "failed"),
    ]
    (sentence,) = remarks({"cells": cells})
    assert sentence.startswith("stflow on e: in 1 of 2 runs the network added nothing")


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
        assert [line.row[0] for line in split_table(cells, first).rows if line.cells[0].best] == [best]
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
