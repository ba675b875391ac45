"""Score tables: models in rows, metrics in columns, the best marked, what each column means below."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from eosin.metrics import METRICS, all_metrics
from eosin.metrics.metric import BIOMARKERS, PATHWAYS
from eosin.reporting.html import Markup, join, number, table, tag
from eosin.scores.results import Summary, is_number, pick


@dataclass(frozen=True)
class Column:
    """A metric as a table shows it; `key` is its path in a score and its name in `eosin.metrics.METRICS`."""

    key: str
    label: str

    @property
    def better(self) -> str:
        return METRICS[self.key].better

    @property
    def definition(self) -> str:
        return METRICS[self.key].definition

    @property
    def header(self) -> str:
        return self.label + {"up": " ↑", "down": " ↓"}.get(self.better, "")

    def value(self, score: Mapping[str, Any]) -> float | None:
        return pick(score, self.key)


@dataclass(frozen=True)
class Named:
    """A number that a score holds under a name that is no metric's: a gene's, or a gene set's."""

    key: tuple[str, ...]
    label: str
    better: str
    definition: str = ""

    @property
    def header(self) -> str:
        return self.label

    def value(self, score: Mapping[str, Any]) -> float | None:
        found: Any = score
        for part in self.key:
            found = found.get(part) if isinstance(found, Mapping) else None
        return float(found) if is_number(found) else None


AnyColumn = Column | Named


@dataclass(frozen=True)
class Group:
    """Metrics that answer one question, in one table."""

    title: str
    columns: tuple[Column, ...]


def groups() -> list[Group]:
    """Every metric of the registry, once, in the groups that it names."""
    columns: dict[str, list[Column]] = {}
    for metric in all_metrics():
        columns.setdefault(metric.group, []).append(Column(metric.key, metric.label))
    return [Group(title, tuple(of_group)) for title, of_group in columns.items()]


Scores = Mapping[str, Mapping[str, Any]]
"""Model -> metrics."""
Line = tuple[Sequence[Any], Callable[[AnyColumn], Summary]]
"""One row of a table: what stands in front of it, and its number in each column."""


def is_baseline(model: str) -> bool:
    """Tuned ridge regression is what every model has to beat; presets are written `ridge:name`."""
    return model.split(":")[0].split(",")[0] == "ridge"


def model_name(model: str) -> Markup:
    return join([model, tag("span", "baseline", class_="badge") if is_baseline(model) else None])


def columns_of(group: Group, scores: Iterable[Mapping[str, Any]]) -> tuple[AnyColumn, ...]:
    """A group's columns, with one for every biomarker that the scores hold by name."""
    if group.title != BIOMARKERS:
        return group.columns
    genes = dict.fromkeys(gene for score in scores for gene in _below(score, "biomarkers", "pcc"))
    return (*group.columns, *(Named(("biomarkers", "pcc", gene), gene, "up") for gene in genes))


def missing_biomarkers(scores: Iterable[Mapping[str, Any]]) -> list[str]:
    """Genes that were asked for and are not in a panel."""
    lost = (dict(score.get("biomarkers") or {}).get("missing") or () for score in scores)
    return list(dict.fromkeys(gene for genes in lost for gene in genes))


def pathway_columns(scores: Iterable[Mapping[str, Any]]) -> list[Named]:
    names = dict.fromkeys(name for score in scores for name in _below(score, "pathways", "sets"))
    return [Named(("pathways", "sets", name, "correlation"), name, "up") for name in names]


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
    found = [(front, {column: value(column) for column in columns}) for front, value in lines]
    there = [c for c in columns if any(math.isfinite(values[c].mean) for _, values in found)]
    if not there:
        return None
    best = {c: _best(c, columns, [values for _, values in found]) for c in there}
    one_of = len(found) if mark else 1
    rows = [[*front, *(marked(values[c], best[c], one_of=one_of) for c in there)] for front, values in found]
    return table([*lead, *(c.header for c in there)], rows)


def marked(value: Summary, best: float | None, *, one_of: int) -> Markup:
    """A cell; the best of several is marked."""
    won = one_of > 1 and best is not None and value.mean == best
    spread = f" ± {value.sd:.3f}" if value.sd >= 0.0005 and math.isfinite(value.mean) else ""
    return tag("td", number(value.mean) + spread, class_="best" if won else None)


def definitions(columns: Sequence[AnyColumn]) -> Markup:
    said = [c for c in columns if c.definition]
    return tag("dl", *(join([tag("dt", c.label), tag("dd", c.definition)]) for c in said))


def score_tables(scores: Scores) -> list[Markup]:
    """A table for every group of metrics that some model has, with what the columns mean."""
    blocks: list[Markup] = []
    for group in groups():
        columns = columns_of(group, scores.values())
        made = number_table(["model"], columns, lines_of(scores))
        if made is not None:
            blocks += [tag("h3", group.title), made, definitions(columns_with_numbers(columns, scores.values()))]
            lost = missing_biomarkers(scores.values()) if group.title == BIOMARKERS else []
            if group.title == PATHWAYS:
                values = [value for _, value in lines_of(scores)]
                blocks.append(pathway_table(list(scores), values, scores.values()))
            if lost:
                blocks.append(tag("p", f"Not in the panel: {', '.join(lost)}.", class_="soft"))
    return blocks


def lines_of(scores: Scores) -> list[Line]:
    def reader(score: Mapping[str, Any]) -> Callable[[AnyColumn], Summary]:
        return lambda column: single(column.value(score))

    return [([model_name(model)], reader(score)) for model, score in scores.items()]


def single(value: float | None) -> Summary:
    """One number, of one seed."""
    return Summary(math.nan if value is None else value, 0.0, 1)


def columns_with_numbers(columns: Sequence[AnyColumn], scores: Iterable[Mapping[str, Any]]) -> list[AnyColumn]:
    known = list(scores)
    return [column for column in columns if any(column.value(score) is not None for score in known)]


def section_table(scores: Scores) -> Markup | None:
    """PCC of each section and model, where the scores hold it."""
    per = {m: s["pcc"]["per_section"] for m, s in scores.items() if _below(s, "pcc", "per_section")}
    if not per:
        return None
    names = sorted({name for values in per.values() for name in values})
    rows = []
    for name in names:
        values = [per[m].get(name) for m in per]
        best = max((v for v in values if is_number(v)), default=None)
        rows.append([name, *(marked(single(v if is_number(v) else None), best, one_of=len(per)) for v in values)])
    return table(["section", *(f"{m}, PCC" for m in per)], rows)


def _best(column: AnyColumn, columns: Sequence[AnyColumn], rows: Sequence[Mapping[AnyColumn, Summary]]) -> float | None:
    """The best value of a column; the one nearest to what a perfect model has, where the metric has such."""
    known = [row for row in rows if math.isfinite(row[column].mean)]
    if not known:
        return None
    if column.better == "expected":
        goal = next((c for c in columns if c.key == f"{column.key}_expected"), None)
        apart = {row[column].mean: abs(row[column].mean - row[goal].mean) for row in known} if goal else {}
        apart = {value: distance for value, distance in apart.items() if math.isfinite(distance)}
        return min(apart, key=lambda value: apart[value]) if apart else None
    return (max if column.better == "up" else min)(row[column].mean for row in known)


def _below(score: Mapping[str, Any], *path: str) -> Mapping[str, Any]:
    """What a score holds at a path; nothing where it holds no table there."""
    found: Any = score
    for part in path:
        found = found.get(part) if isinstance(found, Mapping) else None
    return found if isinstance(found, Mapping) else {}
