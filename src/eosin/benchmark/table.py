"""The table of a grid: a row per model, a column per split, mean over seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np


def pick(metrics: Mapping[str, Any], name: str) -> float | None:
    """A number of a cell's metrics by its path, as `pcc.mean`."""
    value: Any = metrics
    for part in name.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def split_family(split: str) -> str:
    """Splits of one rule stand in one column: `leave-section-out/C2` belongs to `leave-section-out`."""
    return split.split("/")[0]


def table(cells: Sequence[Mapping[str, Any]], metric: str = "pcc.mean") -> tuple[list[str], list[list[str]]]:
    """Header and rows of text: mean over splits of a family and seeds, with the sd over seeds of that mean.

    A family's number is missing where one of its cells failed.
    """
    models = list(dict.fromkeys((c["model"], c["encoder"]) for c in cells))
    families = list(dict.fromkeys(split_family(c["split"]) for c in cells))
    header = ["model", "encoder", *families, "mean"]
    rows = []
    for model, encoder in models:
        own = [c for c in cells if (c["model"], c["encoder"]) == (model, encoder)]
        summaries = [summary([c for c in own if split_family(c["split"]) == f], metric) for f in families]
        means = [m for m, _ in summaries]
        overall = f"{np.mean(means):.3f}" if all(np.isfinite(means)) else "-"
        rows.append([model, encoder, *(_text(m, sd) for m, sd in summaries), overall])
    return header, rows


def summary(cells: Sequence[Mapping[str, Any]], metric: str) -> tuple[float, float]:
    """Mean over seeds of the mean over splits, and the sd over seeds (0 for one seed)."""
    by_seed: dict[int, list[float]] = {}
    for cell in cells:
        value = pick(cell["metrics"], metric) if cell["status"] == "done" else None
        by_seed.setdefault(cell["seed"], []).append(float("nan") if value is None else value)
    means = [float(np.mean(values)) for values in by_seed.values()]
    return float(np.mean(means)), float(np.std(means, ddof=1)) if len(means) > 1 else 0.0


def _text(mean: float, sd: float) -> str:
    if not np.isfinite(mean):
        return "-"
    return f"{mean:.3f} ± {sd:.3f}" if sd >= 0.0005 else f"{mean:.3f}"
