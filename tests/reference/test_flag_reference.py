"""FLAG's graph layer against the paper's equations, pair by pair."""

from __future__ import annotations

import numpy as np
import torch

from eosin.models.flag import flag_net
from eosin.models.flag.flag_graph import Blocks, GraphBuilder, Nearest
from eosin.models.flag.flag_net import GraphLayer
from eosin.types import Batch


def batch(n: int = 9) -> Batch:
    rng = np.random.default_rng(0)
    features = rng.normal(size=(n, 5)).astype(np.float32)
    return Batch(rng.uniform(0, 300, (n, 2)), features, np.array([0, 4, n]))


def literal(layer: GraphLayer, b: Batch, features, nodes, edges, context, length_um: float):
    """Equations 24, 26 to 31, 58 and 59 with loops; all pairs of one part. Nodes [s c], edges {(i, j): [e]}."""

    def norm(adaptive, x, z):
        scale, shift = adaptive.modulate(z).chunk(2, -1)
        return (1 + scale) * ((x - x.mean()) / (x.var(unbiased=False) + 1e-5).sqrt()) + shift

    def feed(block, x):
        gate, value = block.into(x).chunk(2)
        return block.out(torch.nn.functional.gelu(gate) * value)

    c, h = nodes.shape[1], layer.n_heads
    part = b.part_of_spot()
    q, k, v = zip(*(layer.qkv(norm(layer.norm, x, z)).reshape(3, h, c // h) for x, z in zip(nodes, context)))
    new_nodes, new_edges = [], {}
    for i in range(len(nodes)):
        seen = [j for j in range(len(nodes)) if part[j] == part[i]]
        scores = []
        for j in seen:
            distance = float(np.hypot(*(b.xy_um[i] - b.xy_um[j])))
            cosine = torch.nn.functional.cosine_similarity(features[i], features[j], dim=0)
            fixed = torch.stack([torch.tensor(np.exp(-(distance**2) / (2 * length_um**2)), dtype=cosine.dtype), cosine])
            gate = 1 + layer.alpha * layer.gate(fixed)
            bias = layer.gamma * layer.bias(fixed)
            if edges is not None:
                state = norm(layer.edge_stream.norm, edges[i, j], context[i])
                gate = gate + layer.edge_stream.gate(state)
                bias = bias + layer.edge_stream.bias(state)
            score = (q[i] * k[j]).sum(-1) / (c // h) ** 0.5 * gate + bias
            scores.append(score)
            if edges is not None:
                state = edges[i, j] + layer.edge_stream.join(score)
                new_edges[i, j] = state + feed(
                    layer.edge_stream.feed, norm(layer.edge_stream.norm_2, state, context[i])
                )
        weight = torch.stack(scores).softmax(0)
        mixed = layer.join(sum(w[:, None] * v[j] for w, j in zip(weight, seen)).flatten())
        scale, shift = layer.film(features[i]).chunk(2)
        x = nodes[i] + (1 + scale) * mixed + shift
        new_nodes.append(x + feed(layer.feed, norm(layer.norm_2, x, context[i])))
    return torch.stack(new_nodes), new_edges


def ready(edge_width: int | None):
    torch.manual_seed(0)
    layer = GraphLayer(8, 2, 5, edge_width, dropout=0.0).double().eval()
    for p in layer.parameters():  # what starts at 0 must take part too
        torch.nn.init.normal_(p, std=0.3)
    b = batch()
    features = torch.from_numpy(b.features).double()
    graph = GraphBuilder(Blocks(1e4), 112.0, pairs=True).build(b, features)
    graph.edges = graph.edges.double()
    nodes, context = torch.randn(2, 9, 8).double(), torch.randn(9, 8).double()
    return layer, b, features, graph, nodes, context


@torch.no_grad()
def test_graph_layer_with_fixed_edges():
    layer, b, features, graph, nodes, context = ready(None)
    fast, _ = layer(graph, nodes, None, context)
    for draw in range(2):
        assert torch.allclose(fast[draw], literal(layer, b, features, nodes[draw], None, context, 112.0)[0], atol=1e-6)


@torch.no_grad()
def test_graph_layer_with_diffused_edges():
    layer, b, features, graph, nodes, context = ready(4)
    edges = torch.randn(2, *graph.index.shape, 4).double()
    fast, fast_edges = layer(graph, nodes, edges, context)
    where = {(i, int(j)): n for i, row in enumerate(graph.index) for n, j in enumerate(row) if graph.valid[i, n]}
    for draw in range(2):
        given = {pair: edges[draw, pair[0], n] for pair, n in where.items()}
        slow, slow_edges = literal(layer, b, features, nodes[draw], given, context, 112.0)
        assert torch.allclose(fast[draw], slow, atol=1e-6)
        for (i, j), n in where.items():
            assert torch.allclose(fast_edges[draw, i, n], slow_edges[i, j], atol=1e-6)


@torch.no_grad()
def test_all_neighbours_are_a_block():
    layer, b, features, graph, nodes, context = ready(None)
    near = GraphBuilder(Nearest(8), 112.0).build(b, features)
    near.edges = near.edges.double()
    assert torch.allclose(layer(near, nodes, None, context)[0], layer(graph, nodes, None, context)[0], atol=1e-6)


@torch.no_grad()
def test_pieces_give_what_the_whole_gives(monkeypatch):
    layer, _, _, graph, nodes, context = ready(None)
    whole, _ = layer(graph, nodes, None, context)
    monkeypatch.setitem(flag_net.CHUNK, "cpu", 1)
    assert torch.allclose(layer(graph, nodes, None, context)[0], whole, atol=1e-12)
