"""µm per pixel from the lattice itself, where the platform's pitch is known."""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree


def median_pitch(xy: np.ndarray) -> float:
    """Median distance to the nearest other spot, in the unit of `xy` [s 2]; NaN for fewer than two spots."""
    if len(xy) < 2:
        return float("nan")
    return float(np.median(cKDTree(xy).query(xy, k=2)[0][:, 1]))
