"""Distributions: do draws, over a section or for one image, spread as measurements do?

`eosin.metrics.calibration` asks spot by spot (CRPS, coverage, energy score); here two samples are compared as wholes.
"""

from __future__ import annotations

import numpy as np

from eosin.row_blocks import row_blocks

_BLOCK = 1024  # points of one sample whose distances to the other are made at once


def energy_distance_per_gene(truth: np.ndarray, draws: np.ndarray) -> np.ndarray:
    """Energy distance of each gene [g] between its values over spots in the truth [s g] and in draws [k s g].

    2 E|X − Y| − E|X − X'| − E|Y − Y'| with X the measured spots and Y all predicted ones; 0 is best, and only equal
    distributions have it. It is the square of `scipy.stats.energy_distance`. Where a spot lies plays no part: a
    shuffled truth scores 0, and a mean, which is too narrow, does not.
    """
    truth, draws = np.asarray(truth, dtype=np.float64), np.asarray(draws)
    draws = draws[None] if draws.ndim == 2 else draws
    if truth.ndim != 2 or draws.ndim != 3 or draws.shape[2] != truth.shape[1]:
        raise ValueError(f"draws {draws.shape} must be [k s g] over the genes of truth {truth.shape}")
    if truth.size == 0 or draws.size == 0:
        return np.full(truth.shape[1], np.nan)
    return np.array([_energy_1d(truth[:, j], draws[:, :, j].astype(np.float64).ravel()) for j in range(truth.shape[1])])


def energy_distance(a: np.ndarray, b: np.ndarray) -> float:
    """Energy distance between two samples of points, [n g] and [m g]: 2 E‖X − Y‖ − E‖X − X'‖ − E‖Y − Y'‖.

    Székely & Rizzo 2013. Of the samples as they are (a point is at distance 0 from itself), so never negative and 0
    for equal samples. For whole conditional distributions: draws at one image against the measurements that share it.
    O(n m).
    """
    a, b = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[1]:
        raise ValueError(f"samples {a.shape} and {b.shape} must be [n g] and [m g]")
    if a.size == 0 or b.size == 0:
        return np.nan
    return max(2 * _mean_distance(a, b) - _mean_distance(a, a) - _mean_distance(b, b), 0.0)


def _mean_distance(a: np.ndarray, b: np.ndarray) -> float:
    from scipy.spatial.distance import cdist

    total = sum(float(cdist(a[rows], b).sum()) for rows in row_blocks(len(a), budget=_BLOCK))
    return total / (len(a) * len(b))


def _energy_1d(a: np.ndarray, b: np.ndarray) -> float:
    """2 ∫ (F − G)² over the line, F and G the two step functions: equal to the form by distances, in O(n log n)."""
    a, b = np.sort(a), np.sort(b)
    both = np.sort(np.concatenate([a, b]))
    gaps = np.diff(both)
    f = np.searchsorted(a, both[:-1], side="right") / len(a)
    g = np.searchsorted(b, both[:-1], side="right") / len(b)
    return float(2 * ((f - g) ** 2 * gaps).sum())
