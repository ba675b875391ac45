"""Whether two lists of positions are those of the same spots."""

from __future__ import annotations

from enum import Enum

import numpy as np

from eosin.geometry.spacing import nearest_spacing

_NEAR = 0.5  # of the distance between neighbouring spots
_MOST = 0.95  # share of spots
_FEWEST = 8  # with fewer spots a map of the plane fits anything


class Places(Enum):
    """How positions of spots of the same names lie to one another."""

    SAME = "same"
    """In one of the units they are the same places."""
    MOVED = "moved"
    """A map of the plane (scaled, turned, shifted, sheared) carries one onto the other."""
    OTHERS = "others"
    """No such map does: neighbours of one are not neighbours of the other."""


def compare_places(xy: np.ndarray, xy_um: np.ndarray, um_per_unit: tuple[float, ...] = (1.0,)) -> Places:
    """Compare positions row by row.

    Parameters
    ----------
    xy
        [s 2] in a unit that is not known.
    xy_um
        [s 2] the same spots in µm.
    um_per_unit
        Units that `xy` may be in, as µm each.
    """
    spacing = nearest_spacing(xy_um)
    near = _NEAR * (spacing if spacing > 0 else 1.0)
    if any(_distance_of_most(xy * um, xy_um) <= near for um in um_per_unit):
        return Places.SAME
    if len(xy) < _FEWEST:
        return Places.MOVED
    there = np.column_stack([xy - xy.mean(0), np.ones(len(xy))])
    mapped = there @ np.linalg.lstsq(there, xy_um, rcond=None)[0]
    return Places.MOVED if _distance_of_most(mapped, xy_um) <= near else Places.OTHERS


def _distance_of_most(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.quantile(np.linalg.norm(a - b, axis=1), _MOST))
