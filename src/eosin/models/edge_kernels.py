"""What STFlow does at every edge, compiled: one pass over memory instead of a dozen (CPU, float32).

An edge of the published network holds four heads of 128 numbers before and 64 after a gate; done by whole tensor
operations, reading and writing them costs more than the matrix products around them. Here a row stays in registers from
gather to result, and what the way back needs is computed again rather than kept.

Nothing of torch is used here: `edge_ops` and `stflow_compiled` call these on NumPy views of tensors, and `edge_ops` has
the same formulas in torch, which serve other devices. Functions release the interpreter lock and write to arrays that
the caller owns, rows [a, b) of them, so that threads can share the work without sharing a result.

Dropout masks are functions of a seed and of a number's place (a hash), hence the way back needs no stored mask.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
import numpy as np

# All that lets sums be split over lanes, but not the assumption that nothing is NaN: a run that diverges must show it.
_FAST = {"reassoc", "contract", "arcp", "nsz", "afn"}
_ONE = np.float32(1)


def _compiled(**options: Any) -> Callable[[Callable[..., Any]], Any]:
    """numba's compiler; what it makes is kept on disk where there is a place for it."""

    def wrap(function: Callable[..., Any]) -> Any:
        known = {"fastmath": _FAST, "error_model": "numpy", "nogil": True, **options}
        try:
            return numba.njit(cache=True, **known)(function)
        except RuntimeError:  # installed read-only, and no home to write to
            return numba.njit(**known)(function)

    return wrap


@_compiled(inline="always")
def _exp(x: np.float32) -> np.float32:
    """e^x to 2e-7 of itself, clamped to finite numbers (Cody and Waite's reduction, a polynomial of degree six)."""
    x = min(max(x, np.float32(-87)), np.float32(87))
    n = np.floor(x * np.float32(1.44269504) + np.float32(0.5))
    f = x - n * np.float32(0.693359375)
    f = f + n * np.float32(2.12194440e-4)
    p = np.float32(1.9875691500e-4)
    p = p * f + np.float32(1.3981999507e-3)
    p = p * f + np.float32(8.3334519073e-3)
    p = p * f + np.float32(4.1665795894e-2)
    p = p * f + np.float32(1.6666665459e-1)
    p = p * f + np.float32(5.0000001201e-1)
    power = np.int32((np.int32(n) + np.int32(127)) << np.int32(23)).view(np.float32)
    return (p * f * f + f + _ONE) * power


@_compiled(inline="always")
def _row_key(seed: np.uint64, row: int) -> np.uint32:
    """A key of its own for every row (splitmix64's finaliser)."""
    x = seed + np.uint64(row) * np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.uint32(x >> np.uint64(32))


@_compiled(inline="always")
def _kept(key: np.uint32, place: np.uint32, threshold: np.uint32, scale: np.float32) -> np.float32:
    """`scale` where the hash of a place is at least `threshold`, else 0."""
    x = np.uint32(key + np.uint32(place * np.uint32(0x9E3779B9)))
    x = np.uint32(np.uint32(x ^ (x >> np.uint32(16))) * np.uint32(0x21F0AAAD))
    x = np.uint32(np.uint32(x ^ (x >> np.uint32(15))) * np.uint32(0xD35A2D97))
    x = np.uint32(x ^ (x >> np.uint32(15)))
    return scale if x >= threshold else np.float32(0)


@_compiled()
def dropout_mask(out: np.ndarray, seed: np.uint64, threshold: np.uint32, scale: np.float32) -> None:
    """The mask [rows, width] that the functions below use: for checking them."""
    for row in range(out.shape[0]):
        key = _row_key(seed, row)
        for c in range(out.shape[1]):
            out[row, c] = _kept(key, np.uint32(c), threshold, scale)


@_compiled(inline="always")
def _moments(z, eps) -> tuple[np.float32, np.float32]:
    """Mean and 1 / standard deviation."""
    s1, s2, inverse = np.float32(0), np.float32(0), np.float32(1 / z.shape[0])
    for c in range(z.shape[0]):
        s1 += z[c]
        s2 += z[c] * z[c]
    mean = s1 * inverse
    return mean, _ONE / np.sqrt(max(s2 * inverse - mean * mean, np.float32(0)) + eps)


