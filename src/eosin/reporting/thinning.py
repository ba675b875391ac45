"""Which spots are drawn where there are more than a picture can show: evenly over the tissue, always the same."""

from __future__ import annotations

import numpy as np


def evenly_thinned(xy_um: np.ndarray, most: int) -> np.ndarray:
    """Rows [n], growing, of at most `most` positions [s 2]: one in each cell of a square lattice, nearest its middle.

    All rows where there are no more than that.
    """
    n = len(xy_um)
    if n <= most:
        return np.arange(n)
    low = xy_um.min(0)
    width, height = np.maximum(xy_um.max(0) - low, 1e-9)
    side = float(np.sqrt(width * height / most)) or 1.0
    side = max(side, max(width, height) / most)  # positions on one line
    rows = np.arange(n)
    for _ in range(60):
        cells = np.floor((xy_um - low) / side).astype(np.int64)
        codes = cells[:, 0] * (cells[:, 1].max() + 1) + cells[:, 1]
        if len(np.unique(codes)) <= most:
            from_middle = np.square((xy_um - low) / side - cells - 0.5).sum(1)
            order = np.lexsort((from_middle, codes))
            first = np.r_[True, codes[order][1:] != codes[order][:-1]]
            return np.sort(order[first])
        side *= 1.1
    return rows[:: -(-n // most)]
