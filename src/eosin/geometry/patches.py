"""Some spots that stand for very many: connected pieces, evenly over all sections, so that neighbours stay together."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from eosin.geometry.spacing import nearest_spacing

_SMALLEST, _LARGEST = 16, 256
"""Spots of a piece."""


def patches(xy_um: np.ndarray, most: int, *, starts: np.ndarray | None = None) -> np.ndarray:
    """Rows of about `most` spots, growing: square pieces of each section, as many in a hundred spots of each.

    All rows where there are no more than `most`. Nothing is drawn: the same spots give the same pieces.

    Parameters
    ----------
    xy_um
        Positions [s 2], µm.
    most
        Spots that are wanted.
    starts
        [b+1] first row of each section in a concatenation; one section if absent. Each gives a piece at least.
    """
    if len(xy_um) <= most:
        return np.arange(len(xy_um))
    bounds = [0, len(xy_um)] if starts is None else [int(row) for row in starts]
    share = most / len(xy_um)
    rows = [a + _of_section(xy_um[a:b], share) for a, b in pairwise(bounds) if b > a]
    return np.concatenate(rows)


def _of_section(xy_um: np.ndarray, share: float) -> np.ndarray:
    """Rows of some pieces of one section."""
    n_spots = min(max(share * len(xy_um) / 4, _SMALLEST), _LARGEST)
    side_um = nearest_spacing(xy_um) * np.sqrt(n_spots)
    if not (np.isfinite(side_um) and side_um > 0):
        return np.arange(max(1, round(share * len(xy_um))))
    column, row = np.floor((xy_um - xy_um.min(0)) / side_um).astype(np.int64).T
    kinds, piece = np.unique(column * (row.max() + 1) + row, return_inverse=True)
    n_pieces = max(1, round(share * len(kinds)))
    chosen = np.zeros(len(kinds), dtype=bool)
    chosen[((np.arange(n_pieces) + 0.5) * len(kinds) / n_pieces).astype(int)] = True
    return np.flatnonzero(chosen[piece])
