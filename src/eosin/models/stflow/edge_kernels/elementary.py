"""What all kernels are made of: the compiler's options, e^x, dropout by hash, moments, sums over heads.

numba keeps what it compiled for as long as the kernel's own file is unchanged, but these parts go into kernels of
other files. So here it keeps it for as long as all files of the folder are unchanged.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import eosin.compiled

# All that lets sums be split over lanes, but not the assumption that nothing is NaN: a run that diverges must show it.
_FAST = {"reassoc", "contract", "arcp", "nsz", "afn"}
ONE = np.float32(1)
_SOURCE = hashlib.sha256(b"".join(path.read_bytes() for path in sorted(Path(__file__).parent.glob("*.py")))).hexdigest()
"""Hash of all kernels' source."""


def compiled(*, inline: str = "never") -> Callable[[Callable[..., Any]], Any]:
    """numba's compiler, with the freedom to split sums, for functions of this folder."""
    return eosin.compiled.compiled(_FAST, source=_SOURCE, inline=inline)


@compiled(inline="always")
def exp(x: np.float32) -> np.float32:
    """e^x as 2^n 2^f with |f| <= 1/2, clamped to finite numbers, to 2e-7 of itself and 8e-8 more for each 1 of |x|."""
    t = min(max(x * np.float32(1.44269504), np.float32(-126)), np.float32(126))
    n = np.rint(t)
    f = t - n
    p = np.float32(1.535336188319500e-4)
    p = p * f + np.float32(1.339887440266574e-3)
    p = p * f + np.float32(9.618437357674640e-3)
    p = p * f + np.float32(5.550332471162809e-2)
    p = p * f + np.float32(2.402264791363012e-1)
    p = p * f + np.float32(6.931472028550421e-1)
    power = np.int32((np.int32(n) + np.int32(127)) << np.int32(23)).view(np.float32)
    return (p * f + ONE) * power


@compiled()
def exponential(x: np.ndarray, out: np.ndarray) -> None:
    """`exp` of every number of [n]: for checking it."""
    for i in range(x.shape[0]):
        out[i] = exp(x[i])


@compiled(inline="always")
def row_key(seed: np.uint64, row: int) -> np.uint32:
    """A key of its own for every row (splitmix64's finaliser)."""
    x = seed + np.uint64(row) * np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.uint32(x >> np.uint64(32))


@compiled(inline="always")
def kept(key: np.uint32, place: np.uint32, threshold: np.uint32, scale: np.float32) -> np.float32:
    """`scale` where the hash of a place is at least `threshold`, else 0."""
    x = np.uint32(key + np.uint32(place * np.uint32(0x9E3779B9)))
    x = np.uint32(np.uint32(x ^ (x >> np.uint32(16))) * np.uint32(0x21F0AAAD))
    x = np.uint32(np.uint32(x ^ (x >> np.uint32(15))) * np.uint32(0xD35A2D97))
    x = np.uint32(x ^ (x >> np.uint32(15)))
    return scale if x >= threshold else np.float32(0)


@compiled()
def dropout_mask(out: np.ndarray, seed: np.uint64, threshold: np.uint32, scale: np.float32) -> None:
    """The mask [rows, width] that the functions below use: for checking them."""
    for row in range(out.shape[0]):
        key = row_key(seed, row)
        for c in range(out.shape[1]):
            out[row, c] = kept(key, np.uint32(c), threshold, scale)


@compiled(inline="always")
def moments(z, eps) -> tuple[np.float32, np.float32]:
    """Mean and 1 / standard deviation."""
    s1, s2, inverse = np.float32(0), np.float32(0), np.float32(1 / z.shape[0])
    for c in range(z.shape[0]):
        s1 += z[c]
        s2 += z[c] * z[c]
    mean = s1 * inverse
    return mean, ONE / np.sqrt(max(s2 * inverse - mean * mean, np.float32(0)) + eps)


@compiled(inline="always")
def add_shares(share, near, own, has_edges, spread, message, around) -> None:
    """message += share * near and around += share * own, a share per head; whole rows make long, fast loops."""
    n_heads = share.shape[0]
    p, q = near.shape[0] // n_heads, own.shape[0] // n_heads
    for h in range(n_heads):
        spread[h * p : (h + 1) * p] = share[h]
    for c in range(near.shape[0]):
        message[c] += spread[c] * near[c]
    if has_edges:
        if p != q:
            for h in range(n_heads):
                spread[h * q : (h + 1) * q] = share[h]
        for c in range(own.shape[0]):
            around[c] += spread[c] * own[c]


@compiled(inline="always")
def four(width: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Memory for four rows of one width."""
    return (
        np.empty(width, np.float32),
        np.empty(width, np.float32),
        np.empty(width, np.float32),
        np.empty(width, np.float32),
    )


@compiled(inline="always")
def frame(x, y, z, across, bias, u, w, sigmoid, gated) -> None:
    """The edge MLP's first map and gate for one frame; `across` [3 2m] is its weight, turned."""
    half = gated.shape[0]
    for c in range(half):
        u[c] = bias[c] + x * across[0, c] + y * across[1, c] + z * across[2, c]
        w[c] = bias[half + c] + x * across[0, half + c] + y * across[1, half + c] + z * across[2, half + c]
        sigmoid[c] = ONE / (ONE + exp(-u[c]))
        gated[c] = u[c] * w[c] * sigmoid[c]
