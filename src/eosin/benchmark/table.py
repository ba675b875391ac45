"""The tables of a grid as text: accuracy (a row per model, a column per split), and what it cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from eosin.metrics import METRICS
from eosin.scores import results
from eosin.scores.results import PCC, pick, remarks, split_family

__all__ = ["BEST", "costs", "pick", "remarks", "shown", "split_family", "summary", "table"]

BEST = "*"


def shown(scores: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The metrics that a grid's tables show, the headline first, each with its title."""
    stamp = scores.get("protocol") or {}
    first = results.headline(scores)
    keys = dict.fromkeys([first, *stamp.get("metrics", (PCC, "mse"))])
    titles = {key: METRICS[key].definition for key in keys}
    titles[first] = f"headline, {results.pooling(scores)}: {titles[first]}"
    return list(titles.items())


def table(
    cells: Sequence[Mapping[str, Any]],
    metric: str = PCC,
    comparisons: Sequence[Mapping[str, Any]] = (),
) -> tuple[list[str], list[list[str]]]:
    """Header and rows of text: mean over splits of a family and seeds, with the sd over seeds of that mean.

    A family's number is missing where one of its cells failed. The best of several rows is marked by a star. With
    `comparisons` (of `scores.json`), each family has a column with the difference to the tuned ridge and its 95 %
    interval; they are of `pcc.mean` whatever the metric, so give them with the headline only.
    """
    families = results.families(cells)
    against = {(c["model"], c["encoder"], c["split"]): c for c in comparisons}
    compared = [family for family in families if any(key[2] == family for key in against)]
    header = ["model", "encoder", *families, "mean", *(f"to ridge, {family}" for family in compared)]
    found = {
        row: [summary(results.of_row(cells, row, family), metric) for family in families] for row in results.rows(cells)
    }
    overall = {row: float(np.mean([mean for mean, _ in values])) for row, values in found.items()}
    best = [_best([values[i][0] for values in found.values()], metric) for i in range(len(families))]
    best_overall = _best(list(overall.values()), metric)
    rows = []
    for row, values in found.items():
        texts = [_text(*value) + (BEST if value[0] == best[i] else "") for i, value in enumerate(values)]
        mean = _text(overall[row], 0.0) + (BEST if overall[row] == best_overall else "")
        rows.append([*row, *texts, mean, *(_against(against.get((*row, family))) for family in compared)])
    return header, rows


def costs(cells: Sequence[Mapping[str, Any]]) -> tuple[list[str], list[list[str]]]:
    """Parameters, seconds of training, seconds and MiB per 1,000 spots at inference; means over finished cells."""
    header = ["model", "encoder", "parameters", "training s", "s per 1,000 spots", "MiB per 1,000 spots", "cells"]
    rows = [
        [
            one.model,
            one.encoder,
            " to ".join(f"{n:,}" for n in one.parameters) or "-",
            _number(one.seconds_train, 1),
            _number(one.seconds_per_1000, 3),
            _number(one.mib_per_1000, 1),
            f"{one.n_done} of {one.n_cells}",
        ]
        for one in results.costs(cells)
    ]
    return header, rows


def summary(cells: Sequence[Mapping[str, Any]], metric: str) -> tuple[float, float]:
    """Mean over seeds of the mean over splits, and the sd over seeds (0 for one seed)."""
    return results.summary(cells, metric)[:2]


def _best(values: Sequence[float], metric: str) -> float | None:
    """The best of several numbers; None where there is one row, or where nearer to something else is better."""
    known = [value for value in values if np.isfinite(value)]
    better = METRICS[metric].better if metric in METRICS else "expected"
    if len(values) < 2 or not known or better == "expected":
        return None
    return max(known) if better == "up" else min(known)


def _text(mean: float, sd: float) -> str:
    if not np.isfinite(mean):
        return "-"
    return f"{mean:.3f} ± {sd:.3f}" if sd >= 0.0005 else f"{mean:.3f}"


def _against(one: Mapping[str, Any] | None) -> str:
    if one is None or one["difference"] is None:
        return "-"
    return f"{one['difference']:+.3f} ({one['low']:+.3f} to {one['high']:+.3f})"


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"
