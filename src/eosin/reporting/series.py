"""The number that a study varies, read from the labels of its rows: `S = 5`, `stflow, 4 draws`, `ddim 20`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

_NUMBER = re.compile(r"(?<![\w.:])\d+(?:\.\d+)?(?![\w.])")


@dataclass(frozen=True)
class Series:
    """Rows as lines of a chart: name of the line -> (number, label of the row), by number."""

    quantity: str
    points: dict[str, list[tuple[float, str]]]


def read_series(labels: Sequence[str]) -> Series | None:
    """Lines of rows whose labels differ in one number; None where no two rows do.

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
