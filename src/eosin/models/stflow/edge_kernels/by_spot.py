"""What a layer does to each spot by itself at inference: products, norms and gated maps of some rows at a time.

Weights are turned here, [in out], and lie in one piece: so a product of few rows needs no copy of its weight.
"""

from __future__ import annotations

import numpy as np

from eosin.models.stflow.edge_kernels.elementary import ONE, compiled, exp, moments

_SMALL = 960_000
"""Multiplications of a product that the linear algebra library makes without copying its matrices first; it does so up
to a million, at 110 GFLOP/s on a core that makes 90 of larger ones (measured)."""


@compiled()
def product(x, weight, out) -> None:
    """out [r o] = x [r i] @ weight [i o], so few rows at a time that the weight is not copied."""
    step = max(_SMALL // (weight.shape[0] * weight.shape[1]) // 8 * 8, 8)
    for a in range(0, x.shape[0], step):
        b = min(a + step, x.shape[0])
        np.dot(x[a:b], weight, out[a:b])


@compiled()
def normalise(x, gain, shift, eps, out) -> None:
    """LayerNorm of rows: x [r d] -> out [r d]."""
    for i in range(x.shape[0]):
        mean, s = moments(x[i], eps)
        for c in range(x.shape[1]):
            out[i, c] = (x[i, c] - mean) * s * gain[c] + shift[c]


@compiled()
def add_rows(x, bias, to) -> None:
    """to [r d] += x [r d] + bias [d]."""
    for i in range(x.shape[0]):
        for c in range(x.shape[1]):
            to[i, c] += x[i, c] + bias[c]


@compiled()
def first_map(normal, y, linear, part, to_y, constant, inner, towards, out) -> None:
    """What spots add to the attention's first map: out [r H 2m] = (normal @ linear) @ part + y @ to_y + constant.

    `part` acts on each head by itself. normal [r d], y [r g], linear [d d], part [d/H 2m], to_y [g 2m], constant
    [H 2m]; inner [r d] and towards [r 2m] are room to work in.
    """
    r, n_heads, wide = out.shape
    product(normal, linear, inner)
    product(inner.reshape(r * n_heads, part.shape[0]), part, out.reshape(r * n_heads, wide))
    product(y, to_y, towards)
    for i in range(r):
        for x in range(n_heads):
            for c in range(wide):
                out[i, x, c] += towards[i, c] + constant[x, c]


@compiled()
def gated_mlp(x, mlp, eps, hidden, z, out) -> None:
    """Linear, gate, norm, linear for some rows: x [r i] -> out [r o], without the last bias.

    `mlp` holds (first weight, bias, gain, shift, second weight, bias); hidden [r 2m] and z [r m] are room to work in.
    """
    first, bias, gain, shift, then, _ = mlp
    half = gain.shape[0]
    product(x, first, hidden)
    for i in range(x.shape[0]):
        row, into = hidden[i], z[i]
        for c in range(half):
            u = row[c] + bias[c]
            into[c] = u * (row[half + c] + bias[half + c]) / (ONE + exp(-u))
    normalise(z, gain, shift, eps, z)
    product(z, then, out)


@compiled()
def head(x, mlp, eps, hidden, out) -> None:
    """Linear, GELU, norm, linear for some rows: x [r d] -> out [r g]; `mlp` and room as for `gated_mlp`."""
    first, bias, gain, shift, then, last = mlp
    product(x, first, hidden)
    for i in range(x.shape[0]):
        for c in range(hidden.shape[1]):
            hidden[i, c] = _gelu(hidden[i, c] + bias[c])
    normalise(hidden, gain, shift, eps, hidden)
    product(hidden, then, out)
    for i in range(x.shape[0]):
        for c in range(out.shape[1]):
            out[i, c] += last[c]


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
