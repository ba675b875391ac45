"""The columns that a table of scores can have: the metrics in their groups, and genes and gene sets by name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from eosin.metrics import METRICS, all_metrics
from eosin.metrics.metric import BIOMARKERS
from eosin.scores.results import is_number, pick


@dataclass(frozen=True)
class Column:
    """A metric as a table shows it; `key` is its path in a score and its name in `eosin.metrics.METRICS`."""

    key: str
    label: str

    @property
    def better(self) -> str:
        """Which way is better: "up", "down", or "expected"."""
        return METRICS[self.key].better

    @property
    def definition(self) -> str:
        """What the metric is, in one line."""
        return METRICS[self.key].definition

    @property
    def header(self) -> str:
        """The label with an arrow that says which way is better."""
        return self.label + {"up": " ↑", "down": " ↓"}.get(self.better, "")

    def value(self, score: Mapping[str, Any]) -> float | None:
        """The number of a score; None where it has none."""
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
        """The label."""
        return self.label

    def value(self, score: Mapping[str, Any]) -> float | None:
        """The number of a score; None where it has none."""
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


def columns_of(group: Group, scores: Iterable[Mapping[str, Any]]) -> tuple[AnyColumn, ...]:
    """A group's columns, with one for every biomarker that the scores hold by name."""
    if group.title != BIOMARKERS:
        return group.columns
    genes = dict.fromkeys(gene for score in scores for gene in table_at(score, "biomarkers", "pcc"))
    return (*group.columns, *(Named(("biomarkers", "pcc", gene), gene, "up") for gene in genes))


def pathway_columns(scores: Iterable[Mapping[str, Any]]) -> list[Named]:
    """A column for the co-expression of every gene set that the scores hold by name."""
    names = dict.fromkeys(name for score in scores for name in table_at(score, "pathways", "sets"))
    return [Named(("pathways", "sets", name, "correlation"), name, "up") for name in names]


def missing_biomarkers(scores: Iterable[Mapping[str, Any]]) -> list[str]:
    """Genes that were asked for and are not in a panel."""
    missing = (dict(score.get("biomarkers") or {}).get("missing") or () for score in scores)
    return list(dict.fromkeys(gene for genes in missing for gene in genes))


def columns_with_numbers(columns: Sequence[AnyColumn], scores: Iterable[Mapping[str, Any]]) -> list[AnyColumn]:
    """The columns that at least one score has a number for."""
    known = list(scores)
    return [column for column in columns if any(column.value(score) is not None for score in known)]


def table_at(score: Mapping[str, Any], *path: str) -> Mapping[str, Any]:
    """The table that a score holds at a path; an empty one where it holds none there."""
    found: Any = score
    for part in path:
        found = found.get(part) if isinstance(found, Mapping) else None
    return found if isinstance(found, Mapping) else {}
