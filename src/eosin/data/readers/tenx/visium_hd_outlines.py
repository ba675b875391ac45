"""Outlines of Space Ranger 4's cells: `cell_segmentations.geojson`, read feature by feature.

A polygon a cell, in pixels of the full-resolution image, with the property `cell_id`, a number. Files of half a million
cells are several hundred MB of text, which is never in memory as a whole.
Source: 10x Genomics, Space Ranger's pages on segmented outputs.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from eosin.data.cell_outlines import Rings
from eosin.data.readers.tenx.tenx_matrix import AGAIN, reading
from eosin.errors import EosinError
from eosin.types import Outlines
from eosin.types.footprints import ring_moments

_FEATURES = re.compile(r'"features"\s*:\s*\[')
_BETWEEN = re.compile(r"[\s,]*")
_NUMBER = re.compile(r"(?:cellid_)?0*(\d{1,18})(?:-\d+)?")
_PIECE = 1 << 22
_AT_ONCE = 4096
"""Features whose corners become one array."""


@dataclass(frozen=True)
class DrawnCells:
    """Cells with an outline.

    Attributes
    ----------
    number
        [n] what the cells are called.
    centres_px
        [n 2] centres of mass of all rings of each; mean corner where they have no area.
    rings
        Rings by row of `number`, pixels.
    """

    number: np.ndarray
    centres_px: np.ndarray
    rings: Rings

    def largest(self, rows: np.ndarray) -> tuple[Outlines, int]:
        """The largest ring of some of the cells, in the order of `rows`, and how many cells have several."""
        outlines, n_several = self.rings.largest(len(self.number))
        return outlines.take(rows), n_several


def number_of(name: Any) -> int | None:
    """The cell's number, as outlines (1) and matrices (`cellid_000000001-1`) write it."""
    match = None if isinstance(name, bool) else _NUMBER.fullmatch(str(name))
    return None if match is None else int(match.group(1))


def read_outlines(file: Path) -> DrawnCells:
    """The outlined cells.

    Raises
    ------
    EosinError
        The file is cut short, or holds other things than polygons with a `cell_id`; a cell occurs twice.
    """
    numbers: list[int] = []
    pieces: list[_Piece] = []
    with reading(file, "outlines of cells"), open(file, encoding="utf-8") as text:
        piece = _Piece(0)
        for feature in _features(text):
            number = number_of((feature.get("properties") or {}).get("cell_id"))
            if number is None:
                raise EosinError("an outline has no cell_id", file=file, fix=AGAIN)
            if len(piece.sizes) >= _AT_ONCE:
                pieces.append(piece.packed())
                piece = _Piece(len(numbers))
            piece.add(len(numbers), feature.get("geometry") or {})
            numbers.append(number)
        pieces.append(piece.packed())
    if not numbers:
        raise EosinError("holds no outlines", file=file, fix=AGAIN)
    number = np.array(numbers, dtype=np.int64)
    values, n_times = np.unique(number, return_counts=True)
    if (n_times > 1).any():
        raise EosinError(f"cell {values[int(np.argmax(n_times > 1))]} has two outlines", file=file, fix=AGAIN)
    centres = np.concatenate([piece.centres for piece in pieces])
    if not np.isfinite(centres).all():
        odd = number[int(np.argmin(np.isfinite(centres).all(1)))]
        raise EosinError(f"the outline of cell {odd} is not of finite numbers", file=file, fix=AGAIN)
    corners = np.concatenate([piece.corners for piece in pieces])
    owner, ring = (np.concatenate([getattr(piece, name) for piece in pieces]) for name in ("owner", "ring"))
    return DrawnCells(number, centres, Rings.of_corners(corners, owner, ring))


class _Piece:
    """Rings of some features: lists while they are read, then arrays, which take a twentieth of the memory.

    `owner` and `ring` say of every corner of which feature it is, and in which of its rings.
    """

    def __init__(self, first: int) -> None:
        self.first = first
        self.sizes: list[tuple[int, int, int]] = []  # corners, feature, ring
        self.lists: list[list[Any]] = []

    def add(self, row: int, geometry: dict[str, Any]) -> None:
        """The outer rings of one feature."""
        kind, rings = geometry.get("type"), geometry.get("coordinates") or []
        if kind not in ("Polygon", "MultiPolygon"):
            raise ValueError(f"an outline is a {kind}")
        outer = [rings[0]] if kind == "Polygon" else [part[0] for part in rings]
        for number, ring in enumerate(outer):
            self.lists.append(ring)
            self.sizes.append((len(ring), row, number))

    def packed(self) -> _Piece:
        """With arrays in the place of lists."""
        xy = _positions(self.lists)
        size, row, number = np.array(self.sizes, dtype=np.int64).reshape(-1, 3).T
        n_rows = int(row[-1]) - self.first + 1 if len(row) else 0
        self.centres = _centres(xy, size, row - self.first, n_rows)
        self.corners = xy.astype(np.float32)
        self.owner, self.ring = np.repeat(row, size).astype(np.int32), np.repeat(number, size).astype(np.int16)
        self.lists = []
        return self


def _positions(rings: list[list[Any]]) -> np.ndarray:
    """All positions of rings [c 2]; a third number, a height, is dropped."""
    positions = list(chain.from_iterable(rings))
    numbers = np.fromiter(chain.from_iterable(positions), dtype=np.float64)
    if len(numbers) == 2 * len(positions) and all(len(position) == 2 for position in positions):
        return numbers.reshape(-1, 2)
    return np.array([position[:2] for position in positions], dtype=np.float64).reshape(-1, 2)


def _centres(xy: np.ndarray, size: np.ndarray, row: np.ndarray, n_rows: int) -> np.ndarray:
    """[n 2] centre of mass of each feature, of all its rings [r]; of its corners where they have no area."""
    kept = size > 0
    size, row = size[kept], row[kept]
    area, centre = ring_moments(xy, np.concatenate([[0], np.cumsum(size)]))
    owner, total = np.repeat(row, size), np.bincount(row, area, n_rows)
    result = np.empty((n_rows, 2))
    for axis in (0, 1):
        with np.errstate(divide="ignore", invalid="ignore"):
            by_mass = np.bincount(row, area * np.where(area > 0, centre[:, axis], 0), n_rows) / total
            of_corners = np.bincount(owner, xy[:, axis], n_rows) / np.bincount(owner, minlength=n_rows)
        result[:, axis] = np.where(total > 0, by_mass, of_corners)
    return result


def _features(text: TextIO) -> Iterator[dict[str, Any]]:
    """The features of a collection one by one: half a million polygons at once would take gigabytes."""
    buffer = text.read(_PIECE)
    start = _FEATURES.search(buffer)
    if start is None:
        raise ValueError("no collection of features")
    at, decode, is_all = start.end(), json.JSONDecoder().raw_decode, False
    while True:
        gap = _BETWEEN.match(buffer, at)
        at = at if gap is None else gap.end()
        if buffer[at : at + 1] == "]":
            return
        try:
            feature, end = decode(buffer, at)
        except ValueError:
            if is_all:
                raise
            more = text.read(max(_PIECE, len(buffer) - at))  # as much again: a long feature is tried few times
            is_all = not more
            buffer, at = buffer[at:] + more, 0
            continue
        at = end
        yield feature