@_compiled(inline="always")
def _logit(edge, near, own, weight, total, eps) -> np.float32:
    """One head of one edge: the gate, the norm and the last linear map, without dropout."""
    half = weight.shape[0]
    inverse = np.float32(1 / half)
    s1, s2, s3 = np.float32(0), np.float32(0), np.float32(0)
    for c in range(half):
        u = edge[c] + near[c] + own[c]
        w = edge[half + c] + near[half + c] + own[half + c]
        x = u * w / (_ONE + _exp(-u))
        s1 += x
        s2 += x * x
        s3 += x * weight[c]
    mean = s1 * inverse
    variance = max(s2 * inverse - mean * mean, np.float32(0))
    return (s3 - mean * total) / np.sqrt(variance + eps)


@_compiled(inline="always")
def _add_shares(share, near, own, has_edges, spread, message, around) -> None:
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


@_compiled(inline="always")
def _softmax(logits, valid) -> None:
    """In place, over the valid neighbours of each head: [n H]; all zeros where there are none."""
    n, n_heads = logits.shape
    for h in range(n_heads):
        top, total = np.float32(-np.inf), np.float32(0)
        for m in range(n):
            if valid[m] and logits[m, h] > top:
                top = logits[m, h]
        for m in range(n):
            logits[m, h] = _exp(logits[m, h] - top) if valid[m] else np.float32(0)
            total += logits[m, h]
        if total > 0:
            for m in range(n):
                logits[m, h] /= total


@_compiled(inline="always")
def _first_map(h, y, norm, eps, linear, shift, part, to_y, sign, constant, normal, inner, towards, out) -> None:
    """What rows add to the attention's first map: out [r H 2m] = linear(norm(h)) @ part + sign * y @ to_y + constant.

    h [r d], y [r g], norm (gain, shift), linear [d d] with its shift, part [2m d/H], to_y [2m g]; normal, inner [r d]
    and towards [r 2m] are room to work in.
    """
    r, n_heads, wide = out.shape
    for i in range(r):
        mean, s = _moments(h[i], eps)
        for c in range(h.shape[1]):
            normal[i, c] = (h[i, c] - mean) * s * norm[0][c] + norm[1][c]
    np.dot(normal, linear.T, inner)
    for i in range(r):
        for c in range(h.shape[1]):
            inner[i, c] += shift[c]
    np.dot(inner.reshape(r * n_heads, part.shape[1]), part.T, out.reshape(r * n_heads, wide))
    np.dot(y, to_y.T, towards)
    for i in range(r):
        for c in range(wide):
            towards[i, c] = sign * towards[i, c] + constant[c]
        for x in range(n_heads):
            row = out[i, x]
            for c in range(wide):
                row[c] += towards[i, c]


_BLOCK = 64
"""Rows of spots that go through a kernel at once."""


@_compiled()
def lay(h, y, norm, eps, linear, shift, part, to_y, value, value_shift, beside, v) -> None:
    """For inference, spots as neighbours: beside [r H 2m] (of k_j and y_j) and v [r d], from h [r d], y [r g]."""
    d, wide = h.shape[1], to_y.shape[0]
    normal, inner = np.empty((_BLOCK, d), np.float32), np.empty((_BLOCK, d), np.float32)
    towards, constant, plus = np.empty((_BLOCK, wide), np.float32), np.zeros(wide, np.float32), np.float32(1)
    for a in range(0, h.shape[0], _BLOCK):
        r = min(_BLOCK, h.shape[0] - a)
        room = (normal[:r], inner[:r], towards[:r])
        rows, guess, into = h[a : a + r], y[a : a + r], beside[a : a + r]
        _first_map(rows, guess, norm, eps, linear, shift, part, to_y, plus, constant, room[0], room[1], room[2], into)
        values = v[a : a + r]
        np.dot(room[0], value.T, values)
        for i in range(r):
            for c in range(d):
                values[i, c] += value_shift[c]


