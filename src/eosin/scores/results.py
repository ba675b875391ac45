"""Reading `scores.json`: how tables and pages put the numbers of a grid's cells together."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from eosin.data.splits import SAME_PATIENT

Cells = Sequence[Mapping[str, Any]]
Value = str | Callable[[Mapping[str, Any]], float | None]
"""A metric by its path, as `pcc.mean`, or a function of a cell's metrics."""

PCC = "pcc.mean"
POOLED = {"pcc.mean": "pcc.pooled", "pcc.strict": "pcc.pooled_strict"}
"""What a headline becomes where a protocol pools the spots of all test sections."""


class Summary(NamedTuple):
    """Mean over seeds of the mean over splits, the sd over seeds of that mean (0 for one seed), and the seeds.

    The mean is NaN where one of the cells failed or has no such number: a mean over those that happened to work would
    flatter the model.
    """

    mean: float
    sd: float
    n_seeds: int


@dataclass(frozen=True)
class Cost:
    """What one model cost, means over its finished cells; None where nothing is known."""

    model: str
    encoder: str
    parameters: tuple[int, ...]
    seconds_train: float | None
    seconds_per_1000: float | None
    mib_per_1000: float | None
    n_done: int
    n_cells: int


def is_number(value: Any) -> bool:
    """Whether a value is a finite number, and no boolean."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def pick(metrics: Mapping[str, Any], key: str) -> float | None:
    """A finite number by its path, as `pcc.mean`; a plain number under `pcc` is taken for its mean."""
    value: Any = metrics
    for part in key.split("."):
        if isinstance(value, Mapping):
            value = value.get(part)
        elif key != PCC:
            value = None
    return float(value) if is_number(value) else None


def split_family(split: str) -> str:
    """Splits of one rule stand together: `leave-section-out/C2` belongs to `leave-section-out`."""
    return split.split("/")[0]


def families(cells: Cells) -> list[str]:
    """The rules of the splits, in the order of the cells."""
    return list(dict.fromkeys(split_family(c["split"]) for c in cells))


def rows(cells: Cells) -> list[tuple[str, str]]:
    """Model and encoder of every row, in the order of the cells."""
    return list(dict.fromkeys((c["model"], c["encoder"]) for c in cells))


def of_row(cells: Cells, row: tuple[str, str], family: str | None = None) -> list[Mapping[str, Any]]:
    """A row's cells, of one family of splits or of all."""
    own = [c for c in cells if (c["model"], c["encoder"]) == row]
    return own if family is None else [c for c in own if split_family(c["split"]) == family]


def summary(cells: Cells, metric: Value) -> Summary:
    """The number of some cells as a table shows it."""
    by_seed: dict[Any, list[float]] = {}
    for cell in cells:
        metrics = cell["metrics"] if cell["status"] == "done" else {}
        value = pick(metrics, metric) if isinstance(metric, str) else metric(metrics)
        by_seed.setdefault(cell["seed"], []).append(math.nan if value is None else value)
    means = [float(np.mean(values)) for values in by_seed.values()]
    if not means:
        return Summary(math.nan, 0.0, 0)
    return Summary(float(np.mean(means)), float(np.std(means, ddof=1)) if len(means) > 1 else 0.0, len(means))


def headline(scores: Mapping[str, Any]) -> str:
    """The metric that a grid is judged by: the protocol's first, pooled over spots where it says so."""
    stamp = scores.get("protocol") or {}
    first = next(iter(stamp.get("metrics", ())), PCC)
    return POOLED.get(first, first) if stamp.get("pooling") == "spots" else first


def pooling(scores: Mapping[str, Any]) -> str:
    """What the headline is a mean over, in words."""
    if (scores.get("protocol") or {}).get("pooling") == "spots" or headline(scores) in POOLED.values():
        return "over the spots of all test sections of a split together"
    return "within a test section, then over test sections"


def costs(cells: Cells) -> list[Cost]:
    """A line for every model and encoder."""
    lines = []
    for row in rows(cells):
        own = of_row(cells, row)
        done = [c for c in own if c["status"] == "done"]
        sizes = sorted({c["n_parameters"] for c in done if "n_parameters" in c})
        lines.append(
            Cost(
                *row,
                tuple(dict.fromkeys([*sizes[:1], *sizes[-1:]])),
                _mean([pick(c, "seconds_train") for c in done]),
                _mean([pick(c, "inference.seconds_per_1000") for c in done]),
                _mean([pick(c, "inference.mib_per_1000") for c in done]),
                len(done),
                len(own),
            )
        )
    return lines


def warnings(scores: Mapping[str, Any]) -> list[str]:
    """What makes the numbers mean less than they seem: leaks, and patients who are known."""
    cells = scores["cells"]
    leaks = dict.fromkeys(f"{split_family(c['split'])}: {leak}" for c in cells for leak in c.get("leak", ()))
    sentences = [f"LEAK, not a result: {text}" for text in leaks]
    for family, note in dict.fromkeys((split_family(c["split"]), c["note"]) for c in cells if c.get("note")):
        if note == SAME_PATIENT:
            sentences.append(f"{note}: {family} tests new sections of patients who are in training")
        else:
            sentences.append(f"{family}: {note}")
    return sentences + _idle_networks(cells)


def _idle_networks(cells: Cells) -> list[str]:
    """Models whose network added nothing to its base, and in how many of their runs."""
    sentences = []
    for model, encoder in rows(cells):
        done = [c for c in of_row(cells, (model, encoder)) if c["status"] == "done"]
        idle = [c for c in done if (c.get("training") or {}).get("network") == "added nothing"]
        if idle:
            sentences.append(
                f"{model} on {encoder}: in {len(idle)} of {len(done)} runs the network added nothing (inner validation "
                "kept epoch 0); there it is its base with noise"
            )
    return sentences


def remarks(scores: Mapping[str, Any]) -> list[str]:
    """What a reader of the tables must know: the protocol, leaks, known patients, what was added."""
    sentences = []
    if stamp := scores.get("protocol"):
        sentences.append(
            f"protocol {stamp['name']}, version {stamp['version']}, sha256 {stamp['sha256'][:16]}; "
            f"split {stamp['split']}, epoch chosen on: {stamp['selection']}; headline {headline(scores)}, "
            f"{pooling(scores)}"
        )
    sentences += [*warnings(scores), *map(str, scores.get("remarks", ()))]
    if comparisons := scores.get("comparisons"):
        sentences.append(f"to ridge: {of_comparisons(comparisons)}")
    return sentences


def of_comparisons(comparisons: Sequence[Mapping[str, Any]]) -> str:
    """What the differences to the ridge are."""
    of_one_section = sorted({c["split"] for c in comparisons if c["n_sections"] < 2})
    return f"difference in {PCC} and its 95 % interval, paired bootstrap over genes and sections" + (
        f" (over genes only for {', '.join(of_one_section)}: one section)" if of_one_section else ""
    )


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None
