"""Features of an unfinished encoding in a file, from which a later process resumes after an interruption.

The first line is JSON and states what the rows depend on. Records follow, one per batch: first row, number of rows,
checksum, readable flags, features. The journal ends before the first record that is incomplete or out of sequence.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from eosin.storage.files import explained

_HEAD = struct.Struct("<QQI")
_FORMAT = 2
"""Version of the format; rows are in the order of `eosin.slide.reading_order`."""


class Journal:
    """Rows of features, appended batch by batch.

    Parameters
    ----------
    path
        The file; it exists from the first `append` on.
    stamp
        All that the rows depend on, JSON-able: rows with another stamp are discarded.
    """

    def __init__(self, path: Path, stamp: Mapping[str, Any]):
        self._path = path
        self._line = json.dumps({"journal": _FORMAT, **stamp}, sort_keys=True, default=str).encode() + b"\n"

    def recover(self, values: np.ndarray, readable: np.ndarray, order: np.ndarray) -> int:
        """Copy the rows of the journal into arrays and return their number; damaged records are cut off the file.

        Parameters
        ----------
        values
            Features float32 [s w f] of w symmetries, changed in place.
        readable
            bool [s], changed in place.
        order
            Row of these arrays for each row of the journal, int64 [s].

        Raises
        ------
        EosinError
            The file cannot be written.
        """
        if not self._path.is_file():
            return 0
        with explained(self._path), open(self._path, "r+b") as file:
            if file.readline(len(self._line)) != self._line:
                file.truncate(0)
                return 0
            n_rows, end = 0, file.tell()
            while n := _read_record(file, n_rows, values, readable, order):
                n_rows, end = n_rows + n, file.tell()
            file.truncate(end)
        return n_rows

    def append(self, start: int, values: np.ndarray, readable: np.ndarray) -> None:
        """Add rows [n w f] and their readable flags [n], from row `start` on."""
        body = np.ascontiguousarray(readable, bool).tobytes() + np.ascontiguousarray(values, "<f4").tobytes()
        with explained(self._path), open(self._path, "ab") as file:
            line = b"" if file.tell() else self._line
            file.write(line + _HEAD.pack(start, len(values), zlib.crc32(body)) + body)

    def remove(self) -> None:
        """Delete the file, if there is one."""
        self._path.unlink(missing_ok=True)


def _read_record(file: BinaryIO, first: int, values: np.ndarray, readable: np.ndarray, order: np.ndarray) -> int:
    """Copy one record, of rows from `first` on, and return its number of rows; 0 where no valid one follows."""
    head = file.read(_HEAD.size)
    if len(head) < _HEAD.size:
        return 0
    start, n, checksum = _HEAD.unpack(head)
    if start != first or not 0 < n <= len(values) - first:
        return 0
    body = file.read(n * (1 + values[0].size * 4))
    if zlib.crc32(body) != checksum or len(body) != n * (1 + values[0].size * 4):
        return 0
    rows = order[first : first + n]
    readable[rows] = np.frombuffer(body, bool, n)
    values[rows] = np.frombuffer(body, "<f4", offset=n).reshape(n, *values.shape[1:])
    return n
