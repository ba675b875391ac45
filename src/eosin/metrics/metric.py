"""A metric is one object: what computes it, which way is better, and how tables, pages and documentation show it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from eosin.config import Registry
from eosin.errors import EosinError
from eosin.metrics.matched import always

ACCURACY = "Accuracy of the mean"
DEPTH = "Beyond library size"
STRUCTURE = "Variation and structure"
ERROR_BARS = "Error bars"
DOMAINS = "Domains and marker genes"
BIOMARKERS = "Biomarkers"
PATHWAYS = "Pathways"
CONVENTIONS = "Correlation by other conventions"
GROUPS = (ACCURACY, DEPTH, STRUCTURE, ERROR_BARS, DOMAINS, BIOMARKERS, PATHWAYS, CONVENTIONS)
"""Titles of the tables on a page, in their order; other titles come after them."""


@dataclass(frozen=True)
class Metric:
    """One number of a score.

    Attributes
    ----------
    key
        Where the number stands in a score: `mse`, or `pcc.mean` for `score["pcc"]["mean"]`.
    function
        Gives the number, NaN where it is undefined: of a `MatchedSection` where `scope` is "section", of
        `MatchedSections` where it is "sections".
    definition
        One line, for pages and documentation.
    better
        "up", "down", or "expected" where the best value is the one under `KEY_expected`.
    group
        Title of the table on a page: one of `GROUPS`, or a new one.
    label
        Head of its column in that table.
    source
        Paper, and where in it.
    scope
        "section": computed in each section, then averaged over the sections where it is defined. "sections": computed
        once for all sections.
    needs
        Says whether there is something to compute it from; where there is not, the key is absent. `has_draws` and
        `has_labels` of `eosin.metrics` are two.
    """

    key: str
    function: Callable[[Any], float]
    definition: str
    better: Literal["up", "down", "expected"]
    group: str
    label: str
    source: str
    scope: Literal["section", "sections"] = "section"
    needs: Callable[[Any], bool] = always

    def __post_init__(self) -> None:
        if not re.fullmatch(r"\w+(\.\w+)?", self.key):
            raise ValueError(f"'{self.key}' is no key of a metric: write a name, or two with a point between")
        if self.better not in ("up", "down", "expected") or self.scope not in ("section", "sections"):
            raise ValueError(f"metric '{self.key}': better is up, down or expected; scope is section or sections")

    @property
    def key_in_section(self) -> str:
        """Where the number stands among those of one section: `pcc.mean` is `pcc` there."""
        return self.key.removesuffix(".mean")


METRICS: Registry[Metric] = Registry("metric")
"""Every metric by key; other packages add theirs by the entry-point group `eosin.metrics`."""


def register(metric: Metric) -> Metric:
    """Add a metric under its key."""
    return METRICS.add(metric.key, metric)


def all_metrics() -> list[Metric]:
    """Every metric, in the order of `GROUPS` and within a group in the order of registration.

    Raises
    ------
    EosinError
        A package names a metric otherwise than the metric's own key.
    """
    for name, metric in METRICS.items():
        if name != metric.key:
            raise EosinError(f"metric '{metric.key}' is registered as '{name}'", fix="name the entry point as its key")
    metrics = [metric for _, metric in METRICS.items()]
    titles = dict.fromkeys((*GROUPS, *(metric.group for metric in metrics)))
    return [metric for title in titles for metric in metrics if metric.group == title]
