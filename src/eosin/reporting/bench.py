"""The report of a benchmark: `scores.json` of `eosin bench` as one self-contained HTML file."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from eosin.errors import EosinError
from eosin.files import atomic_file
from eosin.reporting.charts import bench_chart
from eosin.reporting.html import Markup, fold, join, number, page, picture, section, table, tag
from eosin.reporting.tables import COLUMNS, Column, definitions, is_baseline, marked, model_name, pick

_SHOWN = tuple(c for c in COLUMNS if c.key in ("mse", "rvd", "gsc", "ssc", "crps", "coverage_90"))
_PCC = COLUMNS[0]


@dataclass(frozen=True)
class _Grid:
    """Cells by row (model, encoder) and column (the rule of the split, as `leave-section-out`)."""

    rows: list[tuple[str, str]]
    columns: list[str]
    cells: dict[tuple[tuple[str, str], str], list[Mapping[str, Any]]]

    def summary(self, row: tuple[str, str], column: str, key: str) -> tuple[float | None, float, int]:
        """Mean over seeds of the mean over splits, its sd over seeds, and how many seeds; None if a cell failed."""
        by_seed: dict[Any, list[float | None]] = {}
        for cell in self.cells.get((row, column), []):
            value = pick(cell["metrics"], key) if cell["status"] == "done" else None
            by_seed.setdefault(cell["seed"], []).append(value)
        if not by_seed or any(value is None for values in by_seed.values() for value in values):
            return None, 0.0, len(by_seed)
        means = [float(np.mean([v for v in values if v is not None])) for values in by_seed.values()]
        return float(np.mean(means)), float(np.std(means, ddof=1)) if len(means) > 1 else 0.0, len(means)


def write_bench_report(
    path: str | Path, scores: Mapping[str, Any], *, title: str = "Benchmark", when: str | None = None
) -> Path:
    """Write one offline HTML file about a grid of models, encoders, splits and seeds.

    Every table shows the mean over the splits of a rule, then over seeds, ± the sd over seeds; a number is missing
    where one of its cells failed, so that no model gains by failing on the hard sections. The tuned ridge stands first.

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
    cells = _check(scores)
    grid, failed = _arrange(cells), [cell for cell in cells if cell["status"] != "done"]
    when = when or datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    done = f"{len(cells) - len(failed)} of {len(cells)} runs finished"
    body = [
        *(tag("p", note, class_="warn") for note in _remarks(grid, cells)),
        _headline(grid),
        _other_metrics(grid),
        _failures(failed),
        _runs(cells),
    ]
    lead = tag("p", f"{len(grid.rows)} models · {len(grid.columns)} split rules · {done} · {when}", class_="lead")
    with atomic_file(path) as partial:
        partial.write_text(page(title, lead, *body), encoding="utf-8")
    return Path(path)


