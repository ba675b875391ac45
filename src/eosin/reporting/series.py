"""The number that a study varies: as its `scores.json` says, or in files of before read from the labels of its rows."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from eosin.scores.results import is_number

_NUMBER = re.compile(r"(?<![\w.:])\d+(?:\.\d+)?(?![\w.])")


@dataclass(frozen=True)
class Series:
    """Rows as lines of a chart: name of the line -> (number, label of the row), by number."""

    quantity: str
    points: dict[str, list[tuple[float, str]]]


def stored_series(varied: Any) -> Series | None:
    """Lines of rows as `scores.json` stores what the study varied; None where that is no number, or does not vary.

    Parameters
    ----------
    varied
        `{"quantity": "refinement steps", "rows": {"S = 5": {"line": "stflow", "value": 5}}}`.
    """
    rows = varied.get("rows") if isinstance(varied, Mapping) else None
    if not isinstance(rows, Mapping):
        return None
    points: dict[str, list[tuple[float, str]]] = {}
    for label, row in rows.items():
        if isinstance(row, Mapping) and is_number(row.get("value")):
            points.setdefault(str(row.get("line", "")), []).append((float(row["value"]), label))
    points = {name: sorted(line) for name, line in points.items() if len({x for x, _ in line}) > 1}
    return Series(str(varied.get("quantity") or "the varied setting"), points) if points else None


def read_series(labels: Sequence[str]) -> Series | None:
    """Lines of rows whose labels differ in one number; None where no two rows do. For files of before.

    A label with several numbers, or with none, is on no line.
    """
    points: dict[str, list[tuple[float, str]]] = {}
    for label in labels:
        numbers = list(_NUMBER.finditer(label))
        if len(numbers) == 1:
            match = numbers[0]
            rest = label[: match.start()].rstrip(" =,") + "\0" + label[match.end() :].strip()
            points.setdefault(rest, []).append((float(match[0]), label))
    points = {name: sorted(line) for name, line in points.items() if len({x for x, _ in line}) > 1}
    if not points:
        return None
    units = {name.partition("\0")[2] for name in points}
    unit = units.pop() if len(units) == 1 else ""
    named = {name.replace("\0", " " if not unit else "\0").partition("\0")[0].strip(): p for name, p in points.items()}
    quantity = unit or (next(iter(named)) if len(named) == 1 else "the varied setting")
    return Series(quantity, named)
