"""Groups of spots that are held out together in inner validation, because they are alike.

Spots of one section are more alike than sections of one patient, and these more than patients of one cohort. A setting
is judged fairly only on spots held out at the widest of these levels that the training data has.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from eosin.errors import EosinError

N_REGIONS = 4
"""Regions of a single section: quarters, as few as allow a train/validation choice and as large as possible."""


def grouped(patients: Sequence[str], names: Sequence[str], xys: Sequence[np.ndarray]) -> tuple[list[np.ndarray], str]:
    """Label every spot with the group in which it is held out.

    Parameters
    ----------
    patients, names
        Patient and name of each section.
    xys
        Positions [s 2] of each section's spots; only their order along the axes matters.

    Returns
    -------
    labels
        Per section, int64 [s], from 0; groups are numbered by first appearance.
    level
        `"patient"` where there are several, else `"section"`, else `"region"`.

    Raises
    ------
    EosinError
        No section is given, or two sections have the same name.
    """
    if not names:
        raise EosinError("no sections to group", fix="give at least one section with counts")
    if not len(patients) == len(names) == len(xys):
        raise ValueError(f"{len(patients)} patients, {len(names)} names, {len(xys)} sets of positions")
    if len(set(names)) != len(names):
        raise EosinError("two sections have the same name", fix="give each its own name")
    for level, owners in (("patient", patients), ("section", names)):
        number = {owner: i for i, owner in enumerate(dict.fromkeys(owners))}
        if len(number) > 1:
            return [np.full(len(xy), number[owner], dtype=np.int64) for owner, xy in zip(owners, xys)], level
    return [regions(xys[0])], "region"


def regions(xy: np.ndarray, n_regions: int = N_REGIONS) -> np.ndarray:
    """Cut spots into compact regions of nearly equal size: halves along the longer side, again and again.

    Deterministic, and independent of the order of the spots.

    Parameters
    ----------
    xy
        Positions [s 2].
    n_regions
        A power of two; fewer result where there are fewer spots.

    Returns
    -------
    np.ndarray
        Region of each spot, int64 [s], 0 to n_regions - 1.
    """
    if n_regions < 1 or n_regions & (n_regions - 1):
        raise ValueError(f"n_regions is {n_regions}, not a power of two")
    labels = np.zeros(len(xy), dtype=np.int64)
    parts = [np.arange(len(xy))]
    while len(parts) < min(n_regions, len(xy)):
        parts = [half for part in parts for half in _halves(xy, part) if len(half)]
    for label, part in enumerate(parts):
        labels[part] = label
    return labels


def _halves(xy: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Split rows at the median along the longer side; ties are broken by the other axis."""
    at = xy[rows]
    along = int(np.argmax(np.ptp(at, axis=0)))
    order = rows[np.lexsort((at[:, 1 - along], at[:, along]))]
    return order[: (len(order) + 1) // 2], order[(len(order) + 1) // 2 :]