@_compiled()
def attend(
    state, to_e, e_shift, to_hidden, h, y, norm, eps, linear, shift, part, to_y, constant,
    beside, index, valid, weight, last_eps, v, out,
) -> None:  # fmt: skip
    """For inference, all of the attention of some spots, one spot at a time.

    state [c n m'] or [c n 0] for no edges, to_e [H*q m'] and e_shift [H*q] (the edge MLP's second map), to_hidden
    [2m q] (the edges' columns of the attention's first map), h [k or 1, c d] and y [k c g] with their maps as in
    `_first_map`, beside [k s H 2m], index, valid [c n], weight [m], v [k or 1, s H*p], out [k c H*p + H*q].

    The products are so small that all their numbers stay in a core's cache.
    """
    n_draws, n, n_heads, p, d = y.shape[0], index.shape[1], beside.shape[2], v.shape[2], h.shape[2]
    wide = beside.shape[3]
    has_edges = state.shape[2] > 0
    e, along = np.zeros((n, e_shift.shape[0]), np.float32), np.zeros((n * n_heads, wide), np.float32)
    share, spread = np.empty((n, n_heads), np.float32), np.empty(max(p, e.shape[1]), np.float32)
    normal, inner = np.empty((_BLOCK, d), np.float32), np.empty((_BLOCK, d), np.float32)
    towards, centre = np.empty((_BLOCK, wide), np.float32), np.empty((n_draws, _BLOCK, n_heads, wide), np.float32)
    total, minus = np.float32(weight.sum()), np.float32(-1)
    for first in range(0, index.shape[0], _BLOCK):
        r = min(_BLOCK, index.shape[0] - first)
        for k in range(n_draws):
            rows, guess, into = h[k % h.shape[0], first : first + r], y[k, first : first + r], centre[k, :r]
            room = (normal[:r], inner[:r], towards[:r])
            _first_map(
                rows, guess, norm, eps, linear, shift, part, to_y, minus, constant, room[0], room[1], room[2], into
            )
        for i in range(first, first + r):
            if has_edges:
                np.dot(state[i], to_e.T, e)
                for m in range(n):
                    for c in range(e.shape[1]):
                        e[m, c] += e_shift[c]
                np.dot(e.reshape(n * n_heads, to_hidden.shape[1]), to_hidden.T, along)
            for k in range(n_draws):
                for m in range(n):
                    for x in range(n_heads):
                        near, own = beside[k, index[i, m], x], centre[k, i - first, x]
                        share[m, x] = _logit(along[m * n_heads + x], near, own, weight, total, last_eps)
                _softmax(share, valid[i])
                row, values = out[k, i], v[k % v.shape[0]]
                row[:] = 0
                for m in range(n):
                    _add_shares(share[m], values[index[i, m]], e[m], has_edges, spread, row[:p], row[p:])


@_compiled(inline="always")
def _gated_mlp(x, first, bias, gain, shift, eps, then, hidden, z, out) -> None:
    """Linear, gate, norm, linear (without its bias) for some rows: x [r i] -> out [r o]; weights [o i], as torch's."""
    half = gain.shape[0]
    np.dot(x, first.T, hidden)
    for i in range(x.shape[0]):
        row, into = hidden[i], z[i]
        for c in range(half):
            u = row[c] + bias[c]
            into[c] = u * (row[half + c] + bias[half + c]) / (_ONE + _exp(-u))
        mean, r = _moments(into, eps)
        for c in range(half):
            into[c] = (into[c] - mean) * r * gain[c] + shift[c]
    np.dot(z, then.T, out)


@_compiled(inline="always")
def _gelu(x: np.float32) -> np.float32:
    """x times the normal distribution function, to 2e-7 (Abramowitz and Stegun 7.1.26)."""
    a = abs(x) * np.float32(0.70710678)
    t = _ONE / (_ONE + np.float32(0.3275911) * a)
    p = np.float32(1.061405429) * t - np.float32(1.453152027)
    p = p * t + np.float32(1.421413741)
    p = p * t - np.float32(0.284496736)
    p = p * t + np.float32(0.254829592)
    half = np.float32(0.5) * p * t * _exp(-a * a)
    return x * (_ONE - half) if x > 0 else x * half


