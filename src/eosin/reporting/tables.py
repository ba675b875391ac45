"""Score tables: models in rows, metrics in columns, the best marked, what each column means below."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from eosin.metrics.metric import BIOMARKERS, PATHWAYS
from eosin.reporting.html import Markup, join, number, table, tag
from eosin.scores.metric_columns import (
    AnyColumn,
    columns_of,
    columns_with_numbers,
    groups,
    missing_biomarkers,
    pathway_columns,
    table_at,
)
from eosin.scores.results import Summary, is_number
from eosin.scores.score_table import ScoreCell, best_value, metric_table

Scores = Mapping[str, Mapping[str, Any]]
"""Model -> metrics."""
Line = tuple[Sequence[Any], Callable[[AnyColumn], Summary]]
"""One row of a table: what stands in front of it, and its number in each column."""


def is_baseline(model: str) -> bool:
    """Tuned ridge regression is what every model has to beat; presets are written `ridge:name`."""
    return model.split(":")[0].split(",")[0] == "ridge"


def model_name(model: str) -> Markup:
    """A model's name, with a badge on the baseline."""
    return join([model, tag("span", "baseline", class_="badge") if is_baseline(model) else None])


def pathway_table(
    names: Sequence[str], values: Sequence[Callable[[AnyColumn], Summary]], scores: Iterable[Mapping[str, Any]]
) -> Markup:
    """Co-expression of every gene set: sets in rows, since their names are long, models in columns."""
    rows = [[c.label, *(number(value(c).mean) for value in values)] for c in pathway_columns(scores)]
    return table(["gene set, co-expression ↑", *names], rows)


def number_table(
    lead: Sequence[str], columns: Sequence[AnyColumn], lines: Sequence[Line], *, mark: bool = True
) -> Markup | None:
    """Rows x the columns that at least one row has, the best of each column marked; None where there is none."""
    made = metric_table(columns, [value for _, value in lines], mark=mark)
    if not made.columns:
        return None
    rows = [[*front, *map(score_cell, cells)] for (front, _), cells in zip(lines, made.rows)]
    return table([*lead, *(column.header for column in made.columns)], rows)


def score_cell(cell: ScoreCell) -> Markup:
    """A number with the sd over seeds; the best of several is marked."""
    mean, sd, _ = cell.value
    spread = f" ± {sd:.3f}" if sd >= 0.0005 and math.isfinite(mean) else ""
    return tag("td", number(mean) + spread, class_="best" if cell.best else None)


def marked(value: Summary, best: float | None, *, one_of: int) -> Markup:
    """A number that is the best of its column where it equals `best`, and where there are several."""
    return score_cell(ScoreCell(value, one_of > 1 and value.mean == best))


def definitions(columns: Sequence[AnyColumn]) -> Markup:
    """What the columns mean, those that need it."""
    defined = [c for c in columns if c.definition]
    return tag("dl", *(join([tag("dt", c.label), tag("dd", c.definition)]) for c in defined), class_="words")


def score_tables(scores: Scores) -> list[Markup]:
    """A table for every group of metrics that some model has, with what the columns mean."""
    blocks: list[Markup] = []
    for group in groups():
        columns = columns_of(group, scores.values())
        made = number_table(["model"], columns, lines_of(scores))
        if made is not None:
            blocks += [tag("h3", group.title), made, definitions(columns_with_numbers(columns, scores.values()))]
            missing = missing_biomarkers(scores.values()) if group.title == BIOMARKERS else []
            if group.title == PATHWAYS:
                values = [value for _, value in lines_of(scores)]
                blocks.append(pathway_table(list(scores), values, scores.values()))
            if missing:
                blocks.append(tag("p", f"Not in the panel: {', '.join(missing)}.", class_="soft"))
    return blocks


def lines_of(scores: Scores) -> list[Line]:
    """A row for each model."""

    def reader(score: Mapping[str, Any]) -> Callable[[AnyColumn], Summary]:
        return lambda column: single(column.value(score))

    return [([model_name(model)], reader(score)) for model, score in scores.items()]


def single(value: float | None) -> Summary:
    """One number, of one seed."""
    return Summary(math.nan if value is None else value, 0.0, 1)


def section_table(scores: Scores) -> Markup | None:
    """PCC of each section and model, where the scores hold it."""
    per = {m: s["pcc"]["per_section"] for m, s in scores.items() if table_at(s, "pcc", "per_section")}
    if not per:
        return None
    names = sorted({name for values in per.values() for name in values})
    rows = []
    for name in names:
        values = [single(v if is_number(v := per[model].get(name)) else None) for model in per]
        best = best_value([value.mean for value in values], "up")
        rows.append([name, *(marked(value, best, one_of=len(per)) for value in values)])
    return table(["section", *(f"{m}, PCC" for m in per)], rows)
