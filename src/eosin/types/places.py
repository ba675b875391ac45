"""Positions of spots, and the image of the tissue that they lie on."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeGuard

import numpy as np

from eosin.errors import EosinError
from eosin.types.footprints import Footprints
from eosin.types.identifiers import are_unique, first_repeat


@dataclass(frozen=True)
class Spots:
    """Spots of tissue, or cells, at which expression is measured or predicted.

    Attributes
    ----------
    xy_um
        Centres [s 2] in µm, float64.
    diameter_um
        Width of the tissue that a spot measures, µm; of cells the typical one.
    ids
        One name per spot, unique.
    footprints
        What each one covers, where they differ: areas and outlines of cells. None for spots, which are all alike.

    Raises
    ------
    EosinError
        Positions, names or footprints differ in number, a position is not finite, a name occurs twice, or the diameter
        is not positive.
    """

    xy_um: np.ndarray
    diameter_um: float
    ids: tuple[str, ...]
    footprints: Footprints | None = None

    def __post_init__(self) -> None:
        xy = np.array(self.xy_um, dtype=np.float64).reshape(-1, 2)
        xy.setflags(write=False)
        object.__setattr__(self, "xy_um", xy)
        object.__setattr__(self, "ids", tuple(map(str, self.ids)))
        if len(self.ids) != len(xy):
            raise EosinError(f"{len(xy)} spot positions but {len(self.ids)} spot ids")
        if self.footprints is not None and len(self.footprints) != len(xy):
            raise EosinError(f"{len(xy)} spot positions but footprints of {len(self.footprints)}")
        if not np.isfinite(xy).all():
            bad = self.ids[int(np.flatnonzero(~np.isfinite(xy).all(1))[0])]
            raise EosinError(f"the position of spot '{bad}' is not a finite number")
        if not (is_finite(self.diameter_um) and self.diameter_um > 0):
            raise EosinError(f"the spot diameter is {self.diameter_um} µm", fix="it must be positive")
        if not are_unique(self.ids):
            raise EosinError(f"spot id '{first_repeat(self.ids)}' occurs twice", fix="make the spot ids unique")

    def __repr__(self) -> str:
        return f"Spots({self.summary().replace(' spots', '')})"

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, rows: np.ndarray | slice) -> Spots:
        """Some of the spots, in the order of `rows`."""
        is_slice = isinstance(rows, slice)  # of which a long list of names need not become an array first
        ids = self.ids[rows] if is_slice else tuple(np.asarray(self.ids, dtype=object)[rows])
        footprints = None if self.footprints is None else self.footprints.take(rows)
        return Spots(self.xy_um[rows], self.diameter_um, ids, footprints)

    @property
    def unit(self) -> str:
        """What they are: `spots` or `cells`."""
        return "spots" if self.footprints is None else "cells"

    def widths_um(self) -> np.ndarray:
        """Width [s] of each, µm: that of a circle of the cell's area where it is known, else the one of all."""
        widths = np.full(len(self), float(self.diameter_um))
        if self.footprints is not None:
            area_um2 = self.footprints.area_um2
            known = np.isfinite(area_um2)
            widths[known] = 2 * np.sqrt(area_um2[known] / np.pi)
        return widths

    def summary(self) -> str:
        """How many of which width, as `1,024 spots of 55 µm` or `81,000 cells of about 9.1 µm`."""
        if self.footprints is None:
            return f"{len(self):,} spots of {self.diameter_um:.4g} µm"
        return f"{len(self):,} cells of about {self.diameter_um:.3g} µm"

    def rows_of(self, ids: Sequence[str]) -> np.ndarray:
        """Row [n] of each named spot, -1 for a name that is not there."""
        place = {id_: row for row, id_ in enumerate(self.ids)}
        return np.array([place.get(id_, -1) for id_ in ids], dtype=np.int64)


@dataclass(frozen=True)
class Image:
    """A slide's image on disk and its scale. Pixels are read by `eosin.slide`.

    Attributes
    ----------
    path
        The file.
    mpp
        µm per pixel at full resolution, as the reader found it or the user gave it.
    reduced
        A reduced copy of the picture that positions were measured on, to compare it with; None where there is none.

    Raises
    ------
    EosinError
        An implausible scale (see `check_mpp`).
    """

    path: Path
    mpp: float
    reduced: Path | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "path", Path(self.path))
        check_mpp(self.mpp, self.path)


FINEST_MPP, COARSEST_MPP = 0.05, 10.0
"""µm per pixel of images of slides, of full resolution or reduced."""


def is_plausible(mpp: object) -> bool:
    """Whether µm per pixel are those of an image of a slide, of full resolution or reduced."""
    return is_finite(mpp) and FINEST_MPP <= mpp <= COARSEST_MPP


def check_mpp(mpp: float, path: str | Path) -> float:
    """The scale of an image, if plausible.

    Parameters
    ----------
    mpp
        µm per pixel.
    path
        The image, named in the error.

    Raises
    ------
    EosinError
        It is outside 0.05 to 10 µm per pixel, which no slide scanner produces.
    """
    if not is_plausible(mpp):
        raise EosinError(f"{mpp} µm per pixel is not plausible", file=path, fix="give the true value by --mpp")
    return float(mpp)


def is_finite(value: object) -> TypeGuard[float]:
    """Whether a value is one finite number; a file may hold text or a list in its place."""
    try:
        return isinstance(value, int | float | np.number) and math.isfinite(value)
    except (OverflowError, TypeError):  # a whole number beyond all floats, or a complex one
        return False
