"""EGNN's layer, one edge at a time: Satorras et al. 2021, equations 3 to 6."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from eosin.models.egnn import EGNN, EGNNNetwork
from eosin.types import Batch

S, N_FEATURES, G = 18, 4, 3
STARTS = np.array([0, 14, 17, 18])
"""Sections of 14, 3 and 1 spots: the last two have fewer than the four neighbours."""


def literal(layer, h, x, near, unit):
    """New states and positions by loops; `near` lists each spot's neighbours."""
    new_h, new_x = torch.empty_like(h), x.clone()
    for i in range(len(h)):
        total, shift = torch.zeros_like(h[0]), torch.zeros(2)
        for j in near[i]:
            offset = (x[i] - x[j]) / unit
            pair = torch.cat([h[i], h[j], offset.square().sum()[None]])
            m = F.silu(layer.message(F.silu(layer.pair(pair))))  # (3)
            total += m  # (5)
            if layer.shift is not None:
                shift += offset * layer.shift(m) * unit
        new_h[i] = h[i] + layer.update(torch.cat([h[i], total]))  # (6)
        new_x[i] = x[i] + shift / max(len(near[i]), 1)  # (4), with the mean as C
    return new_h, new_x


@pytest.mark.parametrize("moves", [False, True])
def test_the_fast_form_equals_the_formulas(moves):
    torch.manual_seed(0)
    settings = EGNNNetwork(width=8, n_layers=3, dropout=0.2, n_neighbours=4, move_positions=moves)
    network = EGNN(N_FEATURES, G, settings).eval()
    for layer in network.layers[:-1]:
        if layer.shift is not None:
            torch.nn.init.normal_(layer.shift[2].weight, std=0.1)
    rng = np.random.default_rng(0)
    xy, features = rng.uniform(0, 1000, (S, 2)), rng.normal(size=(S, N_FEATURES)).astype(np.float32)
    y, t = torch.from_numpy(rng.random((S, G)).astype(np.float32)), torch.tensor([0.3])
    with torch.no_grad():
        found = network(network.geometry(Batch(xy, features, STARTS), torch.from_numpy(features)), y[None], t)[0]
        for a, b in pairwise(STARTS):
            assert torch.allclose(found[a:b], whole(network, xy[a:b], features[a:b], y[a:b], t), atol=1e-5), (a, b)


def whole(network, xy, features, y, t):
    """The network on one section."""
    n = len(xy)
    distance = np.linalg.norm(xy[:, None] - xy, axis=-1) + np.diag(np.full(n, np.inf))
    near = np.argsort(distance, 1)[:, : min(4, n - 1)].tolist()
    unit = float(np.median(distance.min(1))) if n > 1 else 1.0
    angle = t * torch.tensor([100 ** (i / 63) for i in range(64)])
    both = torch.cat([torch.from_numpy(features), y, torch.cat([angle.cos(), angle.sin()]).expand(n, -1)], 1)
    weight = torch.cat([m.weight for m in (network.embed, network.embed_expression, network.embed_time)], 1)
    h, x = both @ weight.T + network.embed.bias, torch.from_numpy(xy.astype(np.float32))
    for layer in network.layers:
        h, x = literal(layer, h, x, near, unit)
    return network.out(h)
