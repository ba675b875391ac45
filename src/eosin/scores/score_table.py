"""Tables of scores as records: columns, rows, values, which is best, differences to the ridge.

They are made here once; the command line renders them as text, `eosin.reporting` as HTML.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np

from eosin.metrics import METRICS
from eosin.scores import results
from eosin.scores.metric_columns import AnyColumn
from eosin.scores.results import PCC, Cells, Summary, pick

C = TypeVar("C", bound=AnyColumn)
_BEYOND = ("pcc_depth", "pcc_given_depth", "first_component")
"""What a correlation owes to library size stands beside it wherever a score has it."""
Row = tuple[str, str]
"""Model and encoder."""


@dataclass(frozen=True)
class ScoreCell:
    """A number of a table, and whether it is the best of several in its column."""

    value: Summary
    best: bool = False


@dataclass(frozen=True)
class MetricTable(Generic[C]):
    """Several metrics: the columns that at least one row has, and each row's cells in their order."""

    columns: tuple[C, ...]
    rows: tuple[tuple[ScoreCell, ...], ...]


@dataclass(frozen=True)
class SplitRow:
    """One model and encoder in a `SplitTable`.

    Attributes
    ----------
    cells
        A cell for each split rule.
    mean
        The mean over the split rules.
    to_ridge
        For each split rule the entry of `comparisons` in `scores.json`; None where there is no difference.
    """

    row: Row
    cells: tuple[ScoreCell, ...]
    mean: ScoreCell
    to_ridge: tuple[Mapping[str, Any] | None, ...]


@dataclass(frozen=True)
class SplitTable:
    """One metric: models and encoders in rows, split rules in columns.

    Attributes
    ----------
    families
        The split rules.
    compared
        Those of them that were compared with the ridge.
    """

    families: tuple[str, ...]
    compared: tuple[str, ...]
    rows: tuple[SplitRow, ...]


def shown(scores: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The metrics that a grid's tables show on the terminal, the headline first, each with its title."""
    stamp = scores.get("protocol") or {}
    first = results.headline(scores)
    known = [
        key for key in _BEYOND if any(pick(cell.get("metrics") or {}, key) is not None for cell in scores["cells"])
    ]
    keys = dict.fromkeys([first, *stamp.get("metrics", (PCC, "mse")), *known])
    titles = {key: METRICS[key].definition for key in keys}
    titles[first] = f"headline, {results.pooling(scores)}: {titles[first]}"
    return list(titles.items())


def metric_table(columns: Sequence[C], rows: Sequence[Callable[[C], Summary]], *, mark: bool = True) -> MetricTable[C]:
    """Rows x the columns that at least one row has.

    Parameters
    ----------
    rows
        Each gives its number of a column.
    mark
        Whether the best of each column is marked, where there are several rows. Where a metric is best near what a
        perfect model has, and that stands in `columns` too, the nearest is best.
    """
    found = [{column: value(column) for column in columns} for value in rows]
    there = [c for c in columns if any(math.isfinite(values[c].mean) for values in found)]
    mark = mark and len(found) > 1
    best = {c: _best_of(c, columns, found) if mark else None for c in there}
    return MetricTable(
        tuple(there), tuple(tuple(ScoreCell(row[c], row[c].mean == best[c]) for c in there) for row in found)
    )


def split_table(
    cells: Cells,
    metric: str = PCC,
    *,
    comparisons: Sequence[Mapping[str, Any]] = (),
    rows: Sequence[Row] | None = None,
    mark: bool = True,
) -> SplitTable:
    """Mean over the splits of each rule and over seeds, with the sd over seeds of that mean.

    A number is missing where one of its cells failed.

    Parameters
    ----------
    cells
        Those of `scores.json`.
    comparisons
        Those of `scores.json`; they are of `pcc.mean` whatever the metric, so give them with the headline only.
    rows
        By default in the order of the cells.
    mark
        Whether the best of each column is marked, where there are several rows and up or down is better.
    """
    families, rows = results.families(cells), list(rows or results.rows(cells))
    against = {(c["model"], c["encoder"], c["split"]): c for c in comparisons}
    values = {row: [results.summary(results.of_row(cells, row, f), metric) for f in families] for row in rows}
    means = {row: float(np.mean([value.mean for value in values[row]])) for row in rows}
    better = METRICS[metric].better if mark and len(rows) > 1 and metric in METRICS else "expected"
    best = [best_value([values[row][i].mean for row in rows], better) for i in range(len(families))]
    best_mean = best_value(list(means.values()), better)
    return SplitTable(
        tuple(families),
        tuple(family for family in families if any(key[2] == family for key in against)),
        tuple(
            SplitRow(
                row,
                tuple(ScoreCell(value, value.mean == best[i]) for i, value in enumerate(values[row])),
                ScoreCell(Summary(means[row], 0.0, 1), means[row] == best_mean),
                tuple(_with_difference(against.get((*row, family))) for family in families),
            )
            for row in rows
        ),
    )


def best_value(values: Sequence[float], better: str) -> float | None:
    """The largest or smallest finite value; None where neither way is better, or there is none."""
    known = [value for value in values if math.isfinite(value)]
    if not known or better not in ("up", "down"):
        return None
    return max(known) if better == "up" else min(known)


def _with_difference(comparison: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    return None if comparison is None or comparison["difference"] is None else comparison


def _best_of(column: C, columns: Sequence[C], rows: Sequence[Mapping[C, Summary]]) -> float | None:
    """The best value of a column; the one nearest to what a perfect model has, where the metric has such."""
    if column.better != "expected":
        return best_value([row[column].mean for row in rows], column.better)
    goal = next((c for c in columns if c.key == f"{column.key}_expected"), None)
    if goal is None:
        return None
    distances = {row[column].mean: abs(row[column].mean - row[goal].mean) for row in rows}
    distances = {value: distance for value, distance in distances.items() if math.isfinite(distance)}
    return min(distances, key=lambda value: distances[value]) if distances else None
