"""Tables of text, as people write them."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from eosin.errors import EosinError
from eosin.plurals import counted

if TYPE_CHECKING:
    import pandas as pd


def delimiter_of(text: str) -> str:
    """What stands between the columns of a table: the first of tab, semicolon and comma that its first line has."""
    first = text.split("\n", 1)[0]
    return next((mark for mark in "\t;," if mark in first), ",")


@dataclass(frozen=True)
class TextTable:
    """A table of text, every row of which has as many cells as its heading.

    Attributes
    ----------
    columns
        The heading: lower case, without spaces around.
    rows
        Cells without spaces around; rows of empty cells are left out.
    lines
        The line of the file in which each row ends.
    row_names
        Names of rows that have no heading, as R writes them; None where there are none.
    """

    columns: list[str]
    rows: list[list[str]]
    lines: list[int]
    row_names: list[str] | None = None


def read_table(path: Path, fix: str, begins_with_number: Callable[[list[str]], bool] = lambda _: False) -> TextTable:
    """Read a table with a heading, comma, semicolon or tab between its cells.

    Empty cells behind the last column are passed over. R's `write.table` leaves out the heading of row names: where
    every row has one cell more than the heading and the first cells can be nothing else, they are left out.

    Parameters
    ----------
    fix
        What to do where the file is no table.
    begins_with_number
        Whether the first column of a heading holds numbers: then row names may be text, or 1, 2, 3, ...; else they
        must be 1, 2, 3, ... before text.

    Raises
    ------
    EosinError
        The file cannot be read, is not UTF-8, or has a row of more or fewer cells than its heading.
    """
    text = read_text(path, fix)
    try:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=_most_frequent(text), strict=True)
        columns = _without_end([name.strip().lower() for name in next(reader, [])], 0)
        found = [([cell.strip() for cell in row], reader.line_num) for row in reader]
    except csv.Error as error:
        raise EosinError(f"not readable as a table ({error})", file=path, fix=fix) from error
    found = [(_without_end(row, len(columns)), line) for row, line in found if any(row)]
    table = TextTable(columns, [row for row, _ in found], [line for _, line in found])
    if _has_row_names(table, begins_with_number):
        return replace(table, rows=[row[1:] for row in table.rows], row_names=[row[0] for row in table.rows])
    for row, line in found:
        if len(row) != len(columns):
            problem = f"line {line} has {counted(len(row), 'cell')} where the heading has {len(columns)}"
            way_out = "write numbers as 1234.5, quote text that holds the separator, and give every column a heading"
            raise EosinError(problem, file=path, fix=way_out)
    return table


def check_cells(frame: pd.DataFrame, file: Path) -> pd.DataFrame:
    """A table as pandas read it without an index; refuses one whose rows are longer than its heading.

    pandas then takes the first cells for names of rows, and every column is that of its neighbour. Row names as R
    writes them (1, 2, 3, ...) do move columns to their place.
    """
    import pandas as pd

    if isinstance(frame.index, pd.RangeIndex) or list(map(str, frame.index)) == [str(i + 1) for i in range(len(frame))]:
        return frame.reset_index(drop=True)
    problem = "its rows have more cells than its heading"
    raise EosinError(problem, file=file, fix="give every column a heading, and end no row with a separator")


def read_text(path: Path, fix: str) -> str:
    """The text of a file in UTF-8, with or without a byte order mark.

    Raises
    ------
    EosinError
        The file cannot be read, or is in another encoding.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise EosinError(f"cannot be read ({error.strerror})", file=path, fix="check its permissions") from error
    if data[:2] in (b"\xff\xfe", b"\xfe\xff") or data[1:2] == b"\0":
        raise EosinError("is text in UTF-16", file=path, fix="save it as UTF-8 (Excel: CSV UTF-8)")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        problem = f"not readable as a table ({error.reason} at byte {error.start}: no text in UTF-8)"
        raise EosinError(problem, file=path, fix=fix) from error


def _most_frequent(text: str) -> str:
    heading = (text.splitlines() or [""])[0]
    return max(",\t;", key=heading.count)


def _without_end(row: list[str], length: int) -> list[str]:
    """A row without the empty cells behind its first `length`."""
    while len(row) > length and not row[-1]:
        row = row[:-1]
    return row


def _has_row_names(table: TextTable, begins_with_number: Callable[[list[str]], bool]) -> bool:
    """Whether every row begins with a name that has no heading, and cannot be part of a number or of a name."""
    rows, n_columns = table.rows, len(table.columns)
    if not rows or not n_columns or any(len(row) != n_columns + 1 for row in rows):
        return False
    numbered = len(rows) > 1 and [row[0] for row in rows] == [str(i + 1) for i in range(len(rows))]
    if begins_with_number(table.columns):
        return numbered or not any(is_number(row[0]) for row in rows)
    return numbered and not any(is_number(row[1]) for row in rows)


def is_number(text: str) -> bool:
    """Whether a cell is a number as Python reads it, `nan` and `inf` among them."""
    try:
        float(text)
    except ValueError:
        return False
    return True
