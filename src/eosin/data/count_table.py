"""Dense tables of counts in text, spots x genes, read in blocks into a sparse matrix.

A Visium table of 4,000 spots and 36,000 genes is 300 MB of text and mostly zeros: no more of it than a block is ever
in memory.
"""

from __future__ import annotations

import csv
import gzip
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from scipy import sparse

from eosin.errors import EosinError
from eosin.storage.delimited import is_number

BROKEN = (OSError, EOFError, zlib.error, ValueError, csv.Error)
"""What reading a damaged text file can raise; pandas' parser errors are ValueErrors."""
TRANSPOSED = "is genes x spots, and no row has a position"
"""The problem of a table whose columns are spots."""
_AGAIN = "the file is cut short or damaged; download it again"
_BLOCK = 4_000_000  # bytes of text that are parsed at once
_LONGEST_LINE = 16_000_000  # bytes; longer ones are no table, and a small gzip can hold gigabytes of one line


def read_count_table(file: Path, separator: str = "\t") -> tuple[list[str], list[str], sparse.csr_matrix]:
    """Read a table of counts: spot ids, genes, and counts [s g] as they stand.

    Parameters
    ----------
    file
        Text, or gzip where the name ends in `.gz`. The first row names the genes, the first column the spots; the
        corner may be empty, named or left out.
    separator
        One character.

    Raises
    ------
    EosinError
        The file is missing, cut short, ragged or holds something other than numbers, with row and gene.
    """
    try:
        with open(file, "rb") as plain:
            stream: Any = gzip.GzipFile(fileobj=plain) if file.suffix == ".gz" else plain
            return _read(stream, separator, file)
    except FileNotFoundError:
        raise EosinError("no such file", file=file, fix="give every section its count table") from None
    except BROKEN as error:
        raise EosinError(f"not readable as a table of counts ({error})", file=file, fix=_AGAIN) from error


def _read(stream: BinaryIO, separator: str, file: Path) -> tuple[list[str], list[str], sparse.csr_matrix]:
    first = _line(stream, file)
    genes = next(csv.reader([first], delimiter=separator), [])
    ids, parts, n_skip = [], [], None
    for lines in _blocks(stream, file):
        rows = [_split_id(line, separator) for line in lines]
        if n_skip is None:  # R leaves out the corner cell, others do not
            n_skip = int(bool(genes) and (not genes[0] or len(genes) > rows[0][1].count(separator) + 1))
            genes = genes[n_skip:]
        ids += [spot for spot, _ in rows]
        parts.append(sparse.csr_matrix(_parse(rows, genes, separator, file)))
    if not ids or not genes:
        raise EosinError("holds no counts", file=file, fix=_AGAIN)
    return ids, genes, sparse.csr_matrix(sparse.vstack(parts))


def _line(stream: BinaryIO, file: Path) -> str:
    line = stream.readline(_LONGEST_LINE)
    if len(line) == _LONGEST_LINE:
        raise EosinError(f"a line is longer than {_LONGEST_LINE // 1_000_000} MB", file=file, fix=_AGAIN)
    return line.decode("utf-8").rstrip("\r\n")


def _blocks(stream: BinaryIO, file: Path) -> Iterator[list[str]]:
    """Lists of lines, about `_BLOCK` bytes each; empty lines at the very end are passed over."""
    lines, size, n_empty = [], 0, 0
    while line := stream.readline(_LONGEST_LINE):
        if len(line) == _LONGEST_LINE:
            raise EosinError(f"a line is longer than {_LONGEST_LINE // 1_000_000} MB", file=file, fix=_AGAIN)
        text = line.decode("utf-8").rstrip("\r\n")
        if not text:
            n_empty += 1
            continue
        if n_empty:
            raise EosinError("an empty line stands between the rows", file=file, fix=_AGAIN)
        lines.append(text)
        size += len(line)
        if size >= _BLOCK:
            yield lines
            lines, size = [], 0
    if lines:
        yield lines


def _split_id(line: str, separator: str) -> tuple[str, str]:
    """The row's name, without quotes, and the text of its cells."""
    if line.startswith('"'):
        spot, _, rest = line[1:].partition('"')
        return spot, rest.removeprefix(separator)
    spot, _, cells = line.partition(separator)
    return spot, cells


def _parse(rows: Sequence[tuple[str, str]], genes: Sequence[str], separator: str, file: Path) -> np.ndarray:
    """Values [rows genes] float32 of a block of rows."""
    for spot, cells in rows:
        if (n_values := cells.count(separator) + 1) != len(genes):
            raise EosinError(f"row '{spot}' has {n_values} values for {len(genes)} genes", file=file, fix=_AGAIN)
    text = separator.join(cells for _, cells in rows) + separator
    values = _whole_numbers(text, separator)
    if values is None:  # counts that went through floating point are printed as "3.0"
        values = _whole_numbers(text.replace(f".0{separator}", separator), separator)
    if values is None:
        values = _any_numbers(rows, genes, separator, file)
    return values.reshape(len(rows), len(genes))


def _whole_numbers(text: str, separator: str) -> np.ndarray | None:
    """Parse digits all at once, as float32; `None` where the text holds anything else.

    Two to four times as fast as pandas, which makes an object per column, on tables of 16,000 short columns.
    """
    marks = np.frombuffer(text.encode(), dtype=np.uint8)
    ends = np.flatnonzero(marks == ord(separator))
    starts = np.concatenate([[0], ends[:-1] + 1])
    lengths = ends - starts
    is_digit = (marks >= ord("0")) & (marks <= ord("9"))
    if is_digit.sum() + len(ends) != len(marks) or lengths.min() < 1 or lengths.max() > 7:  # float32 holds 7 digits
        return None
    values = np.zeros(len(ends), dtype=np.float32)
    for place in range(lengths.max()):
        longer = np.flatnonzero(lengths > place)
        values[longer] = values[longer] * 10 + (marks[starts[longer] + place] - ord("0"))
    return values


def _any_numbers(rows: Sequence[tuple[str, str]], genes: Sequence[str], separator: str, file: Path) -> np.ndarray:
    """Parse other numbers, and say which cell is none; the record judges the values."""
    values = np.empty((len(rows), len(genes)), dtype=np.float32)
    for i, (spot, cells) in enumerate(rows):
        texts = cells.split(separator)
        try:
            values[i] = np.array(texts, dtype=object).astype(np.float32)
        except ValueError:
            j = next(j for j, text in enumerate(texts) if not is_number(text))
            where = f"row '{spot}', gene '{genes[j]}'"
            raise EosinError(f"'{texts[j]}' is no number ({where})", file=file, fix="mend that cell") from None
    return values
