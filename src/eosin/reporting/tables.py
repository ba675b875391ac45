"""Score tables: models in rows, metrics in columns, the best marked, what each column means below."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from eosin.metrics import METRICS
from eosin.reporting.html import Markup, join, number, table, tag


@dataclass(frozen=True)
class Column:
    """A metric as a table shows it; `key` is its path in a score and its name in `eosin.metrics.METRICS`."""

    key: str
    label: str

    @property
    def better(self) -> str:
        return METRICS[self.key].better

    @property
    def header(self) -> str:
        return self.label + {"up": " ↑", "down": " ↓"}.get(self.better, "")

    def best(self, rows: Iterable[Mapping[str, Any]]) -> float | None:
        """The best value in some scores; the one nearest to what a perfect model has, where the metric has such."""
        found = [(value, row) for row in rows if (value := pick(row, self.key)) is not None]
        if not found:
            return None
        if self.better == "expected":
            return min(found, key=lambda f: abs(f[0] - (pick(f[1], f"{self.key}_expected") or f[0])))[0]
        values = [value for value, _ in found]
        return max(values) if self.better == "up" else min(values)


COLUMNS = (
    Column("pcc.mean", "PCC"),
    Column("pcc.pooled", "PCC pooled"),
    Column("pcc_top10", "PCC-10"),
    Column("mse", "MSE"),
    Column("mae", "MAE"),
    Column("rvd", "RVD"),
    Column("gsc", "GSC"),
    Column("ssc", "SSC"),
    Column("crps", "CRPS"),
    Column("coverage_90", "90 % cover"),
    Column("coverage_90_expected", "… expected"),
)


def pick(score: Mapping[str, Any], key: str) -> float | None:
    """A finite number of a score by its path, as `pcc.mean`; a plain number under `pcc` is taken for its mean."""
    value: Any = score
    for part in key.split("."):
        if isinstance(value, Mapping):
            value = value.get(part)
        elif part != "mean":
            value = None
    return float(value) if is_number(value) else None


def is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and bool(np.isfinite(value))


def is_baseline(model: str) -> bool:
    """Tuned ridge regression is what every model has to beat; presets are written `ridge:name`."""
    return model.split(":")[0] == "ridge"


def model_name(model: str) -> Markup:
    return join([model, tag("span", "baseline", class_="badge") if is_baseline(model) else None])


def score_table(scores: Mapping[str, Mapping[str, Any]]) -> Markup:
    """Models x headline metrics, with the columns that at least one model has, and their definitions."""
    columns = [c for c in COLUMNS if any(pick(score, c.key) is not None for score in scores.values())]
    best = {c.key: None if c.key.endswith("_expected") else c.best(scores.values()) for c in columns}
    rows = [
        [model_name(model), *(marked(pick(score, c.key), best[c.key], one_of=len(scores)) for c in columns)]
        for model, score in scores.items()
    ]
    return join([table(["model", *(c.header for c in columns)], rows), definitions(columns)])


def marked(value: float | None, best: float | None, *, one_of: int, text: str | None = None) -> Markup:
    """A cell; the best of several is marked."""
    won = one_of > 1 and value is not None and value == best
    return tag("td", number(value) if text is None else text, class_="best" if won else None)


def definitions(columns: Sequence[Column]) -> Markup:
    return tag("dl", *(join([tag("dt", c.label), tag("dd", METRICS[c.key].definition)]) for c in columns))


def section_table(scores: Mapping[str, Mapping[str, Any]]) -> Markup | None:
    """PCC of each section and model, where the scores hold it."""
    per = {m: s["pcc"]["per_section"] for m, s in scores.items() if _has_sections(s)}
    if not per:
        return None
    names = sorted({name for values in per.values() for name in values})
    rows = []
    for name in names:
        values = [per[m].get(name) for m in per]
        best = max((v for v in values if is_number(v)), default=None)
        rows.append([name, *(marked(v, best, one_of=len(per)) for v in values)])
    return table(["section", *(f"{m}, PCC" for m in per)], rows)


def _has_sections(metrics: Mapping[str, Any]) -> bool:
    pcc = metrics.get("pcc")
    return isinstance(pcc, Mapping) and isinstance(pcc.get("per_section"), Mapping) and bool(pcc["per_section"])
