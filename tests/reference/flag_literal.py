"""FLAG's graph transformer in the release's order, for one part and one draw, from arrays by their names.

Nothing here is shared with `eosin.models.flag`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor


def linear(x: Tensor, w: Mapping[str, Tensor], name: str) -> Tensor:
    return x @ w[f"{name}.weight"].T + w[f"{name}.bias"]


def silu(x: Tensor) -> Tensor:
    return x / (1 + torch.exp(-x))


def gelu(x: Tensor) -> Tensor:
    return x * 0.5 * (1 + torch.erf(x / math.sqrt(2)))


def centred(x: Tensor) -> Tensor:
    return (x - x.mean(-1, keepdim=True)) / torch.sqrt(x.var(-1, unbiased=False, keepdim=True) + 1e-5)


def two_maps(x: Tensor, w: Mapping[str, Tensor], name: str, between) -> Tensor:
    return linear(between(linear(x, w, f"{name}.0")), w, f"{name}.2")


def adaptive(x: Tensor, z: Tensor, w: Mapping[str, Tensor], name: str) -> Tensor:
    """Equation 24, scale and shift linear in SiLU of the context."""
    scale, shift = linear(silu(z), w, f"{name}.modulate").split(x.shape[-1], -1)
    return (1 + scale) * centred(x) + shift


def feed(x: Tensor, w: Mapping[str, Tensor], name: str) -> Tensor:
    """Equation 29; no norm inside, as equation 30 has none."""
    gate, value = linear(x, w, f"{name}.into").chunk(2, -1)
    return linear(gelu(gate) * value, w, f"{name}.out")


def fixed_edges(xy: Tensor, features: Tensor, length_um: float) -> Tensor:
    """Equations 58 and 59 [s s 2]; both are 1 of a spot with itself."""
    distance = torch.sqrt(((xy[:, None] - xy[None]) ** 2).sum(-1))
    unit = features / torch.sqrt((features**2).sum(-1, keepdim=True))
    return torch.stack([torch.exp(-(distance**2) / (2 * length_um**2)), unit @ unit.T], -1)


def time_waves(t: float) -> Tensor:
    waves = [math.exp(-math.log(10_000) * i / 128) for i in range(128)]
    return torch.tensor([math.cos(t * v) for v in waves] + [math.sin(t * v) for v in waves], dtype=torch.float64)


def layer(
    x: Tensor, e: Tensor, c: Tensor, features: Tensor, said: Tensor, w: Mapping[str, Tensor], at: str, heads: int
):
    """One block: nodes x [s c], edges e [s s e] or none, fixed edges c [s s 2]; `said`: level and pooled conditions."""
    s, width = x.shape
    z = two_maps(said, w, f"{at}.fuse", silu)
    q, k, v = linear(adaptive(x, z, w, f"{at}.norm"), w, f"{at}.qkv").view(s, 3, heads, -1).unbind(1)
    gate, bias = 1 + w[f"{at}.alpha"] * linear(c, w, f"{at}.gate"), w[f"{at}.gamma"] * linear(c, w, f"{at}.bias")
    if e is not None:
        state = adaptive(e, z, w, f"{at}.edge_stream.norm")
        gate, bias = (
            gate + linear(state, w, f"{at}.edge_stream.gate"),
            bias + linear(state, w, f"{at}.edge_stream.bias"),
        )
    scores = torch.stack([q[:, h] @ k[:, h].T for h in range(heads)], -1) / math.sqrt(width // heads) * gate + bias
    mixed = torch.cat([torch.softmax(scores[..., h], 1) @ v[:, h] for h in range(heads)], -1)
    scale, shift = linear(silu(features), w, f"{at}.film").split(width, -1)
    x = x + linear((1 + scale) * mixed + shift, w, f"{at}.join")
    x = x + feed(adaptive(x, z, w, f"{at}.norm_2"), w, f"{at}.feed")
    if e is not None:
        e = e + linear(scores, w, f"{at}.edge_stream.join")
        e = e + feed(adaptive(e, z, w, f"{at}.edge_stream.norm_2"), w, f"{at}.edge_stream.feed")
    return x, e


def encode(
    w: Mapping[str, Tensor], xy: Tensor, features: Tensor, noisy: Tensor, edges: Tensor | None, t: float, heads: int
):
    """Noisy expression [s g] and correlations [s s] of one block -> their answers."""
    c = fixed_edges(xy, features, 112.0)
    pooled = linear(torch.cat([features.mean(0), c.mean((0, 1))]), w, "pool")
    said = torch.cat([two_maps(time_waves(t), w, "time.mlp", silu), pooled])
    x = two_maps(noisy, w, "enter", gelu)
    e = None if edges is None else two_maps(edges[..., None], w, "edge_in", gelu)
    depth = len({name.split(".")[1] for name in w if name.startswith("layers.")})
    for number in range(depth):
        x, e = layer(x, e, c, features, said, w, f"layers.{number}", heads)
    nodes = linear(centred(x) * w["norm.weight"] + w["norm.bias"], w, "out")
    if e is None:
        return nodes, None
    answer = linear(centred(e) * w["edge_out.0.weight"] + w["edge_out.0.bias"], w, "edge_out.1")[..., 0]
    answer = (answer + answer.T) / 2
    return nodes, answer - torch.diag(torch.diag(answer))


def correlations(x: Tensor) -> Tensor:
    """Equation 33 [s s]: means over genes, in numerator and denominators alike; the diagonal is masked."""
    found = torch.corrcoef(x)
    return found - torch.diag(torch.diag(found))
