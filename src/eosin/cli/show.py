"""How the command line prints records, tables and grids."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from eosin.plurals import counted

_SHORT = 16
"""Letters: a cell this short is not broken into lines, a longer one may be."""


def facts(record: Mapping[str, Any], indent: int = 0) -> None:
    """Print nested facts, one line each; long lists are cut."""
    console = _console()
    for key, value in record.items():
        lead = "  " * indent + f"{key}: "
        if isinstance(value, Mapping):
            console.print(lead, markup=False)
            facts(value, indent + 1)
        elif isinstance(value, list | tuple) and value and isinstance(value[0], Mapping):
            console.print(lead, markup=False)
            rows(value)
        else:
            console.print(lead + _text(value), markup=False)


def rows(records: Sequence[Mapping[str, Any]]) -> None:
    """Print records of one kind as a table; a column that is empty everywhere is left out."""
    if not records:
        _console().print("none")
        return
    columns = [key for key in records[0] if any(r.get(key) not in (None, "", [], ()) for r in records)]
    widest = {column: max(len(column), *(len(_cell(r.get(column))) for r in records)) for column in columns}
    console = _console()
    columns, lost = _fitting(widest, console.width)
    table = Table(box=None, pad_edge=False)
    for column in columns:
        table.add_column(Text(column), overflow="fold", no_wrap=bool(lost) and widest[column] <= _SHORT)
    for record in records:
        table.add_row(*(Text(_cell(record.get(column))) for column in columns))
    console.print(table)
    if lost:
        lines([f"left out, as the terminal is narrow: {', '.join(lost)}"])


def _fitting(widest: Mapping[str, int], width: int) -> tuple[list[str], list[str]]:
    """Columns that are readable on the terminal, and those left out: of several long ones the last, as they explain."""
    kept, lost = list(widest), []
    while sum(min(widest[column], _SHORT) + 2 for column in kept) - 2 > width:
        long = [column for column in kept if widest[column] > _SHORT]
        if len(long) < 2:
            break
        kept.remove(long[-1])
        lost.append(long[-1])
    return kept, lost


def bench(scores: Mapping[str, Any]) -> None:
    """Print a grid's tables, what must be known to read them, and what failed."""
    from eosin.cli.score_text import costs_text, split_text
    from eosin.scores.results import headline, remarks
    from eosin.scores.score_table import shown, split_table

    cells = scores["cells"]
    first = headline(scores)
    for metric, title in shown(scores):
        comparisons = scores["comparisons"] if metric == first else ()
        _table(f"{metric}: {title}", *split_text(split_table(cells, metric, comparisons=comparisons)))
    _table("costs, means over runs", *costs_text(cells))
    lines(remarks(scores))
    _failures(cells)


def study(found: Mapping[str, Any]) -> None:
    """Print a study's tables."""
    from eosin.cli.score_text import split_text
    from eosin.scores.results import remarks
    from eosin.scores.score_table import shown, split_table

    for metric, title in shown(found):
        _table(f"{metric}: {title}", *split_text(split_table(found["cells"], metric)))
    lines(remarks(found))
    _failures(found["cells"])


def efficiency(found: Mapping[str, Any]) -> None:
    """Print time and memory against spots."""
    from eosin.benchmark import efficiency_rows

    rows(efficiency_rows(found))
    load = found["load"]
    lines(
        [
            f"one prediction of {counted(load['draws'], 'draw')}, {load['n_features']} features, "
            f"{load['n_genes']} genes, {counted(load['threads'], 'thread')}; "
            "growth: the exponent between the two largest sizes, 1 is linear"
        ]
    )


def plan(scores: Mapping[str, Any]) -> None:
    """Print what a grid would cost."""
    rows(scores["plan"])
    known = [cell["seconds"] for cell in scores["plan"] if cell["seconds"] is not None]
    lost = len(scores["plan"]) - len(known)
    lines(
        [
            *scores["remarks"],
            f"{counted(len(scores['plan']), 'cell')}, at most about {sum(known):.0f} s one after another",
        ]
    )
    if lost:
        lines([f"{counted(lost, 'cell')} could not be estimated"])


def _failures(cells: Sequence[Mapping[str, Any]]) -> None:
    for cell in cells:
        if cell["status"] == "failed":
            lines([f"failed: {cell['model']} {cell['split']} seed {cell['seed']}: {cell['error']}"])


def _table(title: str, header: Sequence[str], body: Sequence[Sequence[str]]) -> None:
    table = Table(
        *(Column(Text(name)) for name in header), title=Text(title), title_justify="left", box=None, pad_edge=False
    )
    for row in body:
        table.add_row(*map(Text, row))
    _console().print(table)


def lines(text: Sequence[str]) -> None:
    """Print lines as they are: brackets in paths are not markup."""
    for line in text:
        _console().print(line, markup=False, highlight=False)


def _cell(value: Any) -> str:
    """As `_text`, with millions as such: a table has little room."""
    if isinstance(value, int) and value >= 1_000_000:
        return f"{value / 1e6:.3g}M" if value < 1_000_000_000 else f"{value / 1e6:.0f}M"
    return _text(value)


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list | tuple):
        shown = ", ".join(_text(item) for item in value[:8])
        return shown + (f", ... ({len(value)} in all)" if len(value) > 8 else "")
    return "-" if value is None else str(value)


def _console() -> Console:
    """On a terminal as wide as it is; a file or pipe has no width, and paths in it should not be broken."""
    return Console(soft_wrap=True, width=None if sys.stdout.isatty() else 400)
