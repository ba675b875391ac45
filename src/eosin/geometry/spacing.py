"""Distance between neighbouring spots."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from scipy.spatial import cKDTree


def nearest_spacing(xy: np.ndarray) -> float:
    """Median distance to the nearest other spot, in the unit of `xy` [s 2]; NaN for fewer than two spots.

    Spots whose place is not finite do not count.
    """
    xy = xy[np.isfinite(xy).all(1)]
    if len(xy) < 2:
        return float("nan")
    return float(np.median(cKDTree(xy).query(xy, k=2)[0][:, 1]))


def spacings(distance: np.ndarray, valid: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """Typical distance between neighbouring spots in each part of a batch, repeated for its spots.

    Parameters
    ----------
    distance
        Distances to the n nearest neighbours [s n]; with n = 1 only the nearest counts.
    valid
        bool [s n]: which of them exist.
    starts
        [b+1] first row of each part.

    Returns
    -------
    np.ndarray
        [s], unit of `distance`: the median over the part, or 1 where it has no distance above 0.
    """
    typical_of_spot = np.ones(len(distance))
    for a, b in pairwise(starts):
        known = distance[a:b][valid[a:b]]
        typical = float(np.median(known)) if known.size else 0.0
        typical_of_spot[a:b] = typical if typical > 0 else 1.0
    return typical_of_spot
