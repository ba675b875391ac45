"""The way there: logits of attention, weighted sums over neighbours, and the edge MLP averaged over frames."""

from __future__ import annotations

import numpy as np

from eosin.models.stflow.edge_kernels.elementary import (
    ONE,
    add_shares,
    compiled,
    exp,
    four,
    frame,
    kept,
    moments,
    row_key,
)


@compiled()
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
                    z[c] = u * w / (ONE + exp(-u))
                if drops:
                    key = row_key(seed, (i * n + m) * n_heads + h)
                    for c in range(half):
                        z[c] *= kept(key, np.uint32(c), threshold, scale)
                s1, s2, s3 = np.float32(0), np.float32(0), np.float32(0)
                for c in range(half):
                    s1 += z[c]
                    s2 += z[c] * z[c]
                    s3 += z[c] * weight[c]
                mean = s1 * inverse
                variance = max(s2 * inverse - mean * mean, np.float32(0))
                out[i, m, h] = (s3 - mean * total) / np.sqrt(variance + eps)


@compiled()
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
            add_shares(share[i, m], v[index[i, m]], own, has_edges, spread, row[:p], row[p:])


@compiled()
def frames(a: int, b: int, edges, across, bias, gain, shift, eps, seed, threshold, scale, out) -> None:
    """Frame average of the edge MLP's normalised hidden state: edges [e 3] -> out [e m], rows [a, b)."""
    half, drops = gain.shape[0], threshold > 0
    u, w, sigmoid, z = four(half)
    quarter = np.float32(0.25)
    for e in range(a, b):
        row = out[e]
        row[:] = 0
        for f in range(4):
            x = edges[e, 0] if f < 2 else -edges[e, 0]
            y = edges[e, 1] if f % 2 == 0 else -edges[e, 1]
            frame(x, y, edges[e, 2], across, bias, u, w, sigmoid, z)
            if drops:
                key = row_key(seed, 4 * e + f)
                for c in range(half):
                    z[c] *= kept(key, np.uint32(c), threshold, scale)
            mean, r = moments(z, eps)
            for c in range(half):
                row[c] += (z[c] - mean) * r
        for c in range(half):
            row[c] = row[c] * quarter * gain[c] + shift[c]
