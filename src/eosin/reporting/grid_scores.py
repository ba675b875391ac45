"""A grid's or a study's scores, checked and in the order of a page."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from eosin.errors import EosinError
from eosin.reporting.html import Markup, join, tag
from eosin.reporting.tables import Line, is_baseline, model_name
from eosin.scores import results
from eosin.scores.metric_columns import AnyColumn, Column
from eosin.scores.results import Cells, Summary

Row = tuple[str, str]
"""Model and encoder."""


@dataclass(frozen=True)
class Grid:
    """The scores of a benchmark or a study, with rows and split rules in the order of a page.

    Attributes
    ----------
    scores
        The whole of `scores.json`.
    cells
        Its runs.
    rows
        The tuned ridge first, the others in the order of the grid or study.
    families
        The rules of the splits.
    """

    scores: Mapping[str, Any]
    cells: Cells
    rows: tuple[Row, ...]
    families: tuple[str, ...]

    @classmethod
    def of(cls, scores: Mapping[str, Any]) -> Grid:
        """Check the content of a `scores.json` and order its rows.

        Raises
        ------
        EosinError
            Another schema, no runs, or a run without model, encoder, split, seed or status.
        """
        cells = _check(scores)
        rows = sorted(results.rows(cells), key=lambda row: not is_baseline(row[0]))  # stable
        return cls({**scores, "cells": cells}, cells, tuple(rows), tuple(results.families(cells)))

    @property
    def study(self) -> str | None:
        """The name of the study; None for a benchmark."""
        return self.scores.get("study")

    @property
    def headline(self) -> Column:
        """What models are judged by; the protocol may pool it over spots."""
        key = results.headline(self.scores)
        return Column(key, {"pcc.mean": "PCC", "pcc.pooled": "PCC pooled"}.get(key, key))

    @property
    def one_encoder(self) -> bool:
        """Whether all rows have the same encoder, so that its name can be left out."""
        return len({encoder for _, encoder in self.rows}) == 1

    @property
    def lead(self) -> list[str]:
        """Headers of the columns that name a row."""
        return ["model"] if self.one_encoder else ["model", "encoder"]

    def front(self, row: Row) -> list[Markup | str]:
        """What names a row in a table."""
        badge = tag("span", "unfinished", class_="badge bad") if row in self.unfinished() else None
        return [join([model_name(row[0]), badge]), *([] if self.one_encoder else [row[1]])]

    def name(self, row: Row) -> str:
        """What names a row in a chart."""
        return row[0] if self.one_encoder else f"{row[0]}, {row[1]}"

    def summary(self, row: Row, family: str, column: AnyColumn) -> Summary:
        """Mean over the splits of one rule, then over seeds, with the sd over seeds."""
        return results.summary(results.of_row(self.cells, row, family), column.value)

    def panel(self, row: Row) -> str:
        """The rule of the row's gene panel; a study may vary it."""
        cell = results.of_row(self.cells, row)[0]
        return str((cell.get("settings") or {}).get("genes", ""))

    @property
    def one_panel(self) -> bool:
        """Whether all rows are about the same genes, so that one can be called the best."""
        return len({self.panel(row) for row in self.rows}) == 1

    def ridge(self, row: Row, family: str, column: AnyColumn) -> float:
        """The best tuned ridge on a row's encoder and panel; NaN where there is none."""
        ridges = [r for r in self.rows if is_baseline(r[0]) and r[1] == row[1] and self.panel(r) == self.panel(row)]
        known = [value for r in ridges if math.isfinite(value := self.summary(r, family, column).mean)]
        return (min if column.better == "down" else max)(known, default=math.nan)

    def lines(self, family: str) -> list[Line]:
        """Rows of a table of one family."""
        rows = [row for row in self.rows if results.of_row(self.cells, row, family)]
        return [(self.front(row), lambda column, row=row: self.summary(row, family, column)) for row in rows]

    def metrics(self) -> list[Mapping[str, Any]]:
        """The metrics of every finished run."""
        return [cell["metrics"] for cell in self.cells if cell["status"] == "done"]

    def against(self, row: Row, family: str) -> Mapping[str, Any] | None:
        """The comparison with the tuned ridge, where there is one."""
        for comparison in self.scores.get("comparisons") or ():
            compared = (comparison["model"], comparison["encoder"], comparison["split"])
            if compared == (*row, family) and comparison["difference"] is not None:
                return comparison
        return None

    def unfinished(self) -> dict[Row, int]:
        """Rows with fewer runs than others, and how many they have: a grid that still runs, or rows of two grids."""
        asked = {row: {(c["split"], c["seed"]) for c in results.of_row(self.cells, row)} for row in self.rows}
        complete = set().union(*asked.values())
        return {row: len(runs) for row, runs in asked.items() if runs != complete}

    def failed(self) -> list[Mapping[str, Any]]:
        """The runs that did not finish."""
        return [cell for cell in self.cells if cell["status"] != "done"]

    def n_seeds(self) -> int:
        """How many seeds there are among all runs."""
        return len({cell["seed"] for cell in self.cells})


def _check(scores: Any) -> Sequence[Mapping[str, Any]]:
    cells = scores.get("cells") if isinstance(scores, Mapping) else None
    if not isinstance(cells, list) or scores.get("schema") != 1:
        raise EosinError("these are no benchmark scores of schema 1", fix="give the scores.json of eosin bench")
    if not cells:
        raise EosinError("the benchmark has no runs", fix="run eosin bench first")
    for cell in cells:
        missing = [key for key in ("model", "encoder", "split", "seed", "status") if key not in cell]
        if missing:
            raise EosinError(f"a run in the benchmark scores lacks '{missing[0]}'", fix="run eosin bench again")
    return [{"metrics": {}, **cell} for cell in cells]
