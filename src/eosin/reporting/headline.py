"""The headline of a benchmark's page: every model and split rule, and the difference to the tuned ridge."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from eosin.reporting.charts import models_chart
from eosin.reporting.grid_scores import Grid, Row
from eosin.reporting.html import Markup, Picture, join, table, tag
from eosin.reporting.tables import definitions, is_baseline, score_cell
from eosin.scores import results
from eosin.scores.metric_columns import Column
from eosin.scores.score_table import split_table


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
    comparisons = grid.scores.get("comparisons") or ()
    scores = split_table(grid.cells, metric.key, comparisons=comparisons, rows=grid.rows, mark=grid.one_panel)
    several = len(scores.families) > 1
    rows = []
    for line in scores.rows:
        cells: list[Any] = grid.front(line.row)
        for family, cell, to_ridge in zip(scores.families, line.cells, line.to_ridge):
            cells += [score_cell(cell), _difference(grid, line.row, family, metric, cell.value.mean, to_ridge)]
        rows.append([*cells, score_cell(line.mean)] if several else cells)
    header = [part for family in scores.families for part in (_family_head(grid, family, metric), "to ridge (95 %)")]
    return table([*grid.lead, *header, *(["mean"] if several else [])], rows)


def _family_head(grid: Grid, family: str, metric: Column) -> Markup:
    leaks = any(cell.get("leak") for cell in grid.cells if results.split_family(cell["split"]) == family)
    return join([f"{family}, {metric.header}", tag("span", "leak", class_="badge bad") if leaks else None])


def _difference(
    grid: Grid, row: Row, family: str, metric: Column, mean: float, comparison: Mapping[str, Any] | None
) -> Markup:
    """The difference to the tuned ridge with its interval; without an interval the plain difference."""
    if is_baseline(row[0]):
        return tag("td", "–")
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


def _chart(grid: Grid, metric: Column) -> bytes:
    summaries = [[grid.summary(row, family, metric) for row in grid.rows] for family in grid.families]
    comparisons = [[grid.against(row, family) for row in grid.rows] for family in grid.families]
    return models_chart(
        [grid.name(row) for row in grid.rows], list(grid.families), summaries, comparisons, metric.label
    )
