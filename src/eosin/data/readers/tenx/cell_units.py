"""Cells as units of a section: which have a place, what they cover, and whether what is told twice agrees."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from eosin.data.section_parts import left_out
from eosin.errors import EosinError
from eosin.types import Footprints, Outlines

UNKNOWN_UM = 10.0
"""Width of a cell where neither area nor outline is told."""
_FEW, _AT_LEAST = 0.05, 3
"""Share of cells that may have no place, or that of another; and how many may whatever the share."""
_FAR_WIDTHS, _OTHER_AREA = 1.0, 0.25
_SAME_UM = 1e-3


@dataclass(frozen=True)
class CellUnits:
    """Cells that have a place.

    Attributes
    ----------
    rows
        [s] rows of the matrix, ascending.
    xy_um
        Centres [s 2].
    width_um
        Typical width.
    footprints
        Their areas and outlines.
    notes
        What was left out or assumed.
    """

    rows: np.ndarray
    xy_um: np.ndarray
    width_um: float
    footprints: Footprints
    notes: tuple[str, ...]


def cell_units(xy_um: np.ndarray, area_um2: np.ndarray | None, outlines: Outlines | None, file: Path) -> CellUnits:
    """The cells that have a place, with their areas.

    Parameters
    ----------
    xy_um
        Centres [b 2]; not finite where a cell has none.
    area_um2
        [b] as the table of cells tells them; None where it does not.
    outlines
        Of the same cells.
    file
        Tells the places; named in errors.

    Raises
    ------
    EosinError
        Many cells have no place, or that of another; outlines lie elsewhere than their cells.
    """
    has_place = np.isfinite(xy_um).all(1)
    n_without = int((~has_place).sum())
    if n_without > _most(len(xy_um)):
        problem = f"{n_without} of {len(xy_um)} cells have no place"
        raise EosinError(problem, file=file, fix="copy the table of cells again, or leave out --unit cells")
    rows = np.flatnonzero(has_place)
    notes = left_out(n_without, len(xy_um), "cells have no place")
    xy_um = xy_um[rows]
    notes += _same_place(xy_um, file)
    outlines = outlines if outlines is None or not n_without else outlines.take(rows)
    drawn, centres = (None, None) if outlines is None else outlines.moments()
    area, area_notes = _areas(None if area_um2 is None else area_um2[rows], drawn, len(rows))
    footprints = Footprints(area, outlines)
    width_um = footprints.width_um
    if centres is not None:
        _check_outlines(xy_um, centres, width_um or UNKNOWN_UM, file)
    if width_um is None:
        notes.append(f"cells have neither areas nor outlines: taken to be {UNKNOWN_UM:g} µm wide")
    return CellUnits(rows, xy_um, width_um or UNKNOWN_UM, footprints, (*notes, *area_notes))


def _most(n_cells: int) -> float:
    return max(_FEW * n_cells, _AT_LEAST)


def _same_place(xy_um: np.ndarray, file: Path) -> list[str]:
    """A note on cells at the place of another; many of them are refused, since two regions were joined."""
    n_places = len(np.unique(np.round(xy_um / _SAME_UM).astype(np.int64), axis=0))
    n_again = len(xy_um) - n_places
    if n_again > _most(len(xy_um)):
        problem = f"{len(xy_um)} cells lie at {n_places} places"
        raise EosinError(problem, file=file, fix="give the cells of one region, with their places to 0.1 µm")
    return [f"{n_again} of {len(xy_um)} cells lie at the place of another"] if n_again else []


def _areas(given: np.ndarray | None, drawn: np.ndarray | None, n_cells: int) -> tuple[np.ndarray, list[str]]:
    """[s] areas as told, else those within the outlines; NaN where neither is there; and notes."""
    area, notes = np.full(n_cells, np.nan), []
    if given is not None:
        usable = np.isfinite(given) & (given > 0)
        area[usable] = given[usable]
        if n_odd := int((~usable).sum()):
            notes.append(f"{n_odd} of {n_cells} cells have no area above 0 in the table of cells")
    if drawn is not None:
        both = np.isfinite(area) & (drawn > 0)
        ratio = float(np.median(drawn[both] / area[both])) if both.any() else 1.0
        if abs(ratio - 1) > _OTHER_AREA:
            notes.append(f"outlines enclose {ratio:.2g} times the area that the table of cells tells, by the median")
        lacking = ~np.isfinite(area) & (drawn > 0)
        area[lacking] = drawn[lacking]
    return area, notes


def _check_outlines(xy_um: np.ndarray, drawn_um: np.ndarray, width_um: float, file: Path) -> None:
    """Refuse outlines with centres `drawn_um` [s 2] of which half lie more than a cell's width from their cells."""
    away = np.hypot(*(drawn_um - xy_um).T)
    away = away[np.isfinite(away)]
    if len(away) and np.median(away) > _FAR_WIDTHS * width_um:
        problem = f"outlines lie {np.median(away):.3g} µm from the centres of their cells, by the median"
        raise EosinError(problem, file=file, fix="pair cells and outlines of one region and one segmentation")


def without_outlines(outlines: Outlines, rows: Sequence[int] | np.ndarray) -> list[str]:
    """A note on how many of some cells have no outline."""
    n_without = int((~outlines.drawn[rows]).sum())
    return [f"{n_without} of {len(rows)} cells have no outline"] if n_without else []
