"""What is encoded of a section so far, in a file that outlives the process: an encoding that was killed goes on.

A line of JSON says what the rows belong to. Then records follow, one per batch: first row, number of rows, checksum,
marks of readable tiles, features. A record that was cut short, or is not the next, ends the journal.
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
"""Rows are in the order of `eosin.slide.reading_order`."""


class Journal:
    """Rows of features, appended batch by batch.

    Parameters
    ----------
    path
        The file; it exists from the first `append` on.
    stamp
        All that the rows depend on, JSON-able: rows of another stamp are not taken up.
    """

    def __init__(self, path: Path, stamp: Mapping[str, Any]):
        self._path = path
        self._line = json.dumps({"journal": _FORMAT, **stamp}, sort_keys=True, default=str).encode() + b"\n"

    def recover(self, values: np.ndarray, readable: np.ndarray, order: np.ndarray) -> int:
        """Fill in the rows that are there and return their number; what follows them in the file is cut off.

        Parameters
        ----------
        values
            float32 [s w f], changed in place.
        readable
            bool [s], changed in place.
        order
            Where in these each row belongs [s].
        """
        if not self._path.is_file():
            return 0
        with explained(self._path), open(self._path, "r+b") as file:
            if file.readline(len(self._line)) != self._line:
                file.truncate(0)
                return 0
            done, end = 0, file.tell()
            while n := _read(file, done, values, readable, order):
                done, end = done + n, file.tell()
            file.truncate(end)
        return done

    def append(self, start: int, values: np.ndarray, readable: np.ndarray) -> None:
        """Add rows [n w f] and their marks [n], from row `start` on."""
        body = np.ascontiguousarray(readable, bool).tobytes() + np.ascontiguousarray(values, "<f4").tobytes()
        with explained(self._path), open(self._path, "ab") as file:
            line = b"" if file.tell() else self._line
            file.write(line + _HEAD.pack(start, len(values), zlib.crc32(body)) + body)

    def remove(self) -> None:
        """Nothing is left of it."""
        self._path.unlink(missing_ok=True)


def _read(file: BinaryIO, done: int, values: np.ndarray, readable: np.ndarray, order: np.ndarray) -> int:
    """Take up one record, of rows from `done` on; 0 where there is none that is whole."""
    head = file.read(_HEAD.size)
    if len(head) < _HEAD.size:
        return 0
    start, n, check = _HEAD.unpack(head)
    if start != done or not 0 < n <= len(values) - done:
        return 0
    body = file.read(n * (1 + values[0].size * 4))
    if zlib.crc32(body) != check or len(body) != n * (1 + values[0].size * 4):
        return 0
    rows = order[done : done + n]
    readable[rows] = np.frombuffer(body, bool, n)
    values[rows] = np.frombuffer(body, "<f4", offset=n).reshape(n, *values.shape[1:])
    return n
