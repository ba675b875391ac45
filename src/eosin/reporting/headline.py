"""The headline of a benchmark's page: every model and split rule, and the difference to the tuned ridge."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from eosin.reporting.charts import models_chart
from eosin.reporting.grid_scores import Grid, Row
from eosin.reporting.html import Markup, Picture, join, table, tag
from eosin.reporting.tables import Column, definitions, is_baseline, marked
from eosin.scores import results


@dataclass(frozen=True)
class Headline:
    """What models are judged by: its title, the table, what the number means, how it was taken, the chart."""

    title: str
    table: Markup
    definitions: Markup
    sentences: list[str]
    chart: Picture


def headline(grid: Grid) -> Headline:
    """The headline metric of every row and split rule, with the difference to the tuned ridge."""
    metric, n_seeds = grid.headline, grid.n_seeds()
    spread = "One seed: no spread is known."
    if n_seeds > 1:
        spread = f"{n_seeds} seeds; ± is the standard deviation between them."
    best = "The best of each column is marked." if grid.one_panel else "Rows are of different gene panels."
    sentences = [f"Taken {results.pooling(grid.scores)}. {spread} {best}"]
    if comparisons := grid.scores.get("comparisons"):
        sentences.append(f"To ridge: {results.of_comparisons(comparisons)}. Bold: the interval leaves out 0.")
    return Headline(
        title=metric.label if grid.study else f"Headline: {metric.label}",
        table=_headline_table(grid, metric),
        definitions=definitions([metric]),
        sentences=sentences,
        chart=Picture(_chart(grid, metric), f"{metric.label} of every model and split"),
    )


def _headline_table(grid: Grid, metric: Column) -> Markup:
    """Models x split rules, each with the difference to the ridge; with several rules also their mean."""
    summaries = {row: [grid.summary(row, family, metric) for family in grid.families] for row in grid.rows}
    best = [_best(metric, [summaries[row][i].mean for row in grid.rows]) for i in range(len(grid.families))]
    several, one_of = len(grid.families) > 1, len(grid.rows) if grid.one_panel else 1
    means = {row: float(np.mean([summary.mean for summary in summaries[row]])) for row in grid.rows}
    best_mean = _best(metric, list(means.values()))
    rows = []
    for row in grid.rows:
        line: list[Any] = grid.front(row)
        for i, family in enumerate(grid.families):
            value = summaries[row][i]
            line += [marked(value, best[i], one_of=one_of), _difference(grid, row, family, metric, value.mean)]
        if several:
            line.append(marked(results.Summary(means[row], 0.0, 1), best_mean, one_of=one_of))
        rows.append(line)
    header = [part for family in grid.families for part in (_family_head(grid, family, metric), "to ridge (95 %)")]
    return table([*grid.lead, *header, *(["mean"] if several else [])], rows)


def _family_head(grid: Grid, family: str, metric: Column) -> Markup:
    leaks = any(cell.get("leak") for cell in grid.cells if results.split_family(cell["split"]) == family)
    return join([f"{family}, {metric.header}", tag("span", "leak", class_="badge bad") if leaks else None])


def _difference(grid: Grid, row: Row, family: str, metric: Column, mean: float) -> Markup:
    """The difference to the tuned ridge with its interval; without an interval the plain difference."""
    if is_baseline(row[0]):
        return tag("td", "–")
    comparison = grid.against(row, family)
    if comparison is not None:
        low, high = comparison["low"], comparison["high"]
        sure = low > 0 or high < 0
        text = f"{_signed(comparison['difference'])} ({_signed(low)} to {_signed(high)})"
        return tag("td", text, class_="sure" if sure else None)
    if row in grid.unfinished():
        return tag("td", "–")
    difference = mean - grid.ridge(row, family, metric)
    return tag("td", _signed(difference) if math.isfinite(difference) else "–")


def _signed(value: float) -> str:
    return f"{value:+.3f}".replace("-", "−")


def _best(metric: Column, values: list[float]) -> float | None:
    known = [value for value in values if math.isfinite(value)]
    return (max if metric.better == "up" else min)(known) if known else None


def _chart(grid: Grid, metric: Column) -> bytes:
    summaries = [[grid.summary(row, family, metric) for row in grid.rows] for family in grid.families]
    comparisons = [[grid.against(row, family) for row in grid.rows] for family in grid.families]
    return models_chart(
        [grid.name(row) for row in grid.rows], list(grid.families), summaries, comparisons, metric.label
    )
