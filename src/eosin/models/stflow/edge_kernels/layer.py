"""Whole layers at inference: what neighbours need, then the attention of each spot and what follows it.

All draws of a few spots go through together, so few that all their numbers stay in a core's cache.
"""

from __future__ import annotations

import numpy as np

from eosin.models.stflow.edge_kernels.by_spot import add_rows, first_map, gated_mlp, head, normalise, product
from eosin.models.stflow.edge_kernels.elementary import ONE, add_shares, compiled, exp

_ROWS = 128
"""Rows (spots times draws) that go through a kernel at once."""


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


@compiled()
def lay(a, b, given, norm, maps, value, made) -> None:
    """Spots [a, b) as neighbours: made is beside [k s H 2m] (of k_j and y_j) and v [k or 1, s d].

    given is h [k or 1, s d] and y [k or 1, s g]; norm (gain, shift, eps); maps as `first_map` takes them; value
    (weight, bias).
    """
    (h, y), (beside, v) = given, made
    gain, shift, eps = norm
    linear, part, to_y, constant = maps
    weight, bias = value
    d = h.shape[2]
    normal, inner = np.empty((_ROWS, d), np.float32), np.empty((_ROWS, d), np.float32)
    towards = np.empty((_ROWS, to_y.shape[1]), np.float32)
    for k in range(beside.shape[0]):
        for first in range(a, b, _ROWS):
            r = min(_ROWS, b - first)
            rows = slice(first, first + r)
            normalise(h[k % h.shape[0], rows], gain, shift, eps, normal[:r])
            guess, into = y[k % y.shape[0], rows], beside[k, rows]
            first_map(normal[:r], guess, linear, part, to_y, constant, inner[:r], towards[:r], into)
            if k < v.shape[0]:
                values = v[k, rows]
                product(normal[:r], weight, values)
                for i in range(r):
                    for c in range(d):
                        values[i, c] += bias[c]


@compiled()
def attend(a, b, given, edge, norm, maps, near, last, update, made) -> None:
    """The layer for spots [a, b): made is new h [k s d] and new y [k s g], which may be those given.

    given, norm and maps are as for `lay`, of a spot as a centre; edge is state [s n m'] (or [s n 0] for no edges), the
    edge MLP's second map to_e [m' H*q] with e_shift [H*q], and to_hidden [q 2m], the edges' part of the attention's
    first map; near is what `lay` made of all spots, then index and valid [s n]; last is weight [m] and eps; update is
    out, feed-forward and head, each as `gated_mlp` takes it, and eps.
    """
    (h, y), (new_h, new_y) = given, made
    gain, shift, eps = norm
    linear, part, to_y, constant = maps
    state, to_e, e_shift, to_hidden = edge
    beside, v, index, valid = near
    weight, last_eps = last
    out, forward, top, update_eps = update
    n_draws, n, n_heads, wide = beside.shape[0], index.shape[1], beside.shape[2], beside.shape[3]
    d, p, g = h.shape[2], v.shape[2], y.shape[2]
    has_edges = state.shape[2] > 0
    e, along = np.zeros((n, e_shift.shape[0]), np.float32), np.zeros((n * n_heads, wide), np.float32)
    share, spread = np.empty((n, n_heads), np.float32), np.empty(max(p, e.shape[1]), np.float32)
    at_once = max(_ROWS // n_draws, 1)
    most = at_once * n_draws
    own_h, own_y = np.empty((most, d), np.float32), np.empty((most, g), np.float32)
    normal, inner, change = (np.empty_like(own_h), np.empty_like(own_h), np.empty_like(own_h))
    towards, centre = np.empty((most, wide), np.float32), np.empty((most, n_heads, wide), np.float32)
    message = np.empty((most, p + e.shape[1]), np.float32)
    hidden_out, z_out = np.empty((most, out[0].shape[1]), np.float32), np.empty((most, out[2].shape[0]), np.float32)
    hidden, z = np.empty((most, forward[0].shape[1]), np.float32), np.empty((most, forward[2].shape[0]), np.float32)
    total = np.float32(weight.sum())
    for first in range(a, b, at_once):
        r = min(at_once, b - first)
        rows = r * n_draws
        for k in range(n_draws):
            own_h[k * r : (k + 1) * r] = h[k % h.shape[0], first : first + r]
            own_y[k * r : (k + 1) * r] = y[k % y.shape[0], first : first + r]
        normalise(own_h[:rows], gain, shift, eps, normal[:rows])
        room = (inner[:rows], towards[:rows])
        first_map(normal[:rows], own_y[:rows], linear, part, to_y, constant, room[0], room[1], centre[:rows])
        for i in range(r):
            around, exists = index[first + i], valid[first + i]
            if has_edges:
                np.dot(state[first + i], to_e, e)
                np.dot(e.reshape(n * n_heads, to_hidden.shape[0]), to_hidden, along)
            for k in range(n_draws):
                own, row, values = centre[k * r + i], message[k * r + i], v[k % v.shape[0]]
                for m in range(n):
                    for x in range(n_heads):
                        edge_row = along[m * n_heads + x]
                        share[m, x] = _logit(edge_row, beside[k, around[m], x], own[x], weight, total, last_eps)
                _softmax(share, exists)
                row[:] = 0
                if exists.any():  # shares then sum to 1, so that the bias is added once
                    row[p:] = e_shift
                for m in range(n):
                    add_shares(share[m], values[around[m]], e[m], has_edges, spread, row[:p], row[p:])
        gated_mlp(message[:rows], out, update_eps, hidden_out[:rows], z_out[:rows], change[:rows])
        add_rows(change[:rows], out[5], own_h[:rows])
        gated_mlp(own_h[:rows], forward, update_eps, hidden[:rows], z[:rows], change[:rows])
        add_rows(change[:rows], forward[5], own_h[:rows])
        head(own_h[:rows], top, update_eps, change[:rows], own_y[:rows])
        for k in range(n_draws):
            new_h[k, first : first + r] = own_h[k * r : (k + 1) * r]
            new_y[k, first : first + r] = own_y[k * r : (k + 1) * r]