@_compiled()
def update(message, h, y, out, feed_forward, head, eps) -> None:
    """For inference, what follows the attention: message [r w], h [r d] in place, y [r g] (equation 9 and the head).

    out and feed_forward hold (first weight, bias, gain, shift, second weight, bias), head the same around its GELU. A
    few rows at a time, so that hidden values stay in a core's cache.
    """
    step, width = 256, h.shape[1]
    hidden = np.empty((step, max(out[0].shape[0], feed_forward[0].shape[0])), np.float32)
    z = np.empty((step, max(out[2].shape[0], feed_forward[2].shape[0], width)), np.float32)
    change = np.empty((step, width), np.float32)
    for a in range(0, message.shape[0], step):
        r = min(step, message.shape[0] - a)
        rows, guess = h[a : a + r], y[a : a + r]
        space, gated = hidden.ravel(), z.ravel()
        for pick in range(2):
            m = out if pick == 0 else feed_forward
            x = message[a : a + r] if pick == 0 else rows
            wide = space[: r * m[0].shape[0]].reshape(r, m[0].shape[0])
            _gated_mlp(
                x,
                m[0],
                m[1],
                m[2],
                m[3],
                eps,
                m[4],
                wide,
                gated[: r * m[2].shape[0]].reshape(r, m[2].shape[0]),
                change[:r],
            )
            for i in range(r):
                for c in range(width):
                    rows[i, c] += change[i, c] + m[5][c]
        np.dot(rows, head[0].T, change[:r])
        for i in range(r):
            row = change[i]
            for c in range(width):
                row[c] = _gelu(row[c] + head[1][c])
            mean, s = _moments(row, eps)
            for c in range(width):
                row[c] = (row[c] - mean) * s * head[2][c] + head[3][c]
        np.dot(change[:r], head[4].T, guess)
        for i in range(r):
            for c in range(guess.shape[1]):
                guess[i, c] += head[5][c]


@_compiled()
def logits(
    a: int, b: int, along, beside, centre, index, weight, eps, seed, threshold, scale, out
) -> None:  # fmt: skip
    """Attention logits of rows [a, b): the gate, its dropout, the norm, and the last linear map.

    along [c n H 2m] or [0 0 H 2m] for none, beside [s H 2m], centre [c H 2m], index [c n], weight [m], out [c n H];
    the gate's two halves lie side by side.
    """
    n, n_heads, half = index.shape[1], centre.shape[1], weight.shape[0]
    has_edges, drops = along.shape[0] > 0, threshold > 0
    nothing, z = np.zeros(2 * half, np.float32), np.empty(half, np.float32)
    inverse, total = np.float32(1 / half), np.float32(weight.sum())
    for i in range(a, b):
        for m in range(n):
            j = index[i, m]
            for h in range(n_heads):
                edge = along[i, m, h] if has_edges else nothing
                near, own = beside[j, h], centre[i, h]
                for c in range(half):
                    u = edge[c] + near[c] + own[c]
                    w = edge[half + c] + near[half + c] + own[half + c]
                    z[c] = u * w / (_ONE + _exp(-u))
                if drops:
                    key = _row_key(seed, (i * n + m) * n_heads + h)
                    for c in range(half):
                        z[c] *= _kept(key, np.uint32(c), threshold, scale)
                s1, s2, s3 = np.float32(0), np.float32(0), np.float32(0)
                for c in range(half):
                    s1 += z[c]
                    s2 += z[c] * z[c]
                    s3 += z[c] * weight[c]
                mean = s1 * inverse
                variance = max(s2 * inverse - mean * mean, np.float32(0))
                out[i, m, h] = (s3 - mean * total) / np.sqrt(variance + eps)


