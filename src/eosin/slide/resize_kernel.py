"""Compiled bicubic resize with the arithmetic of Pillow: weights in double precision, then whole numbers of 22 bits."""

from __future__ import annotations

import numpy as np

from eosin.compiled import compiled

_ROWS = 16
_BITS = 22
_REACH = 2.0
"""Radius of the bicubic filter, output pixels."""


@compiled()
def _bicubic(x) -> float:
    x = abs(x)
    if x < 1.0:
        return (1.5 * x - 2.5) * x * x + 1.0
    if x < _REACH:
        return (((x - 5.0) * x + 8.0) * x - 4.0) * -0.5
    return 0.0


@compiled()
def _n_weights(low, high, n_out) -> int:
    return int(np.ceil(_REACH * max(np.float64(high - low) / n_out, 1.0))) * 2 + 1


@compiled()
def _weigh(n_in, low, high, first, count, weights) -> None:
    """For each output pixel the `first` input pixel, their `count`, and their `weights` as whole numbers."""
    n_out, known = weights.shape
    scale = np.float64(high - low) / n_out
    wide, exact = max(scale, 1.0), np.empty(known, np.float64)
    for o in range(n_out):
        centre = low + (o + 0.5) * scale
        start = max(int(centre - _REACH * wide + 0.5), 0)
        n, total = min(int(centre + _REACH * wide + 0.5), n_in) - start, 0.0
        for i in range(n):
            exact[i] = _bicubic((i + start - centre + 0.5) * (1.0 / wide))
            total += exact[i]
        for i in range(n):
            weight = (exact[i] / total if total != 0.0 else exact[i]) * (1 << _BITS)
            weights[o, i] = np.int32(weight - 0.5) if weight < 0 else np.int32(weight + 0.5)
        first[o], count[o] = start, n


@compiled()
def _turn(strip, turned) -> None:
    """Rows of a strip, uint8 [r w 3], side by side: [w 3 16] in one long row."""
    n_rows, step = strip.shape[0], 3 * strip.shape[1]
    flat = strip.reshape(-1)
    for i in range(step):
        into, column = turned[i * _ROWS : (i + 1) * _ROWS], flat[i:]
        if n_rows == _ROWS:
            for r in range(_ROWS):
                into[r] = column[r * step]
        else:
            for r in range(n_rows):
                into[r] = column[r * step]


@compiled()
def resize(pixels, box, out) -> None:
    """Resize a box (left, top, right, bottom; float32) of pixels uint8 [h w 3] into `out` uint8 [h w 3]."""
    height, width = pixels.shape[:2]
    n_down, n_across = out.shape[:2]
    first_x, count_x = np.empty(n_across, np.int64), np.empty(n_across, np.int64)
    first_y, count_y = np.empty(n_down, np.int64), np.empty(n_down, np.int64)
    weights_x = np.zeros((n_across, _n_weights(box[0], box[2], n_across)), np.int32)
    weights_y = np.zeros((n_down, _n_weights(box[1], box[3], n_down)), np.int32)
    _weigh(width, box[0], box[2], first_x, count_x, weights_x)
    _weigh(height, box[1], box[3], first_y, count_y, weights_y)
    top, bottom = first_y[0], first_y[-1] + count_y[-1]
    half, lanes = np.int32(1 << (_BITS - 1)), 3 * _ROWS
    turned, sums = np.zeros(width * lanes, np.uint8), np.empty(lanes, np.int32)
    narrow = np.empty((bottom - top, 3 * n_across), np.uint8)
    for start in range(top, bottom, _ROWS):
        n_rows = min(_ROWS, bottom - start)
        _turn(pixels[start : start + n_rows], turned)
        for o in range(n_across):
            sums[:] = half
            for i in range(count_x[o]):
                weight, place = weights_x[o, i], (first_x[o] + i) * lanes
                part = turned[place : place + lanes]
                for j in range(lanes):
                    sums[j] += np.int32(part[j]) * weight
            for c in range(3):
                for r in range(n_rows):
                    value = min(max(sums[c * _ROWS + r] >> _BITS, 0), 255)
                    narrow[start - top + r, 3 * o + c] = np.uint8(value)
    line = np.empty(3 * n_across, np.int32)
    for o in range(n_down):
        line[:] = half
        for i in range(count_y[o]):
            weight, row = weights_y[o, i], narrow[first_y[o] - top + i]
            for j in range(3 * n_across):
                line[j] += np.int32(row[j]) * weight
        into = out[o].reshape(-1)
        for j in range(3 * n_across):
            into[j] = np.uint8(min(max(line[j] >> _BITS, 0), 255))
