"""Score tables as text for the terminal: accuracy (a row per model, a column per split rule), and what it cost."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from eosin.scores import results
from eosin.scores.results import Cells
from eosin.scores.score_table import ScoreCell, SplitTable

BEST = "*"
"""Stands behind the best of several rows."""
TextTable = tuple[list[str], list[list[str]]]
"""Header and rows."""


def split_text(table: SplitTable) -> TextTable:
    """One metric of a grid; a split rule that was compared has a column with the difference and its 95 % interval."""
    compared = [table.families.index(family) for family in table.compared]
    header = ["model", "encoder", *table.families, "mean", *(f"to ridge, {family}" for family in table.compared)]
    rows = [
        [*line.row, *map(_number, line.cells), _number(line.mean), *(_difference(line.to_ridge[i]) for i in compared)]
        for line in table.rows
    ]
    return header, rows


def costs_text(cells: Cells) -> TextTable:
    """Parameters, seconds of training, seconds and MiB per 1,000 spots at inference; means over finished cells."""
    header = ["model", "encoder", "parameters", "training s", "s per 1,000 spots", "MiB per 1,000 spots", "cells"]
    rows = [
        [
            cost.model,
            cost.encoder,
            " to ".join(f"{n:,}" for n in cost.parameters) or "-",
            _rounded(cost.seconds_train, 1),
            _rounded(cost.seconds_per_1000, 3),
            _rounded(cost.mib_per_1000, 1),
            f"{cost.n_done} of {cost.n_cells}",
        ]
        for cost in results.costs(cells)
    ]
    return header, rows


def _number(cell: ScoreCell) -> str:
    mean, sd, _ = cell.value
    if not np.isfinite(mean):
        return "-"
    return (f"{mean:.3f} ± {sd:.3f}" if sd >= 0.0005 else f"{mean:.3f}") + (BEST if cell.best else "")


def _difference(comparison: Mapping[str, Any] | None) -> str:
    if comparison is None:
        return "-"
    return f"{comparison['difference']:+.3f} ({comparison['low']:+.3f} to {comparison['high']:+.3f})"


def _rounded(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"
