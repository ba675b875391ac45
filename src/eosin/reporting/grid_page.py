"""The report of a benchmark: `scores.json` of `eosin bench` or `eosin study` as one self-contained HTML file."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eosin.metrics.metric import BIOMARKERS, PATHWAYS
from eosin.reporting.charts import N_COLOURS, Panel, study_charts
from eosin.reporting.grid_scores import Grid
from eosin.reporting.headline import headline
from eosin.reporting.html import Markup, now, write_page
from eosin.reporting.provenance import compared, costs, failures, runs
from eosin.reporting.series import Series, read_series, stored_series
from eosin.reporting.tables import definitions, is_baseline, number_table, pathway_table
from eosin.scores import results
from eosin.scores.metric_columns import Column, Group, columns_of, columns_with_numbers, groups, missing_biomarkers

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


@dataclass(frozen=True)
class VariedNumber:
    """The number that a study varies, and the metrics against it.

    Attributes
    ----------
    quantity
        What is varied.
    lines
        Names of the lines with the class of their colour.
    charts
        For each split rule and encoder its name, and a chart for each metric.
    """

    quantity: str
    lines: list[tuple[str, str]]
    charts: list[tuple[str, list[Markup]]]


@dataclass(frozen=True)
class MetricGroup:
    """Metrics that answer one question.

    Attributes
    ----------
    title
        The question in a few words.
    tables
        Split rules with their tables.
    missing_genes
        Biomarkers that some run's panel lacks.
    gene_sets
        Split rules with their tables of every gene set.
    definitions
        What the columns mean.
    """

    title: str
    tables: list[tuple[str, Markup]]
    missing_genes: list[str]
    gene_sets: list[tuple[str, Markup]]
    definitions: Markup


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
    n_runs, n_rules = len(grid.cells), len(grid.families)
    return write_page(
        path,
        "grid_page.html",
        title=title or (f"Study: {grid.study}" if grid.study else "Benchmark"),
        lead=(
            f"{len(grid.rows)} rows",
            f"{n_rules} split rule" + ("" if n_rules == 1 else "s"),
            f"{n_runs - len(grid.failed())} of {n_runs} runs finished",
            when or now(),
        ),
        remarks=_warnings(grid),
        headline=headline(grid),
        varied=_varied(grid),
        groups=[shown for group in groups() if (shown := _group(grid, group)) is not None],
        n_families=n_rules,
        costs=costs(grid),
        failures=failures(grid),
        compared=compared(grid),
        runs=runs(grid),
    )


def _warnings(grid: Grid) -> list[str]:
    """What a reader must not overlook: leaks, no baseline, runs that are missing or failed."""
    sentences = results.warnings(grid.scores)
    if not any(is_baseline(model) for model, _ in grid.rows):
        sentences.insert(0, "No tuned ridge was run: whether a model adds anything to it is not known.")
    if unfinished := grid.unfinished():
        names = ", ".join(f"{grid.name(row)} ({n_runs})" for row, n_runs in unfinished.items())
        sentences.append(f"Not every row has every run yet; means over fewer runs are not comparable: {names}.")
    if failed := grid.failed():
        sentences.append(f"{len(failed)} of {len(grid.cells)} runs failed; their reasons stand below.")
    return sentences


def _varied(grid: Grid) -> VariedNumber | None:
    """The metrics against the number that a study varies: as the study stored it, in old files as labels carry it."""
    if not grid.study:
        return None
    varied = grid.scores.get("varied")
    series = stored_series(varied) if varied is not None else read_series([model for model, _ in grid.rows])
    if series is None:
        return None
    charts = []
    for family in grid.families:
        for encoder in dict.fromkeys(encoder for _, encoder in grid.rows):
            panels = _study_panels(grid, series, family, encoder)
            if panels:
                charts.append((f"{family}, {encoder}", study_charts(series.quantity, panels)))
    if not charts:
        return None
    return VariedNumber(series.quantity, [(name, f"c{i % N_COLOURS}") for i, name in enumerate(series.points)], charts)


def _study_panels(grid: Grid, series: Series, family: str, encoder: str) -> list[Panel]:
    """For each metric that has numbers: the lines of the rows, and the ridge's."""
    means = {
        name: [(x, {c: grid.summary((label, encoder), family, c).mean for c in _VARIED}) for x, label in points]
        for name, points in series.points.items()
    }
    labels = sorted({point for points in series.points.values() for point in points})
    panels = []
    for column in _VARIED:
        lines = {name: [(x, values[column]) for x, values in line] for name, line in means.items()}
        if any(math.isfinite(y) for line in lines.values() for _, y in line):
            ridge = [(x, grid.ridge((label, encoder), family, column)) for x, label in labels]
            panels.append((column.header, lines, ridge))
    return panels


def _group(grid: Grid, group: Group) -> MetricGroup | None:
    """One group of metrics, with a table for each split rule; None where no run has a number of it."""
    metrics = grid.metrics()
    columns = columns_of(group, metrics)
    tables = []
    for family in grid.families:
        numbers = number_table(grid.lead, columns, grid.lines(family), mark=grid.one_panel)
        if numbers is not None:
            tables.append((family, numbers))
    if not tables:
        return None
    return MetricGroup(
        title=group.title,
        tables=tables,
        missing_genes=missing_biomarkers(metrics) if group.title == BIOMARKERS else [],
        gene_sets=[(f, _every_gene_set(grid, f)) for f in grid.families] if group.title == PATHWAYS else [],
        definitions=definitions(columns_with_numbers(columns, metrics)),
    )


def _every_gene_set(grid: Grid, family: str) -> Markup:
    values = [lambda column, row=row: grid.summary(row, family, column) for row in grid.rows]
    return pathway_table([grid.name(row) for row in grid.rows], values, grid.metrics())
