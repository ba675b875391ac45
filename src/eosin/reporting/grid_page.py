"""The report of a benchmark: `scores.json` of `eosin bench` or `eosin study` as one self-contained HTML file."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from eosin.reporting.charts import models_chart, study_chart
from eosin.reporting.grid_scores import Grid, Row
from eosin.reporting.html import Markup, fold, join, page, picture, section, table, tag
from eosin.reporting.provenance import costs, failures, runs, what_was_compared
from eosin.reporting.series import read_series
from eosin.reporting.tables import definitions, is_baseline, number_table, pathway_table, score_cell
from eosin.scores import results
from eosin.scores.metric_columns import Column, Group, columns_of, columns_with_numbers, groups, missing_biomarkers
from eosin.scores.score_table import split_table
from eosin.storage.files import atomic_file

_VARIED = tuple(
    Column(key, label)
    for key, label in (
        ("pcc.mean", "PCC"),
        ("mse", "MSE"),
        ("gsc", "GSC"),
        ("ssc", "SSC"),
        ("rvd", "RVD"),
        ("crps", "CRPS"),
    )
)
"""What a study's chart shows against the setting that it varies."""


def write_bench_report(
    path: str | Path, scores: Mapping[str, Any], *, title: str | None = None, when: str | None = None
) -> Path:
    """Write one offline HTML file about a grid of models, encoders, splits and seeds, or about a study.

    Every table shows the mean over the splits of a rule, then over seeds, ± the sd over seeds; a number is missing
    where one of its cells failed, so that no model gains by failing on the hard sections. The tuned ridge stands first,
    a study's rows in its order.

    Parameters
    ----------
    path
        The file; it appears whole or not at all.
    scores
        The content of `scores.json`: `{"schema": 1, "cells": [...]}`.

    Raises
    ------
    EosinError
        Another schema, no cells, or a cell without model, encoder, split, seed or status.
    """
    grid = Grid.of(scores)
    when = when or datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    n = len(grid.cells)
    body = [
        *(tag("p", note, class_="warn") for note in _warnings(grid)),
        _headline(grid),
        _varied(grid),
        *(_group(grid, group) for group in groups()),
        costs(grid),
        failures(grid),
        what_was_compared(grid),
        runs(grid),
    ]
    done = f"{n - len(grid.failed())} of {n} runs finished"
    split_rules = f"{len(grid.families)} split rule" + ("" if len(grid.families) == 1 else "s")
    lead = tag("p", f"{len(grid.rows)} rows · {split_rules} · {done} · {when}", class_="lead")
    title = title or (f"Study: {grid.study}" if grid.study else "Benchmark")
    with atomic_file(path) as partial:
        partial.write_text(page(title, lead, *body), encoding="utf-8")
    return Path(path)


def _warnings(grid: Grid) -> list[str]:
    said = results.warnings(grid.scores)
    if not any(is_baseline(model) for model, _ in grid.rows):
        said.insert(0, "No tuned ridge was run: whether a model adds anything to it is not known.")
    if few := grid.unfinished():
        names = ", ".join(f"{grid.name(row)} ({n})" for row, n in few.items())
        said.append(f"Not every row has every run yet; means over fewer runs are not comparable: {names}.")
    if failed := grid.failed():
        said.append(f"{len(failed)} of {len(grid.cells)} runs failed; their reasons stand below.")
    return said


def _headline(grid: Grid) -> Markup:
    metric = grid.headline
    n = grid.n_seeds()
    seeds = f"{n} seeds; ± is the standard deviation between them." if n > 1 else "One seed: no spread is known."
    best = "The best of each column is marked." if grid.one_panel else "Rows are of different gene panels."
    said = [f"Taken {results.pooling(grid.scores)}. {seeds} {best}"]
    compared = grid.scores.get("comparisons")
    if compared:
        said.append(f"To ridge: {results.of_comparisons(compared)}. Bold: the interval leaves out 0.")
    return section(
        metric.label if grid.study else f"Headline: {metric.label}",
        _headline_table(grid, metric),
        definitions([metric]),
        *(tag("p", text, class_="soft") for text in said),
        tag("div", picture(_chart(grid, metric), f"{metric.label} of every model and split"), class_="paper"),
    )


