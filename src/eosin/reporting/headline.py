"""The headline of a benchmark's page: a table for each split rule, with the difference to the tuned ridge drawn."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from eosin.reporting.grid_scores import Grid, Row
from eosin.reporting.html import Markup, join, table, tag
from eosin.reporting.svg import Axis, interval_axis, interval_mark
from eosin.reporting.tables import definitions, is_baseline, score_cell
from eosin.reporting.verdicts import signed
from eosin.scores import results
from eosin.scores.metric_columns import Column
from eosin.scores.score_table import SplitRow, SplitTable, split_table

FLOOR = "gene-mean"
"""The model that knows nothing of the image: so far below the ridge that it would leave the others no room."""


@dataclass(frozen=True)
class Headline:
    """What models are judged by.

    Attributes
    ----------
    title
        Its name.
    tables
        For each split rule its name, whether it leaks, and the table.
    overview
        All split rules side by side; None where there is one.
    definitions
        What the number means.
    sentences
        How it was taken.
    """

    title: str
    tables: list[tuple[str, bool, Markup]]
    overview: Markup | None
    definitions: Markup
    sentences: list[str]


def headline(grid: Grid) -> Headline:
    """The headline metric of every row and split rule, with the difference to the tuned ridge."""
    metric, n_seeds = grid.headline, grid.n_seeds()
    spread = "One seed: no spread is known."
    if n_seeds > 1:
        spread = f"{n_seeds} seeds; ± is the standard deviation between them."
    best = "The best of each column is marked." if grid.one_panel else "Rows are of different gene panels."
    sentences = [f"Taken {results.pooling(grid.scores)}. {spread} {best}"]
    comparisons = grid.scores.get("comparisons") or ()
    if comparisons:
        sentences.append(f"To ridge: {results.of_comparisons(comparisons)}. Bold: the interval leaves out 0.")
    if any(is_floor(grid, row) for row in grid.rows):
        sentences.append(
            f"The {FLOOR} has its number, and no place on the axis of differences: it would hide the others."
        )
    scores = split_table(grid.cells, metric.key, comparisons=comparisons, rows=grid.rows, mark=grid.one_panel)
    return Headline(
        title=metric.label if grid.study else f"Headline: {metric.label}",
        tables=[
            (family, _leaks(grid, family), _family_table(grid, scores, i, metric))
            for i, family in enumerate(scores.families)
        ],
        overview=_overview(grid, scores, metric) if len(scores.families) > 1 else None,
        definitions=definitions([metric]),
        sentences=sentences,
    )


def is_floor(grid: Grid, row: Row) -> bool:
    """Whether a row is the model that predicts each gene's mean."""
    names = {row[0], *(str(cell["asked"]) for cell in results.of_row(grid.cells, row) if "asked" in cell)}
    return any(name.split(":")[0].split(",")[0] == FLOOR for name in names)


def difference_axis(grid: Grid, scores: SplitTable, place: int, metric: Column) -> Axis | None:
    """The axis of a split rule's differences to the ridge; None where there is none. The floor does not stretch it."""
    ends = []
    for line in scores.rows:
        if not is_floor(grid, line.row) and (found := _difference(grid, line, scores, place, metric)) is not None:
            ends += [value for value in found if math.isfinite(value)]
    return Axis.around(ends, zero=True, n=4) if ends else None


def _family_table(grid: Grid, scores: SplitTable, place: int, metric: Column) -> Markup:
    """Models of one split rule, each with the difference to the ridge, as a number and on an axis."""
    family, axis = scores.families[place], difference_axis(grid, scores, place, metric)
    rows = []
    for line in scores.rows:
        if not results.of_row(grid.cells, line.row, family):
            continue
        found = _difference(grid, line, scores, place, metric)
        cells: list[Any] = [*grid.front(line.row), score_cell(line.cells[place]), _difference_cell(found)]
        if axis is not None:
            drawn = found is not None and not is_floor(grid, line.row)
            cells.append(tag("td", interval_mark(axis, *found) if drawn and found else None, class_="mark-cell"))
        rows.append(cells)
    header: list[Any] = [*grid.lead, metric.header, "to ridge (95 %)"]
    if axis is not None:
        header.append(join([tag("span", "difference to ridge, drawn", class_="unseen"), interval_axis(axis)]))
    return table(header, rows)


def _overview(grid: Grid, scores: SplitTable, metric: Column) -> Markup:
    rows = [[*grid.front(line.row), *map(score_cell, line.cells), score_cell(line.mean)] for line in scores.rows]
    return table([*grid.lead, *(f"{family}, {metric.header}" for family in scores.families), "mean"], rows)


def _leaks(grid: Grid, family: str) -> bool:
    return any(cell.get("leak") for cell in grid.cells if results.split_family(cell["split"]) == family)


def _difference(
    grid: Grid, line: SplitRow, scores: SplitTable, place: int, metric: Column
) -> tuple[float, float, float] | None:
    """The difference to the tuned ridge with its interval, NaN where there is none; None without a difference."""
    if is_baseline(line.row[0]):
        return None
    comparison = line.to_ridge[place]
    if comparison is not None:
        return comparison["difference"], comparison["low"], comparison["high"]
    if line.row in grid.unfinished():
        return None
    difference = line.cells[place].value.mean - grid.ridge(line.row, scores.families[place], metric)
    return (difference, math.nan, math.nan) if math.isfinite(difference) else None


def _difference_cell(found: tuple[float, float, float] | None) -> Markup:
    if found is None:
        return tag("td", "–")
    difference, low, high = found
    if not math.isfinite(low):
        return tag("td", signed(difference))
    text = f"{signed(difference)} ({signed(low)} to {signed(high)})"
    return tag("td", text, class_="sure" if low > 0 or high < 0 else None)
