"""FLAG's graph layer against the paper's equations, pair by pair."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from eosin.models import MODELS
from eosin.models.flag import flag_net
from eosin.models.flag.flag_graph import Blocks, GraphBuilder, Nearest
from eosin.models.flag.flag_net import GraphLayer
from eosin.models.flag.flag_objective import Answer, NodeAndEdgeError
from eosin.types import Batch, GenePanel
from reference import flag_literal

SMALL = {"width": 8, "depth": 1, "n_heads": 2, "graph_width": 8, "graph_depth": 2, "graph_heads": 2}


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


@pytest.mark.parametrize(("preset", "scale"), [("paper", 1.0), ("small", 1000.0)])
def test_the_level_enters_the_network_as_its_time(preset: str, scale: float):
    """sigma = 0.01 * 1000^t; as t itself in the release, as 1000 t where nothing is said (models of before)."""
    entry = MODELS["flag"]
    settings = entry.settings.of(entry.presets[preset]["model"], SMALL)
    process = entry.build(settings, 4, GenePanel(("A", "B"))).process
    seen = []

    def network(graph, state, level, shared):
        seen.append(level)
        return torch.zeros_like(state), None

    times = [0.01, 0.3, 1.0]
    sigma = torch.tensor([0.01 * 1000**t for t in times])[:, None, None]
    process.guess(network, None, torch.zeros(3, 1, 2), sigma)
    assert seen[0][:, 0].tolist() == pytest.approx([scale * t for t in times], rel=1e-4)


def test_the_preset_of_the_paper_has_the_dropout_of_the_release():
    entry = MODELS["flag"]
    model = entry.build(entry.settings.of(entry.presets["paper"]["model"], SMALL), 4, GenePanel(("A", "B")))
    assert {part.p for part in model.modules() if isinstance(part, torch.nn.Dropout)} == {0.1}


@pytest.mark.parametrize("diffuse", ["nodes", "nodes-and-edges"])
@torch.no_grad()
def test_the_released_graph_is_the_literal_one(diffuse: str):
    """Preset paper: contexts per block, SiLU and GELU, scale and shift before the output map, edges pooled over all."""
    entry, b, genes = MODELS["flag"], batch(), ("A", "B", "C")
    settings = entry.settings.of(entry.presets["paper"]["model"], SMALL, {"diffuse": diffuse, "edge_width": 4})
    model = entry.build(settings, 5, GenePanel(genes))
    graph = model.builder.build(b, torch.from_numpy(b.features))
    encoder = model.generator.graph.double().eval()
    torch.manual_seed(0)
    for p in encoder.parameters():
        torch.nn.init.normal_(p, std=0.3)
    graph.features, graph.edges, graph.pooled = graph.features.double(), graph.edges.double(), graph.pooled.double()
    noisy, level = torch.randn(2, len(b), 3).double(), torch.tensor([[0.4]])
    edges = torch.randn(2, *graph.index.shape).double() if diffuse == "nodes-and-edges" else None
    fast, fast_edges = encoder(graph, noisy, edges, level)
    w = dict(encoder.state_dict())
    for draw, (a, z) in ((d, part) for d in range(2) for part in ((0, 4), (4, len(b)))):
        n = z - a
        given = torch.zeros(n, n).double()
        places = [
            (i, int(j) - a, c) for i in range(n) for c, j in enumerate(graph.index[a + i]) if graph.valid[a + i, c]
        ]
        if edges is not None:
            for i, j, c in places:
                given[i, j] = edges[draw, a + i, c]
        rows = slice(a, z)
        slow, slow_edges = flag_literal.encode(
            w,
            torch.from_numpy(b.xy_um[rows]),
            graph.features[rows],
            noisy[draw, rows],
            None if edges is None else given,
            0.4,
            2,
        )
        assert torch.allclose(fast[draw, rows], slow, atol=1e-5)
        for i, j, c in places if edges is not None else []:
            assert torch.allclose(fast_edges[draw, a + i, c], slow_edges[i, j], atol=1e-5)


def test_models_of_before_keep_their_graph():
    """The setting is not in their files; its default must be what they were trained with."""
    entry = MODELS["flag"]
    before = {name: v for name, v in entry.presets["paper"]["model"].items() if name != "released_graph"}
    model = entry.build(entry.settings.of(before, SMALL), 5, GenePanel(("A", "B")))
    arrays = model.generator.graph.state_dict()
    assert "fuse.0.weight" in arrays and not any(".fuse." in name for name in arrays)
    assert isinstance(model.generator.graph.enter[1], torch.nn.SiLU) and not model.builder.pool_all


def test_consistency_moves_edges_and_not_nodes():
    """Equation 34 on guesses, with the gradient through the nodes' correlations stopped as in the release."""
    b = batch()
    graph = GraphBuilder(Blocks(1e4), 112.0, pairs=True).build(b, torch.from_numpy(b.features))
    torch.manual_seed(0)
    guess = torch.randn(1, len(b), 6 + graph.index.shape[1], requires_grad=True)
    clean = torch.zeros_like(guess)
    cost = NodeAndEdgeError(6, 0.5)(Answer(graph, guess, 0 * clean), clean)
    total, n_edges, slope = 0.0, 0, torch.zeros_like(guess[0, :, 6:])
    for a, z in ((0, 4), (4, len(b))):
        truth = flag_literal.correlations(guess[0, a:z, :6].detach())
        for i in range(a, z):
            for c, j in enumerate(graph.index[i].tolist()):
                if graph.valid[i, c] and j != i:
                    difference = float(guess[0, i, 6 + c].detach()) - float(truth[i - a, j - a])
                    total, n_edges = total + abs(difference), n_edges + 1
                    slope[i, c] = np.sign(difference)
    assert cost.item() == pytest.approx(0.5 * total / n_edges, rel=1e-4)
    cost.backward()
    assert guess.grad is not None and not guess.grad[0, :, :6].any()
    assert torch.allclose(guess.grad[0, :, 6:], 0.5 * slope / n_edges, atol=1e-7)