@_compiled()
def logits_back(
    a: int, b: int, along, beside, centre, index, weight, eps, seed, threshold, scale,
    given, d_along, d_centre, d_weight,
) -> None:  # fmt: skip
    """The way back of `logits` from given [c n H]: d_along [c n H 2m], d_centre [c H 2m]; d_weight [m] is added to."""
    n, n_heads, half = index.shape[1], centre.shape[1], weight.shape[0]
    has_edges, drops = along.shape[0] > 0, threshold > 0
    nothing = np.zeros(2 * half, np.float32)
    us, ws, sigmoid, z = _four(half)
    mask = np.ones(half, np.float32)
    inverse, total = np.float32(1 / half), np.float32(weight.sum())
    d_centre[a:b] = 0
    for i in range(a, b):
        for m in range(n):
            j = index[i, m]
            for h in range(n_heads):
                edge = along[i, m, h] if has_edges else nothing
                near, own = beside[j, h], centre[i, h]
                for c in range(half):
                    u = edge[c] + near[c] + own[c]
                    us[c] = u
                    ws[c] = edge[half + c] + near[half + c] + own[half + c]
                    sigmoid[c] = _ONE / (_ONE + _exp(-u))
                    z[c] = us[c] * ws[c] * sigmoid[c]
                if drops:
                    key = _row_key(seed, (i * n + m) * n_heads + h)
                    for c in range(half):
                        mask[c] = _kept(key, np.uint32(c), threshold, scale)
                        z[c] *= mask[c]
                s1, s2, s3 = np.float32(0), np.float32(0), np.float32(0)
                for c in range(half):
                    s1 += z[c]
                    s2 += z[c] * z[c]
                    s3 += z[c] * weight[c]
                mean = s1 * inverse
                r = _ONE / np.sqrt(max(s2 * inverse - mean * mean, np.float32(0)) + eps)
                g = given[i, m, h]
                back, level, pull = g * r, total * inverse, (s3 - mean * total) * r * inverse
                d_edge, d_own = d_along[i, m, h], d_centre[i, h]
                for c in range(half):
                    normal = (z[c] - mean) * r
                    d_weight[c] += g * normal
                    d = back * (weight[c] - level - normal * pull) * mask[c]
                    d_u = d * ws[c] * sigmoid[c] * (_ONE + us[c] * (_ONE - sigmoid[c]))
                    d_w = d * us[c] * sigmoid[c]
                    d_edge[c] = d_u
                    d_edge[half + c] = d_w
                    d_own[c] += d_u
                    d_own[half + c] += d_w


