"""What each unit of a section covers, where units differ in size and shape: cells."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from eosin.errors import EosinError

_AT_ONCE = 1 << 20
"""Corners whose sums are made together."""


def ring_moments(corners: np.ndarray, starts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Area [r] of closed lines, and their centres of mass [r 2] (NaN where there is no area), by the shoelace formula.

    Parameters
    ----------
    corners
        [c 2]; it does not matter whether the first stands again at the end.
    starts
        [r+1] first corner of each line; each has one or more.
    """
    sizes = np.diff(starts)
    first = np.repeat(starts[:-1], sizes)
    xy = corners - corners[first].astype(np.float64)  # far from the origin the sums would lose digits
    following = np.arange(1, len(xy) + 1)
    following[starts[1:] - 1] = starts[:-1]
    after = xy[following]
    cross = xy[:, 0] * after[:, 1] - after[:, 0] * xy[:, 1]
    line = np.repeat(np.arange(len(sizes)), sizes)
    double = np.bincount(line, cross, len(sizes))
    sums = [np.bincount(line, (xy[:, axis] + after[:, axis]) * cross, len(sizes)) for axis in (0, 1)]
    with np.errstate(divide="ignore", invalid="ignore"):
        centres = corners[starts[:-1]] + np.stack(sums, 1) / (3 * double)[:, None]
    centres[double == 0] = np.nan
    return np.abs(double) / 2, centres


@dataclass(frozen=True)
class Outlines:
    """One closed outline per unit, end to end in one array: half a million cells are no list of objects.

    Attributes
    ----------
    corners_um
        [c 2] float32 corners, µm as positions of spots, without the first one again at the end.
    starts
        [s+1] int64: unit i has the corners `starts[i]` to `starts[i + 1]`; a unit without an outline has none.

    Raises
    ------
    EosinError
        Corners that are not finite, starts that do not cover them, or an outline of one or two corners.
    """

    corners_um: np.ndarray
    starts: np.ndarray

    def __post_init__(self) -> None:
        corners = np.ascontiguousarray(self.corners_um, dtype=np.float32).reshape(-1, 2)
        starts = np.asarray(self.starts, dtype=np.int64)
        object.__setattr__(self, "corners_um", corners)
        object.__setattr__(self, "starts", starts)
        sizes = np.diff(starts)
        if not len(starts) or starts[0] != 0 or starts[-1] != len(corners) or (sizes < 0).any():
            raise EosinError(f"outlines of {len(corners)} corners are not cut into units from first to last")
        if ((sizes > 0) & (sizes < 3)).any():
            raise EosinError("an outline has fewer than three corners")
        if not np.isfinite(corners).all():
            raise EosinError("a corner of an outline is not a finite number")

    def __len__(self) -> int:
        return len(self.starts) - 1

    def of(self, row: int) -> np.ndarray:
        """Corners [c 2] of one unit, µm; none where it has no outline."""
        return self.corners_um[self.starts[row] : self.starts[row + 1]]

    @property
    def drawn(self) -> np.ndarray:
        """Whether each unit has an outline, bool [s]."""
        return np.diff(self.starts) > 0

    def moments(self) -> tuple[np.ndarray, np.ndarray]:
        """Area [s] within each outline, µm², and its centre of mass [s 2], µm; NaN where there is none or no area."""
        areas, centres = np.full(len(self), np.nan), np.full((len(self), 2), np.nan)
        first = 0
        while first < len(self):
            last = int(np.searchsorted(self.starts, self.starts[first] + _AT_ONCE, side="right")) - 1
            units = slice(first, min(max(last, first + 1), len(self)))
            starts = self.starts[units.start : units.stop + 1]
            drawn = np.flatnonzero(np.diff(starts) > 0) + first
            ends = np.append(self.starts[drawn], starts[-1]) - starts[0]
            areas[drawn], centres[drawn] = ring_moments(self.corners_um[starts[0] : starts[-1]], ends)
            first = units.stop
        return areas, centres

    def take(self, rows: np.ndarray | slice) -> Outlines:
        """The outlines of some units, in the order of `rows`."""
        first, last = self.starts[:-1][rows], self.starts[1:][rows]
        sizes = last - first
        starts = np.concatenate([[0], np.cumsum(sizes)])
        return Outlines(self.corners_um[np.arange(starts[-1]) + np.repeat(first - starts[:-1], sizes)], starts)


@dataclass(frozen=True)
class Footprints:
    """The tissue whose molecules each unit counts. It is not the window that an encoder sees of it (`--tile-um`).

    Attributes
    ----------
    area_um2
        [s] float64, µm²; NaN where it is not known.
    outlines
        Of the units, where there are any.

    Raises
    ------
    EosinError
        An area that is 0, negative or infinite; outlines of another number of units.
    """

    area_um2: np.ndarray
    outlines: Outlines | None = None

    def __post_init__(self) -> None:
        area = np.array(self.area_um2, dtype=np.float64).reshape(-1)
        area.setflags(write=False)
        object.__setattr__(self, "area_um2", area)
        if np.any(area <= 0) or np.isinf(area).any():
            raise EosinError("a cell has an area that is not positive", fix="leave unknown areas empty (NaN)")
        if self.outlines is not None and len(self.outlines) != len(area):
            raise EosinError(f"{len(area)} areas, but outlines of {len(self.outlines)} cells")

    def __len__(self) -> int:
        return len(self.area_um2)

    @property
    def width_um(self) -> float | None:
        """Median width of a circle of each unit's area, µm; None where no area is known."""
        known = self.area_um2[np.isfinite(self.area_um2)]
        return float(2 * np.sqrt(np.median(known) / np.pi)) if len(known) else None

    def take(self, rows: np.ndarray | slice) -> Footprints:
        """Those of some units, in the order of `rows`."""
        return Footprints(self.area_um2[rows], None if self.outlines is None else self.outlines.take(rows))

    def scaled(self, factor: float) -> Footprints:
        """Those of the same units where all distances are `factor` times as long."""
        outlines = None
        if self.outlines is not None:
            outlines = Outlines(self.outlines.corners_um * np.float32(factor), self.outlines.starts)
        return Footprints(self.area_um2 * factor**2, outlines)
