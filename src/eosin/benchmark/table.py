"""The tables of a grid: accuracy (a row per model, a column per split), and what it cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from eosin.metrics import METRICS

BEST = "*"


def pick(metrics: Mapping[str, Any], name: str) -> float | None:
    """A number of a cell's metrics by its path, as `pcc.mean`."""
    value: Any = metrics
    for part in name.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def split_family(split: str) -> str:
    """Splits of one rule stand in one column: `leave-section-out/C2` belongs to `leave-section-out`."""
    return split.split("/")[0]


def table(
    cells: Sequence[Mapping[str, Any]],
    metric: str = "pcc.mean",
    comparisons: Sequence[Mapping[str, Any]] = (),
) -> tuple[list[str], list[list[str]]]:
    """Header and rows of text: mean over splits of a family and seeds, with the sd over seeds of that mean.

    A family's number is missing where one of its cells failed. The best of several rows is marked by a star. With
    `comparisons` (of `scores.json`), each family has a column with the difference to the tuned ridge and its 95 %
    interval; they are of `pcc.mean` whatever the metric, so give them with that one.
    """
    models = list(dict.fromkeys((c["model"], c["encoder"]) for c in cells))
    families = list(dict.fromkeys(split_family(c["split"]) for c in cells))
    against = {(c["model"], c["encoder"], c["split"]): c for c in comparisons}
    compared = [family for family in families if any(key[2] == family for key in against)]
    header = ["model", "encoder", *families, "mean", *(f"to ridge, {family}" for family in compared)]
    found = {}
    for model, encoder in models:
        own = [c for c in cells if (c["model"], c["encoder"]) == (model, encoder)]
        found[model, encoder] = [summary([c for c in own if split_family(c["split"]) == f], metric) for f in families]
    overall = {row: float(np.mean([mean for mean, _ in values])) for row, values in found.items()}
    best = [_best([values[i][0] for values in found.values()], metric) for i in range(len(families))]
    best_overall = _best(list(overall.values()), metric)
    rows = []
    for row, values in found.items():
        texts = [_text(*value) + (BEST if value[0] == best[i] else "") for i, value in enumerate(values)]
        mean = _text(overall[row], 0.0) + (BEST if overall[row] == best_overall else "")
        rows.append([*row, *texts, mean, *(_against(against.get((*row, family))) for family in compared)])
    return header, rows


def costs(cells: Sequence[Mapping[str, Any]]) -> tuple[list[str], list[list[str]]]:
    """Parameters, seconds of training, seconds and MiB per 1,000 spots at inference; means over finished cells."""
    header = ["model", "encoder", "parameters", "training s", "s per 1,000 spots", "MiB per 1,000 spots", "cells"]
    rows = []
    for model, encoder in dict.fromkeys((c["model"], c["encoder"]) for c in cells):
        own = [c for c in cells if (c["model"], c["encoder"]) == (model, encoder)]
        done = [c for c in own if c["status"] == "done"]
        parameters = sorted({c["n_parameters"] for c in done if "n_parameters" in c})
        rows.append(
            [
                model,
                encoder,
                " to ".join(f"{n:,}" for n in dict.fromkeys([*parameters[:1], *parameters[-1:]])) or "-",
                _mean_text([pick(c, "seconds_train") for c in done], 1),
                _mean_text([pick(c, "inference.seconds_per_1000") for c in done], 3),
                _mean_text([pick(c, "inference.mib_per_1000") for c in done], 1),
                f"{len(done)} of {len(own)}",
            ]
        )
    return header, rows


def remarks(scores: Mapping[str, Any]) -> list[str]:
    """What a reader of the tables must know: the protocol, leaks, known patients, what was added."""
    cells, said = scores["cells"], []
    if stamp := scores.get("protocol"):
        said.append(
            f"protocol {stamp['name']}, version {stamp['version']}, sha256 {stamp['sha256'][:16]}; "
            f"split {stamp['split']}, epoch chosen on: {stamp['selection']}"
        )
    for text in dict.fromkeys(f"{split_family(c['split'])}: {leak}" for c in cells for leak in c.get("leak", ())):
        said.append(f"LEAK, not a result: {text}")
    for family in dict.fromkeys(split_family(c["split"]) for c in cells if c.get("note") == "same-patient"):
        said.append(f"same-patient: {family} tests new sections of patients who are in training")
    said += [str(one) for one in scores.get("remarks", ())]
    if comparisons := scores.get("comparisons"):
        few = sorted({c["split"] for c in comparisons if c["n_sections"] < 2})
        said.append(
            "to ridge: difference in correlation and its 95 % interval, paired bootstrap over genes and sections"
            + (f" (over genes only for {', '.join(few)}: one section)" if few else "")
        )
    return said


def summary(cells: Sequence[Mapping[str, Any]], metric: str) -> tuple[float, float]:
    """Mean over seeds of the mean over splits, and the sd over seeds (0 for one seed)."""
    by_seed: dict[int, list[float]] = {}
    for cell in cells:
        value = pick(cell["metrics"], metric) if cell["status"] == "done" else None
        by_seed.setdefault(cell["seed"], []).append(float("nan") if value is None else value)
    means = [float(np.mean(values)) for values in by_seed.values()]
    if not means:
        return float("nan"), 0.0
    return float(np.mean(means)), float(np.std(means, ddof=1)) if len(means) > 1 else 0.0


def _best(values: Sequence[float], metric: str) -> float | None:
    """The best of several numbers; None where there is one row, or where nearer to something else is better."""
    known = [value for value in values if np.isfinite(value)]
    better = METRICS[metric].better if metric in METRICS else "expected"
    if len(values) < 2 or not known or better == "expected":
        return None
    return max(known) if better == "up" else min(known)


def _text(mean: float, sd: float) -> str:
    if not np.isfinite(mean):
        return "-"
    return f"{mean:.3f} ± {sd:.3f}" if sd >= 0.0005 else f"{mean:.3f}"


def _against(one: Mapping[str, Any] | None) -> str:
    if one is None or one["difference"] is None:
        return "-"
    return f"{one['difference']:+.3f} ({one['low']:+.3f} to {one['high']:+.3f})"


def _mean_text(values: Sequence[float | None], digits: int) -> str:
    known = [value for value in values if value is not None]
    return f"{np.mean(known):.{digits}f}" if known else "-"
