"""How far apart spots lie."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from scipy.spatial import cKDTree


def nearest_spacing(xy: np.ndarray) -> float:
    """Median distance to the nearest other spot, in the unit of `xy` [s 2]; NaN for fewer than two spots."""
    if len(xy) < 2:
        return float("nan")
    return float(np.median(cKDTree(xy).query(xy, k=2)[0][:, 1]))


def spacings(distance: np.ndarray, valid: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """Distance between neighbouring spots, as each part has it: [s], 1 where a part has none.

    The median over a part of the distances [s n] to nearest neighbours; n = 1 takes the nearest only.
    """
    unit = np.ones(len(distance))
    for a, b in pairwise(starts):
        known = distance[a:b][valid[a:b]]
        typical = float(np.median(known)) if known.size else 0.0
        unit[a:b] = typical if typical > 0 else 1.0
    return unit
