"""The way back of `forward`, from the gradients of its results; what it needs is computed again."""

from __future__ import annotations

import numpy as np

from eosin.models.stflow.edge_kernels.elementary import ONE, compiled, exp, four, frame, kept, moments, row_key


@compiled()
def logits_back(
    a: int, b: int, along, beside, centre, index, weight, eps, seed, threshold, scale,
    given, d_along, d_centre, d_weight,
) -> None:  # fmt: skip
    """The way back of `logits` from given [c n H]: d_along [c n H 2m], d_centre [c H 2m]; d_weight [m] is added to."""
    n, n_heads, half = index.shape[1], centre.shape[1], weight.shape[0]
    has_edges, drops = along.shape[0] > 0, threshold > 0
    nothing = np.zeros(2 * half, np.float32)
    us, ws, sigmoid, z = four(half)
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
                    sigmoid[c] = ONE / (ONE + exp(-u))
                    z[c] = us[c] * ws[c] * sigmoid[c]
                if drops:
                    key = row_key(seed, (i * n + m) * n_heads + h)
                    for c in range(half):
                        mask[c] = kept(key, np.uint32(c), threshold, scale)
                        z[c] *= mask[c]
                s1, s2, s3 = np.float32(0), np.float32(0), np.float32(0)
                for c in range(half):
                    s1 += z[c]
                    s2 += z[c] * z[c]
                    s3 += z[c] * weight[c]
                mean = s1 * inverse
                r = ONE / np.sqrt(max(s2 * inverse - mean * mean, np.float32(0)) + eps)
                g = given[i, m, h]
                back, level, pull = g * r, total * inverse, (s3 - mean * total) * r * inverse
                d_edge, d_own = d_along[i, m, h], d_centre[i, h]
                for c in range(half):
                    normal = (z[c] - mean) * r
                    d_weight[c] += g * normal
                    d = back * (weight[c] - level - normal * pull) * mask[c]
                    d_u = d * ws[c] * sigmoid[c] * (ONE + us[c] * (ONE - sigmoid[c]))
                    d_w = d * us[c] * sigmoid[c]
                    d_edge[c] = d_u
                    d_edge[half + c] = d_w
                    d_own[c] += d_u
                    d_own[half + c] += d_w


@compiled()
def collect(a: int, b: int, order, starts, edges, out) -> None:
    """out[j] [s w] = sum of edges [e w] over those that point to spot j, for j in [a, b)."""
    for j in range(a, b):
        out[j] = 0
        for place in range(starts[j], starts[j + 1]):
            row = edges[order[place]]
            for c in range(out.shape[1]):
                out[j, c] += row[c]


@compiled()
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


@compiled()
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


@compiled()
def frames_back(
    a: int, b: int, edges, across, bias, gain, eps, seed, threshold, scale, given, d_across, d_bias, d_gain
) -> None:  # fmt: skip
    """The way back of `frames` from given [e m]: adds to d_across [3 2m], d_bias [2m] and d_gain [m]."""
    half, drops = gain.shape[0], threshold > 0
    u, w, sigmoid, z = four(half)
    back, mask = np.empty(half, np.float32), np.ones(half, np.float32)
    quarter, inverse = np.float32(0.25), np.float32(1 / half)
    for e in range(a, b):
        for f in range(4):
            x = edges[e, 0] if f < 2 else -edges[e, 0]
            y = edges[e, 1] if f % 2 == 0 else -edges[e, 1]
            length = edges[e, 2]
            frame(x, y, length, across, bias, u, w, sigmoid, z)
            if drops:
                key = row_key(seed, 4 * e + f)
                for c in range(half):
                    mask[c] = kept(key, np.uint32(c), threshold, scale)
                    z[c] *= mask[c]
            mean, r = moments(z, eps)
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
                d_u = d * w[c] * sigmoid[c] * (ONE + u[c] * (ONE - sigmoid[c]))
                d_w = d * u[c] * sigmoid[c]
                d_bias[c] += d_u
                d_bias[half + c] += d_w
                d_across[0, c] += d_u * x
                d_across[0, half + c] += d_w * x
                d_across[1, c] += d_u * y
                d_across[1, half + c] += d_w * y
                d_across[2, c] += d_u * length
                d_across[2, half + c] += d_w * length