@_compiled(inline="always")
def _four(width: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    return (
        np.empty(width, np.float32),
        np.empty(width, np.float32),
        np.empty(width, np.float32),
        np.empty(width, np.float32),
    )


@_compiled()
def collect(a: int, b: int, order, starts, edges, out) -> None:
    """out[j] [s w] = sum of edges [e w] over those that point to spot j, for j in [a, b)."""
    for j in range(a, b):
        out[j] = 0
        for place in range(starts[j], starts[j + 1]):
            row = edges[order[place]]
            for c in range(out.shape[1]):
                out[j, c] += row[c]


@_compiled()
def mix(a: int, b: int, share, v, edge, index, out) -> None:
    """Weighted sums over neighbours: share [c n H], v [s H*p], edge [c n H*q] or [0 0 H*q], out [c H*p + H*q]."""
    p, q = v.shape[1], edge.shape[2]
    has_edges = edge.shape[0] > 0
    spread, no_edge = np.empty(max(p, q), np.float32), np.zeros(q, np.float32)
    for i in range(a, b):
        row = out[i]
        row[:] = 0
        for m in range(index.shape[1]):
            own = edge[i, m] if has_edges else no_edge
            _add_shares(share[i, m], v[index[i, m]], own, has_edges, spread, row[:p], row[p:])


@_compiled()
def mix_back(a: int, b: int, share, v, edge, index, given, d_share, d_edge) -> None:
    """The way back of `mix` from given [c H*p + H*q], but for v, which `mix_back_v` collects."""
    n, n_heads, p, q = index.shape[1], share.shape[2], v.shape[2], edge.shape[3]
    has_edges = edge.shape[0] > 0
    for i in range(a, b):
        row = given[i]
        for m in range(n):
            j = index[i, m]
            for h in range(n_heads):
                near, first, total = v[j, h], h * p, np.float32(0)
                for c in range(p):
                    total += row[first + c] * near[c]
                if has_edges:
                    s, own, back, first = share[i, m, h], edge[i, m, h], d_edge[i, m, h], n_heads * p + h * q
                    for c in range(q):
                        total += row[first + c] * own[c]
                        back[c] = s * row[first + c]
                d_share[i, m, h] = total


@_compiled()
def mix_back_v(a: int, b: int, order, starts, share, given, out) -> None:
    """d_v [s H p] of spots [a, b), from the edges that point to them."""
    n, n_heads, p = share.shape[1], share.shape[2], out.shape[2]
    for j in range(a, b):
        out[j] = 0
        for place in range(starts[j], starts[j + 1]):
            i, m = order[place] // n, order[place] % n
            for h in range(n_heads):
                s, first, near = share[i, m, h], h * p, out[j, h]
                for c in range(p):
                    near[c] += s * given[i, first + c]


@_compiled(inline="always")
def _frame(x, y, z, across, bias, u, w, sigmoid, gated) -> None:
    """The edge MLP's first map and gate for one frame; `across` [3 2m] is its weight, turned."""
    half = gated.shape[0]
    for c in range(half):
        u[c] = bias[c] + x * across[0, c] + y * across[1, c] + z * across[2, c]
        w[c] = bias[half + c] + x * across[0, half + c] + y * across[1, half + c] + z * across[2, half + c]
        sigmoid[c] = _ONE / (_ONE + _exp(-u[c]))
        gated[c] = u[c] * w[c] * sigmoid[c]


@_compiled()
def frames(a: int, b: int, edges, across, bias, gain, shift, eps, seed, threshold, scale, out) -> None:
    """Frame average of the edge MLP's normalised hidden state: edges [e 3] -> out [e m], rows [a, b)."""
    half, drops = gain.shape[0], threshold > 0
    u, w, sigmoid, z = _four(half)
    quarter = np.float32(0.25)
    for e in range(a, b):
        row = out[e]
        row[:] = 0
        for f in range(4):
            x = edges[e, 0] if f < 2 else -edges[e, 0]
            y = edges[e, 1] if f % 2 == 0 else -edges[e, 1]
            _frame(x, y, edges[e, 2], across, bias, u, w, sigmoid, z)
            if drops:
                key = _row_key(seed, 4 * e + f)
                for c in range(half):
                    z[c] *= _kept(key, np.uint32(c), threshold, scale)
            mean, r = _moments(z, eps)
            for c in range(half):
                row[c] += (z[c] - mean) * r
        for c in range(half):
            row[c] = row[c] * quarter * gain[c] + shift[c]


@_compiled()
def frames_back(
    a: int, b: int, edges, across, bias, gain, eps, seed, threshold, scale, given, d_across, d_bias, d_gain
) -> None:  # fmt: skip
    """The way back of `frames` from given [e m]: adds to d_across [3 2m], d_bias [2m] and d_gain [m]."""
    half, drops = gain.shape[0], threshold > 0
    u, w, sigmoid, z = _four(half)
    back, mask = np.empty(half, np.float32), np.ones(half, np.float32)
    quarter, inverse = np.float32(0.25), np.float32(1 / half)
    for e in range(a, b):
        for f in range(4):
            x = edges[e, 0] if f < 2 else -edges[e, 0]
            y = edges[e, 1] if f % 2 == 0 else -edges[e, 1]
            length = edges[e, 2]
            _frame(x, y, length, across, bias, u, w, sigmoid, z)
            if drops:
                key = _row_key(seed, 4 * e + f)
                for c in range(half):
                    mask[c] = _kept(key, np.uint32(c), threshold, scale)
                    z[c] *= mask[c]
            mean, r = _moments(z, eps)
            s1, s2 = np.float32(0), np.float32(0)
            for c in range(half):
                z[c] = (z[c] - mean) * r
                g = given[e, c] * quarter
                d_gain[c] += g * z[c]
                back[c] = g * gain[c]
                s1 += back[c]
                s2 += back[c] * z[c]
            s1 *= inverse
            s2 *= inverse
            for c in range(half):
                d = r * (back[c] - s1 - z[c] * s2) * mask[c]
                d_u = d * w[c] * sigmoid[c] * (_ONE + u[c] * (_ONE - sigmoid[c]))
                d_w = d * u[c] * sigmoid[c]
                d_bias[c] += d_u
                d_bias[half + c] += d_w
                d_across[0, c] += d_u * x
                d_across[0, half + c] += d_w * x
                d_across[1, c] += d_u * y
                d_across[1, half + c] += d_w * y
                d_across[2, c] += d_u * length
                d_across[2, half + c] += d_w * length
