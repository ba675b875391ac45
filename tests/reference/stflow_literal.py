"""STFlow's denoiser as the paper writes it, in plain batched torch: what the fast form must equal.

It imports nothing of eosin: what both took from one place, no comparison would see. Nothing is split, shared, chunked
or remembered; each equation is one or two lines. It runs on the parameters of a
fast `Denoiser`, so that both can be compared number by number. Neighbours come from a full distance matrix, and
the geometry is rebuilt at every evaluation, since f(C, I, Y_t, t) takes coordinates.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional


def time_features(t: Tensor) -> Tensor:
    """256 numbers of a time: cosines of 128 frequencies from 1 downwards to 10000^(-127/128), then their sines."""
    waves = [
        [wave(float(time) * 10000 ** (-j / 128)) for wave in (math.cos, math.sin) for j in range(128)] for time in t
    ]
    return torch.tensor(waves)


def drop(dropout: Any, x: Tensor) -> Tensor:
    """Plain dropout at the rate of a fast one."""
    return functional.dropout(x, dropout.dropped / dropout.levels, dropout.training)


def glu(mlp: Any, x: Tensor) -> Tensor:
    u, w = mlp.fc1(x).chunk(2, -1)
    return drop(mlp.dropout, mlp.fc2(mlp.norm(drop(mlp.dropout, functional.silu(u) * w))))


def nearest(xy: Tensor, k: int) -> Tensor:
    """The k nearest other spots, from all pairs."""
    distance = torch.cdist(xy, xy, compute_mode="donot_use_mm_for_euclid_dist")
    distance.fill_diagonal_(torch.inf)
    return distance.topk(k, largest=False).indices


def geometry(xy: Tensor, k: int) -> tuple[Tensor, Tensor, Tensor]:
    """Neighbours [s k], projections onto the four frames [s k 4 2], distances [s k] (equations 4 and 5)."""
    index = nearest(xy, k)
    offset = xy[index] - xy[:, None]
    centred = offset - offset.mean(1, keepdim=True)
    covariance = centred.transpose(1, 2) @ centred  # [s 2 2]
    axes = torch.linalg.eigh(covariance).eigenvectors  # ascending
    signs = xy.new_tensor([[1, 1], [1, -1], [-1, 1], [-1, -1]])
    frames = axes[:, None] * signs[None, :, None, :]  # [s 4 2 2]
    projected = torch.einsum("skc,sgcf->skgf", centred, frames)
    return index, projected, offset.norm(dim=-1)


def layer(block: Any, h: Tensor, y: Tensor, index: Tensor, projected: Tensor, distance: Tensor):
    """Equations 6 to 9 for all spots: h [s d], y [s g]."""
    k = index.shape[1]
    heads = block.n_heads
    q, key, v = block.qkv(block.norm(h)).chunk(3, -1)
    q, key, v = (x.unflatten(-1, (heads, -1)) for x in (q, key, v))  # [s H d/H]
    e = glu(block.edge, torch.cat([projected, distance[:, :, None, None].expand(-1, -1, 4, 1)], -1)).mean(2)
    e = e.unflatten(-1, (heads, -1))  # [s k H e/H]
    difference = (y[index] - y[:, None])[:, :, None].expand(-1, -1, heads, -1)  # [s k H g]
    inputs = torch.cat([q[:, None].expand(-1, k, -1, -1), key[index], e, difference], -1)  # [s k H 146]
    weight = drop(block.attention_dropout, glu(block.attention, inputs).squeeze(-1).softmax(1))[..., None]  # [s k H 1]
    message = torch.cat([(weight * v[index]).sum(1).flatten(1), (weight * e).sum(1).flatten(1)], -1)
    h = h + glu(block.out, message)
    h = h + glu(block.feed_forward, h)
    return h, block.head(h)


def denoise(net: Any, features: Tensor, xy: Tensor, y: Tensor, t: Tensor, k: int) -> Tensor:
    """f(C, I, Y_t, t) for one section: features [s f], xy [s 2], y [s g], t [1] -> [s g]."""
    index, projected, distance = geometry(xy, k)
    h = net.embed(features) + net.embed_time(time_features(t))
    if net.embed_expression is not None:
        h = h + net.embed_expression(y)
    guesses = []
    for block in net.layers:
        h, y = layer(block, h, y, index, projected, distance)
        guesses.append(y)
    return torch.stack(guesses).mean(0)


def sample(net: Any, features: Tensor, xy: Tensor, y: Tensor, n_steps: int, k: int) -> Tensor:
    """Algorithm 2 from a prior draw y [s g]."""
    for step in range(n_steps):
        t1, t2 = step / n_steps, (step + 1) / n_steps
        predicted = denoise(net, features, xy, y, torch.tensor([t1]), k)
        if step == n_steps - 1:
            return predicted
        y = y + (predicted - y) / (1 - t1) * (t2 - t1)
    return y
