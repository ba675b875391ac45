"""Whole layers at inference: what neighbours need, the attention of each spot, and what follows it."""

from __future__ import annotations

import numpy as np

from eosin.models.stflow.edge_kernels.elementary import ONE, add_shares, compiled, exp, moments


@compiled(inline="always")
def _logit(edge, near, own, weight, total, eps) -> np.float32:
    """One head of one edge: the gate, the norm and the last linear map, without dropout."""
    half = weight.shape[0]
    inverse = np.float32(1 / half)
    s1, s2, s3 = np.float32(0), np.float32(0), np.float32(0)
    for c in range(half):
        u = edge[c] + near[c] + own[c]
        w = edge[half + c] + near[half + c] + own[half + c]
        x = u * w / (ONE + exp(-u))
        s1 += x
        s2 += x * x
        s3 += x * weight[c]
    mean = s1 * inverse
    variance = max(s2 * inverse - mean * mean, np.float32(0))
    return (s3 - mean * total) / np.sqrt(variance + eps)


@compiled(inline="always")
def _softmax(logits, valid) -> None:
    """In place, over the valid neighbours of each head: [n H]; all zeros where there are none."""
    n, n_heads = logits.shape
    for h in range(n_heads):
        top, total = np.float32(-np.inf), np.float32(0)
        for m in range(n):
            if valid[m] and logits[m, h] > top:
                top = logits[m, h]
        for m in range(n):
            logits[m, h] = exp(logits[m, h] - top) if valid[m] else np.float32(0)
            total += logits[m, h]
        if total > 0:
            for m in range(n):
                logits[m, h] /= total


@compiled(inline="always")
def _first_map(h, y, norm, eps, linear, shift, part, to_y, sign, constant, normal, inner, towards, out) -> None:
    """What rows add to the attention's first map: out [r H 2m] = linear(norm(h)) @ part + sign * y @ to_y + constant.

    h [r d], y [r g], norm (gain, shift), linear [d d] with its shift, part [2m d/H], to_y [2m g]; normal, inner [r d]
    and towards [r 2m] are room to work in.
    """
    r, n_heads, wide = out.shape
    for i in range(r):
        mean, s = moments(h[i], eps)
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


@compiled()
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


@compiled()
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
                    add_shares(share[m], values[index[i, m]], e[m], has_edges, spread, row[:p], row[p:])


@compiled(inline="always")
def _gated_mlp(x, first, bias, gain, shift, eps, then, hidden, z, out) -> None:
    """Linear, gate, norm, linear (without its bias) for some rows: x [r i] -> out [r o]; weights [o i], as torch's."""
    half = gain.shape[0]
    np.dot(x, first.T, hidden)
    for i in range(x.shape[0]):
        row, into = hidden[i], z[i]
        for c in range(half):
            u = row[c] + bias[c]
            into[c] = u * (row[half + c] + bias[half + c]) / (ONE + exp(-u))
        mean, r = moments(into, eps)
        for c in range(half):
            into[c] = (into[c] - mean) * r * gain[c] + shift[c]
    np.dot(z, then.T, out)


@compiled(inline="always")
def _gelu(x: np.float32) -> np.float32:
    """x times the normal distribution function, to 2e-7 (Abramowitz and Stegun 7.1.26)."""
    a = abs(x) * np.float32(0.70710678)
    t = ONE / (ONE + np.float32(0.3275911) * a)
    p = np.float32(1.061405429) * t - np.float32(1.453152027)
    p = p * t + np.float32(1.421413741)
    p = p * t - np.float32(0.284496736)
    p = p * t + np.float32(0.254829592)
    half = np.float32(0.5) * p * t * exp(-a * a)
    return x * (ONE - half) if x > 0 else x * half


@compiled()
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
            mean, s = moments(row, eps)
            for c in range(width):
                row[c] = (row[c] - mean) * s * head[2][c] + head[3][c]
        np.dot(change[:r], head[4].T, guess)
        for i in range(r):
            for c in range(guess.shape[1]):
                guess[i, c] += head[5][c]