def _check(scores: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    cells = scores.get("cells") if isinstance(scores, Mapping) else None
    if not isinstance(cells, list) or scores.get("schema") != 1:
        raise EosinError("these are no benchmark scores of schema 1", fix="give the scores.json of eosin bench")
    if not cells:
        raise EosinError("the benchmark has no runs", fix="run eosin bench first")
    for cell in cells:
        lost = [key for key in ("model", "encoder", "split", "seed", "status") if key not in cell]
        if lost:
            raise EosinError(f"a run in the benchmark scores lacks '{lost[0]}'", fix="run eosin bench again")
    return [{"metrics": {}, **cell} for cell in cells]


def _arrange(cells: Sequence[Mapping[str, Any]]) -> _Grid:
    rows = list(dict.fromkeys((str(c["model"]), str(c["encoder"])) for c in cells))
    grid = _Grid(sorted(rows, key=lambda r: not is_baseline(r[0])), list(dict.fromkeys(map(_rule, cells))), {})
    for cell in cells:
        grid.cells.setdefault(((str(cell["model"]), str(cell["encoder"])), _rule(cell)), []).append(cell)
    return grid


def _rule(cell: Mapping[str, Any]) -> str:
    """`leave-section-out/C2` is one split of the rule `leave-section-out`."""
    return str(cell["split"]).split("/")[0]


def _remarks(grid: _Grid, cells: Sequence[Mapping[str, Any]]) -> list[str]:
    said = (
        []
        if any(is_baseline(m) for m, _ in grid.rows)
        else ["No tuned ridge was run: whether a model adds anything to it is not known."]
    )
    said += dict.fromkeys(f"{_rule(cell)}: {cell['note']}" for cell in cells if cell.get("note"))
    return said


def _headline(grid: _Grid) -> Markup:
    n = max(grid.summary(row, column, _PCC.key)[2] for row in grid.rows for column in grid.columns)
    seeds = f"{n} seeds; ± is the standard deviation between them." if n > 1 else "One seed: no spread is known."
    return section(
        "Correlation",
        _table(grid, _PCC),
        definitions([_PCC]),
        tag(
            "p", f"{seeds} The best of each column is marked; Δ is the difference to the ridge baseline.", class_="soft"
        ),
        tag("div", picture(_chart(grid), "PCC of every model and split"), class_="paper"),
    )


def _chart(grid: _Grid) -> bytes:
    names = {row: row[0] if len({e for _, e in grid.rows}) == 1 else f"{row[0]}, {row[1]}" for row in grid.rows}
    found = {row: [grid.summary(row, column, _PCC.key) for column in grid.columns] for row in grid.rows}
    means = {names[row]: np.array([np.nan if v[0] is None else v[0] for v in found[row]]) for row in grid.rows}
    return bench_chart(grid.columns, means, {names[row]: np.array([v[1] for v in found[row]]) for row in grid.rows})


def _table(grid: _Grid, metric: Column) -> Markup:
    """Models x split rules, with the mean over rules and the difference to the best ridge."""
    found = {row: [grid.summary(row, column, metric.key) for column in grid.columns] for row in grid.rows}
    means = {row: _mean([v[0] for v in values]) for row, values in found.items()}
    ridge = _best(metric, [means[row] for row in grid.rows if is_baseline(row[0])])
    best = [_best(metric, [found[row][i][0] for row in grid.rows]) for i in range(len(grid.columns))]
    best_mean = _best(metric, list(means.values()))
    rows = []
    for row in grid.rows:
        cells = [marked(v[0], best[i], one_of=len(grid.rows), text=_pm(v)) for i, v in enumerate(found[row])]
        mean = means[row]
        gain = "–" if mean is None or ridge is None or is_baseline(row[0]) else f"{mean - ridge:+.3f}".replace("-", "−")
        rows.append([model_name(row[0]), row[1], *cells, marked(mean, best_mean, one_of=len(grid.rows)), gain])
    return table(["model", "encoder", *(f"{c}, {metric.header}" for c in grid.columns), "mean", "Δ ridge"], rows)


def _best(metric: Column, values: Sequence[float | None]) -> float | None:
    known = [v for v in values if v is not None]
    if not known or metric.better == "expected":  # nearness to the expected share depends on the draws of each run
        return None
    return max(known) if metric.better == "up" else min(known)


def _mean(values: Sequence[float | None]) -> float | None:
    known = [v for v in values if v is not None]
    return float(np.mean(known)) if known and len(known) == len(values) else None


def _pm(value: tuple[float | None, float, int]) -> str:
    mean, sd, n = value
    return number(mean) + (f" ± {sd:.3f}" if mean is not None and n > 1 else "")


def _other_metrics(grid: _Grid) -> Markup | None:
    there = [
        m for m in _SHOWN if any(grid.summary(r, c, m.key)[0] is not None for r in grid.rows for c in grid.columns)
    ]
    if not there:
        return None
    return section("Other metrics", *(fold(m.header, definitions([m]), _table(grid, m)) for m in there))


def _failures(failed: Sequence[Mapping[str, Any]]) -> Markup | None:
    if not failed:
        return None
    rows = [
        [c["model"], c["encoder"], c["split"], c["seed"], tag("td", c.get("error") or c["status"], class_="text bad")]
        for c in failed
    ]
    return section("Failed runs", table(["model", "encoder", "split", "seed", "why"], rows, class_="wrap"))


def _runs(cells: Sequence[Mapping[str, Any]]) -> Markup:
    rows = [
        [
            join([c["model"]]),
            c["encoder"],
            c["split"],
            ", ".join(map(str, c.get("test", ()))),
            c["seed"],
            c["status"],
            number(pick(c["metrics"], _PCC.key)),
            number(c.get("seconds"), 1),
        ]
        for c in cells
    ]
    header = ["model", "encoder", "split", "tested on", "seed", "status", "PCC", "seconds"]
    settings = {f"{c['model']}, {c['encoder']}": c["settings"] for c in cells if c.get("settings")}
    text = json.dumps(settings, indent=1, default=str, ensure_ascii=False)
    return section(
        "Where this comes from",
        fold("Every run", table(header, rows, class_="wrap")),
        fold("Settings", tag("pre", text)) if settings else None,
    )
