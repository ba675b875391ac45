"""EGNN's layer, one edge at a time: Satorras et al. 2021, equations 3 to 6."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from eosin.models.egnn import EGNN
from eosin.types import Batch

S, N_FEATURES, G = 14, 4, 3


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
    network = EGNN(N_FEATURES, G, width=8, n_layers=3, dropout=0.2, n_neighbours=4, move_positions=moves).eval()
    for layer in network.layers[:-1]:
        if layer.shift is not None:
            torch.nn.init.normal_(layer.shift[2].weight, std=0.1)
    rng = np.random.default_rng(0)
    xy, features = rng.uniform(0, 1000, (S, 2)), rng.normal(size=(S, N_FEATURES)).astype(np.float32)
    y, t = torch.from_numpy(rng.random((S, G)).astype(np.float32)), torch.tensor([0.3])
    distance = np.linalg.norm(xy[:, None] - xy, axis=-1) + np.diag(np.full(S, np.inf))
    near, unit = np.argsort(distance, 1)[:, :4].tolist(), float(np.median(distance.min(1)))

    with torch.no_grad():
        found = network(network.geometry(Batch(xy, features, np.array([0, S])), torch.from_numpy(features)), y[None], t)
        angle = t * torch.tensor([100 ** (i / 63) for i in range(64)])
        both = torch.cat([torch.from_numpy(features), y, torch.cat([angle.cos(), angle.sin()]).expand(S, -1)], 1)
        weight = torch.cat([m.weight for m in (network.embed, network.embed_expression, network.embed_time)], 1)
        h, x = both @ weight.T + network.embed.bias, torch.from_numpy(xy.astype(np.float32))
        for layer in network.layers:
            h, x = literal(layer, h, x, near, unit)
        assert torch.allclose(found[0], network.out(h), atol=1e-5)