def _headline_table(grid: Grid, metric: Column) -> Markup:
    """Models x split rules, each with the difference to the ridge; with several rules also their mean."""
    comparisons = grid.scores.get("comparisons") or ()
    made = split_table(grid.cells, metric.key, comparisons=comparisons, rows=grid.rows, mark=grid.one_panel)
    rows = []
    for line in made.rows:
        cells: list[Any] = grid.front(line.row)
        for family, cell, to_ridge in zip(made.families, line.cells, line.to_ridge):
            cells += [score_cell(cell), _difference(grid, line.row, family, metric, cell.value.mean, to_ridge)]
        rows.append([*cells, score_cell(line.mean)] if len(made.families) > 1 else cells)
    header = [part for family in made.families for part in (_family_head(grid, family, metric), "to ridge (95 %)")]
    return table([*grid.lead, *header, *(["mean"] if len(made.families) > 1 else [])], rows)


def _family_head(grid: Grid, family: str, metric: Column) -> Markup:
    leaks = any(cell.get("leak") for cell in grid.cells if results.split_family(cell["split"]) == family)
    return join([f"{family}, {metric.header}", tag("span", "leak", class_="badge bad") if leaks else None])


def _difference(
    grid: Grid, row: Row, family: str, metric: Column, mean: float, one: Mapping[str, Any] | None
) -> Markup:
    """The difference to the tuned ridge with its interval; without an interval the plain difference."""
    if is_baseline(row[0]):
        return tag("td", "–")
    if one is not None:
        sure = one["low"] > 0 or one["high"] < 0
        text = f"{_signed(one['difference'])} ({_signed(one['low'])} to {_signed(one['high'])})"
        return tag("td", text, class_="sure" if sure else None)
    if row in grid.unfinished():
        return tag("td", "–")
    apart = mean - grid.ridge(row, family, metric)
    return tag("td", _signed(apart) if math.isfinite(apart) else "–")


def _signed(value: float) -> str:
    return f"{value:+.3f}".replace("-", "−")


def _chart(grid: Grid, metric: Column) -> bytes:
    found = [[grid.summary(row, family, metric) for row in grid.rows] for family in grid.families]
    against = [[grid.against(row, family) for row in grid.rows] for family in grid.families]
    return models_chart([grid.name(row) for row in grid.rows], list(grid.families), found, against, metric.label)


def _varied(grid: Grid) -> Markup | None:
    """The metrics against the number that a study varies, where its rows' labels carry one."""
    series = read_series([model for model, _ in grid.rows]) if grid.study else None
    if series is None:
        return None
    blocks = []
    for family in grid.families:
        encoders = dict.fromkeys(encoder for _, encoder in grid.rows)
        for encoder in encoders:
            lines = {
                name: [(x, {c: grid.summary((label, encoder), family, c).mean for c in _VARIED}) for x, label in points]
                for name, points in series.points.items()
            }
            there = [c for c in _VARIED if any(math.isfinite(v[c]) for line in lines.values() for _, v in line)]
            labels = sorted({point for points in series.points.values() for point in points})
            ridge = {c: [(x, grid.ridge((label, encoder), family, c)) for x, label in labels] for c in there}
            panels = [
                (c.header, {n: [(x, v[c]) for x, v in line] for n, line in lines.items()}, ridge[c]) for c in there
            ]
            if panels:
                drawn = picture(study_chart(series.quantity, panels), f"Metrics against {series.quantity}")
                caption = f"{family}, {encoder}. The dashed line is the tuned ridge."
                blocks.append(tag("figure", tag("div", drawn, class_="paper"), tag("figcaption", caption)))
    return section(f"Against {series.quantity}", *blocks) if blocks else None


def _group(grid: Grid, group: Group) -> Markup | None:
    """One group of metrics: a table for each split rule."""
    metrics = grid.metrics()
    columns = columns_of(group, metrics)
    blocks: list[Markup] = []
    for family in grid.families:
        made = number_table(grid.lead, columns, grid.lines(family), mark=grid.one_panel)
        if made is not None:
            blocks += [tag("h3", family), made] if len(grid.families) > 1 else [made]
    if not blocks:
        return None
    if group.title == "Biomarkers" and (lost := missing_biomarkers(metrics)):
        blocks.append(tag("p", f"Not in the panel of every run: {', '.join(lost)}.", class_="soft"))
    if group.title == "Pathways":
        blocks += [fold(f"Every gene set, {family}", _every_pathway(grid, family)) for family in grid.families]
    return section(group.title, *blocks, definitions(columns_with_numbers(columns, metrics)))


def _every_pathway(grid: Grid, family: str) -> Markup:
    values = [lambda column, row=row: grid.summary(row, family, column) for row in grid.rows]
    return pathway_table([grid.name(row) for row in grid.rows], values, grid.metrics())
