"""Compiled filters over one map: openings and blobs, for the features of `stain`; see `window_kernels.py`.

The plain versions are `granules` and `blobs` of `map_statistics.py`. Maxima round nothing, and blurs multiply and add
in the same order, so that the same pixels are peaks.
"""

from __future__ import annotations

import numpy as np

from eosin.compiled import compiled

_NIL = np.float32(0)


@compiled({"reassoc"})
def _mean(x) -> np.float64:
    total = 0.0
    for y in range(x.shape[0]):
        row, part = x[y], _NIL
        for k in range(row.shape[0]):
            part += row[k]
        total += part
    return total / (x.shape[0] * x.shape[1])


@compiled()
def _larger(x, step, n, out) -> None:
    other = x[step:]  # a slice: an index that could be negative would keep the loop from being split over lanes
    for k in range(n):
        out[k] = x[k] if x[k] > other[k] else other[k]


@compiled()
def _smaller(x, step, n, out) -> None:
    other = x[step:]  # a slice: an index that could be negative would keep the loop from being split over lanes
    for k in range(n):
        out[k] = x[k] if x[k] < other[k] else other[k]


@compiled()
def _extreme(x, size, largest, here, there, out) -> None:
    """Maximum or minimum over a square of `size` pixels; what is beyond the border does not count.

    An extreme over 2, 4, ... pixels is made of two over half as many. `here` and `there` [m] hold the map with a frame,
    as one long row: what a step takes from the next row is never used.
    """
    height, width = x.shape
    wide, before = width + size - 1, size // 2
    n = (height + size - 1) * wide
    here[:n] = -np.float32(np.inf) if largest else np.float32(np.inf)
    for y in range(height):
        row, start = x[y], (before + y) * wide + before
        into = here[start:]
        for k in range(width):
            into[k] = row[k]
    for stride in (1, wide):
        reach = 1
        while reach < size:
            step = min(reach, size - reach)
            n -= step * stride
            if largest:
                _larger(here, step * stride, n, there)
            else:
                _smaller(here, step * stride, n, there)
            here, there = there, here
            reach += step
    for y in range(height):
        row, start = out[y], here[y * wide :]
        for k in range(width):
            row[k] = start[k]


@compiled()
def granules(x, sizes, out) -> None:
    """Pattern spectrum [2 n] of a map by squares of growing odd `sizes` [n]: what openings remove, then closings fill.

    Each erosion by a square, or dilation for the closings, goes on from the one before.
    """
    height, width = x.shape
    m = (height + sizes[-1]) * (width + sizes[-1])
    here, there = np.empty(m, np.float32), np.empty(m, np.float32)
    first, both = np.empty_like(x), np.empty_like(x)
    for closing in range(2):
        first[:] = x
        size, remaining = 1, _mean(x)
        for k in range(sizes.shape[0]):
            _extreme(first, sizes[k] - size + 1, closing == 1, here, there, first)
            _extreme(first, sizes[k], closing == 0, here, there, both)
            size, now = sizes[k], _mean(both)
            out[closing, k] = now - remaining if closing else remaining - now
            remaining = now


@compiled({"contract"})
def _blurred(x, weights, across, out) -> None:
    """Blur by half a symmetric filter, `weights` [reach + 1], mirrored at the border; `across` is of the shape of x."""
    height, width = x.shape
    reach = weights.shape[0] - 1
    wide = np.empty(width + 2 * reach, np.float32)
    for y in range(height):
        row, into = x[y], across[y]
        for k in range(width):
            wide[reach + k] = row[k]
        for k in range(reach):
            wide[k], wide[reach + width + k] = row[reach - k], row[width - 2 - k]
        for k in range(width):
            into[k] = row[k] * weights[0]
        for j in range(1, reach + 1):
            left, right, weight = wide[reach - j :], wide[reach + j :], weights[j]
            for k in range(width):
                into[k] = (into[k] + left[k] * weight) + right[k] * weight
    for y in range(height):
        row, into = across[y], out[y]
        for k in range(width):
            into[k] = row[k] * weights[0]
        for j in range(1, reach + 1):
            up, down = abs(y - j), y + j
            if down > height - 1:
                down = 2 * (height - 1) - down
            above, below, weight = across[up], across[down], weights[j]
            for k in range(width):
                into[k] = (into[k] + above[k] * weight) + below[k] * weight


@compiled()
def _less(x, other) -> None:
    for y in range(x.shape[0]):
        row, minus = x[y], other[y]
        for k in range(row.shape[0]):
            row[k] = row[k] - minus[k]


@compiled()
def blobs(x, narrow, broad, thresholds, out) -> None:
    """Sums over the peaks of a difference of two blurs, into `out`: numbers above each of `thresholds`, strength, all.

    The last two are the sum of the peaks above the first threshold, and that of all pixels' squares.
    """
    height, width = x.shape
    response, other, across = np.empty_like(x), np.empty_like(x), np.empty_like(x)
    _blurred(x, narrow, across, response)
    _blurred(x, broad, across, other)
    _less(response, other)
    here, there = np.empty((height + 4) * (width + 4), np.float32), np.empty((height + 4) * (width + 4), np.float32)
    _extreme(response, 5, True, here, there, other)
    out[:] = 0
    n = thresholds.shape[0]
    for y in range(height):
        row, top, square = response[y], other[y], _NIL
        for k in range(width):
            if row[k] == top[k] and row[k] > thresholds[0]:
                out[n] += row[k]
                for j in range(n):
                    out[j] += row[k] > thresholds[j]
        for k in range(width):
            square += row[k] * row[k]
        out[n + 1] += square
