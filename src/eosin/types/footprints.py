"""What each unit of a section covers, where units differ in size and shape: cells."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from eosin.errors import EosinError


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

    def areas_um2(self) -> np.ndarray:
        """Area [s] within each outline, µm²; NaN where there is none."""
        areas, _ = self._moments()
        return areas

    def centres_um(self) -> np.ndarray:
        """Centre of mass [s 2] of each outline, µm; NaN where there is none or it has no area."""
        return self._moments()[1]

    def _moments(self) -> tuple[np.ndarray, np.ndarray]:
        """Areas [s] and centres of mass [s 2], by the shoelace formula about each outline's first corner."""
        sizes, unit = np.diff(self.starts), np.repeat(np.arange(len(self)), np.diff(self.starts))
        first = self.corners_um[np.repeat(self.starts[:-1], sizes)].astype(np.float64)
        xy = self.corners_um - first  # far from the origin the sums would lose digits
        following = np.arange(1, len(xy) + 1)
        following[self.starts[1:][sizes > 0] - 1] = self.starts[:-1][sizes > 0]
        x, y, next_x, next_y = *xy.T, *xy[following].T
        cross = x * next_y - next_x * y
        double = np.bincount(unit, cross, len(self))
        with np.errstate(divide="ignore", invalid="ignore"):
            moments = [
                np.bincount(unit, (a + b) * cross, len(self)) / (3 * double) for a, b in ((x, next_x), (y, next_y))
            ]
        centres = np.full((len(self), 2), np.nan)
        centres[sizes > 0] = self.corners_um[self.starts[:-1][sizes > 0]]
        centres += np.stack(moments, 1)
        centres[~np.isfinite(centres).all(1)] = np.nan
        return np.where(sizes > 0, np.abs(double) / 2, np.nan), centres

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
