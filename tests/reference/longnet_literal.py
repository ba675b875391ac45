"""LongNet's slide encoder as its formulas read: a loop over queries, heads and branches, in float64.

Takes parameters by the names of the published weights. Nothing here is shared with `eosin.models.gigapath.longnet`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor


def offset(head: int, n_heads: int, dilation: int) -> int:
    """Heads go by blocks: with 16 heads and dilation 4, heads 0 to 3 keep tokens 0, 4, ...; heads 4 to 7 1, 5, ..."""
    return head // math.ceil(n_heads / dilation)


def dilated_attention(
    q: Tensor, k: Tensor, v: Tensor, segments: Sequence[int], dilations: Sequence[int], *, padded: bool = False
) -> Tensor:
    """[n h d]; every branch is a softmax of its own, then the branches are weighed by their denominators.

    `padded`: segments are filled up with keys and values of zeros, to the length of a segment (of the sequence, where
    that is shorter) and then to a multiple of the dilation.
    """
    n, n_heads, d = q.shape
    out = torch.zeros(n, n_heads, d, dtype=torch.float64)
    for token in range(n):
        for head in range(n_heads):
            answers, denominators = [], []
            for segment, dilation in zip(segments, dilations):
                start = token // segment * segment
                first, stop = start + offset(head, n_heads, dilation), min(start + segment, n)
                keys = list(range(first, stop, dilation))
                if token in keys:
                    own_keys, own_values = k[keys, head].double(), v[keys, head].double()
                    if padded:
                        end = start + math.ceil(min(segment, n) / dilation) * dilation
                        zeros = torch.zeros(len([i for i in range(first, end, dilation) if i >= stop]), d).double()
                        own_keys, own_values = torch.cat([own_keys, zeros]), torch.cat([own_values, zeros])
                    scores = own_keys @ q[token, head].double() / math.sqrt(d)
                    answers.append(torch.softmax(scores, 0) @ own_values)
                    denominators.append(torch.logsumexp(scores, 0))
            shares = torch.softmax(torch.stack(denominators), 0)
            out[token, head] = shares @ torch.stack(answers)
    return out


def norm(x: Tensor, w: Mapping[str, Tensor], name: str, eps: float = 1e-5) -> Tensor:
    centred = x - x.mean(-1, keepdim=True)
    scaled = centred / torch.sqrt(centred.square().mean(-1, keepdim=True) + eps)
    return scaled * w[f"{name}.weight"] + w[f"{name}.bias"]


def linear(x: Tensor, w: Mapping[str, Tensor], name: str) -> Tensor:
    return x @ w[f"{name}.weight"].T + w[f"{name}.bias"]


def place(row: float, column: float, width: int) -> Tensor:
    """Half of the channels say the row, half the column; in each half first the sines, then the cosines."""
    said = []
    for position in (row, column):
        angles = [position / 10000 ** (2 * i / (width // 2)) for i in range(width // 4)]
        said += [*map(math.sin, angles), *map(math.cos, angles)]
    return torch.tensor(said, dtype=torch.float64)


def encode(
    w: Mapping[str, Tensor],
    features: Tensor,
    cells: Sequence[tuple[float, float]],
    n_heads: int,
    segments: Sequence[int],
    dilations: Sequence[int],
    *,
    padded: bool = False,
) -> Tensor:
    """States [n width] of all tiles before the last LayerNorm; `cells` are (x, y)."""
    w = {name: value.double() for name, value in w.items()}
    x = linear(features.double(), w, "patch_embed.proj")
    x = x + torch.stack([place(y, x_, x.shape[1]) for x_, y in cells])
    x = torch.cat([w["cls_token"][0], x])
    n_layers = len({name.split(".")[2] for name in w if name.startswith("encoder.layers.")})
    for number in range(n_layers):
        at = f"encoder.layers.{number}"
        h = norm(x, w, f"{at}.self_attn_layer_norm")
        q, k, v = (linear(h, w, f"{at}.self_attn.{p}_proj").unflatten(1, (n_heads, -1)) for p in "qkv")
        h = dilated_attention(q, k, v, segments, dilations, padded=padded).flatten(1)
        x = x + linear(norm(h, w, f"{at}.self_attn.inner_attn_ln"), w, f"{at}.self_attn.out_proj")
        h = linear(norm(x, w, f"{at}.final_layer_norm"), w, f"{at}.ffn.fc1")
        h = h * 0.5 * (1 + torch.erf(h / math.sqrt(2)))
        x = x + linear(norm(h, w, f"{at}.ffn.ffn_layernorm"), w, f"{at}.ffn.fc2")
    return norm(x, w, "encoder.layer_norm")[1:]
