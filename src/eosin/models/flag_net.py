"""FLAG's networks: a graph transformer over spots, alone or as the condition of a transformer over genes.

All take noisy states [k s c] (k draws of the same spots) and the noise level as numbers [k s], or [1 1] for all.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu

from eosin.errors import EosinError
from eosin.models.dit import GeneDiT, TimeEmbedding
from eosin.models.flag_graph import Graph

CHUNK = 2**23
"""Numbers in one piece of the largest intermediate array at inference: 32 MiB."""


class GatedFeedForward(nn.Module):
    """GEGLU (equation 29)."""

    def __init__(self, width: int, hidden: int):
        super().__init__()
        self.into, self.out = nn.Linear(width, 2 * hidden), nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        gate, value = self.into(x).chunk(2, -1)
        return self.out(gelu(gate) * value)


class AdaptiveNorm(nn.Module):
    """Layer norm whose scale and offset are linear in the context; starts as a plain one (equations 24 and 25)."""

    def __init__(self, width: int, context: int):
        super().__init__()
        self.norm = nn.LayerNorm(width, elementwise_affine=False)
        self.modulate = nn.Linear(context, 2 * width)
        nn.init.zeros_(self.modulate.weight)
        nn.init.zeros_(self.modulate.bias)

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        scale, shift = self.modulate(context).chunk(2, -1)
        if x.ndim == 4:  # [k s n e]: an edge takes the context of the spot that looks along it
            scale, shift = scale.unsqueeze(-2), shift.unsqueeze(-2)
        return torch.addcmul(shift, self.norm(x), 1 + scale)


class EdgeStream(nn.Module):
    """States of diffused edges: they steer the attention and are changed by its scores (equations 26, 28, 31)."""

    def __init__(self, width: int, n_heads: int, context: int):
        super().__init__()
        self.norm, self.norm_2 = AdaptiveNorm(width, context), AdaptiveNorm(width, context)
        self.gate, self.bias = nn.Linear(width, n_heads), nn.Linear(width, n_heads)
        self.join, self.feed = nn.Linear(n_heads, width), GatedFeedForward(width, 2 * width)

    def steer(self, states: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
        states = self.norm(states, context)
        return self.gate(states), self.bias(states)

    def forward(self, states: Tensor, scores: Tensor, context: Tensor) -> Tensor:
        states = states + self.join(scores)
        return states + self.feed(self.norm_2(states, context))


class GraphLayer(nn.Module):
    """Edge-modulated attention and a feed-forward block (equations 23 to 31, 60).

    Per head, over the spots j that spot i sees,

        S_ij = q_i k_j / sqrt(d) * (1 + E1_ij + alpha * L1 C_ij) + E2_ij + gamma * L2 C_ij

    with the fixed edges C and, where edges are diffused, maps E1 and E2 of their states. The features of the spot
    scale and shift what attention brings.
    """

    def __init__(self, width: int, n_heads: int, n_features: int, edge_width: int | None, dropout: float):
        super().__init__()
        self.n_heads = n_heads
        self.norm, self.norm_2 = AdaptiveNorm(width, width), AdaptiveNorm(width, width)
        self.qkv, self.join = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.gate, self.bias = nn.Linear(2, n_heads), nn.Linear(2, n_heads)
        self.alpha, self.gamma = nn.Parameter(torch.tensor(0.1)), nn.Parameter(torch.tensor(0.1))
        self.film = nn.Linear(n_features, 2 * width)
        self.feed = GatedFeedForward(width, 2 * width)
        self.dropout = nn.Dropout(dropout)
        self.edge_stream = None if edge_width is None else EdgeStream(edge_width, n_heads, width)

    def forward(
        self, graph: Graph, nodes: Tensor, edges: Tensor | None, context: Tensor
    ) -> tuple[Tensor, Tensor | None]:
        """`nodes` [k s c], `edges` [k s n e] or none, `context` [s c] or [k s c]."""
        gate, bias = 1 + self.alpha * self.gate(graph.edges), self.gamma * self.bias(graph.edges)  # [s n h]
        if edges is not None and self.edge_stream is not None:
            gate_2, bias_2 = self.edge_stream.steer(edges, context)
            gate, bias = gate + gate_2, bias + bias_2  # [k s n h]
        heads = self.qkv(self.norm(nodes, context)).unflatten(-1, (3, self.n_heads, -1))
        query, key, value = heads.unbind(-3)  # each [k s h d]
        size = max(1, CHUNK // max(1, nodes.shape[0] * graph.index.shape[1] * nodes.shape[-1]))
        pieces = []
        for a in range(0, len(graph), size):
            here = slice(a, a + size)
            rows, steer = graph.index[here], (gate[..., here, :, :], bias[..., here, :, :])
            pieces.append(_attend(query[:, here], key[:, rows], value[:, rows], *steer, graph.valid[here]))
        mixed = self.join(torch.cat([mixed for mixed, _ in pieces], 1).flatten(-2))
        scale, shift = self.film(graph.features).chunk(2, -1)
        nodes = nodes + self.dropout(torch.addcmul(shift, mixed, 1 + scale))
        nodes = nodes + self.dropout(self.feed(self.norm_2(nodes, context)))
        if edges is not None and self.edge_stream is not None:
            scores = torch.cat([scores for _, scores in pieces], 1)
            edges = self.edge_stream(edges, scores, context)
        return nodes, edges


def _attend(
    query: Tensor, key: Tensor, value: Tensor, gate: Tensor, bias: Tensor, valid: Tensor
) -> tuple[Tensor, Tensor]:
    """`query` [k s h d], `key` and `value` [k s n h d] -> mixed values [k s h d] and scores [k s n h]."""
    plain = torch.einsum("kshd,ksnhd->ksnh", query, key) * query.shape[-1] ** -0.5
    scores = plain * gate + bias
    weight = scores.masked_fill(~valid[..., None], float("-inf")).softmax(-2)  # a spot always sees itself
    return torch.einsum("ksnh,ksnhd->kshd", weight, value), scores


class GraphEncoder(nn.Module):
    """The stack of graph layers.

    Parameters
    ----------
    n_noisy
        Channels of the noisy state that spots bring in (Algorithm 1); none: their features (equation 5), and then
        the result depends on neither time nor expression.
    n_out
        Numbers per spot that come out.
    edge_width
        Width of the states of diffused edges; none where edges are not diffused.
    """

    def __init__(
        self,
        n_features: int,
        n_noisy: int | None,
        n_out: int,
        *,
        width: int,
        depth: int,
        n_heads: int,
        dropout: float,
        edge_width: int | None = None,
    ):
        super().__init__()
        if width % n_heads:
            raise EosinError(
                f"graph width {width} cannot be split among {n_heads} heads", fix="choose graph_heads to divide it"
            )
        n_in = n_features if n_noisy is None else n_noisy
        self.enter = nn.Sequential(nn.Linear(n_in, width), nn.SiLU(), nn.Linear(width, width))
        self.time = None if n_noisy is None else TimeEmbedding(width)
        self.pool = nn.Linear(n_features + 2, width)
        n_fused = width if n_noisy is None else 2 * width
        self.fuse = nn.Sequential(nn.Linear(n_fused, width), nn.SiLU(), nn.Linear(width, width))
        self.layers = nn.ModuleList(GraphLayer(width, n_heads, n_features, edge_width, dropout) for _ in range(depth))
        self.norm, self.out = nn.LayerNorm(width), nn.Linear(width, n_out)
        self.edge_in = self.edge_out = None
        if edge_width is not None:
            self.edge_in = nn.Sequential(nn.Linear(1, edge_width), nn.SiLU(), nn.Linear(edge_width, edge_width))
            self.edge_out = nn.Sequential(nn.LayerNorm(edge_width), nn.Linear(edge_width, 1))

    def forward(
        self, graph: Graph, noisy: Tensor | None = None, edges: Tensor | None = None, level: Tensor | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """`noisy` [k s c], `edges` [k s n] -> [k s out], [k s n] (k = 1 without a noisy state)."""
        context = self.pool(graph.pooled)
        if self.time is not None and level is not None:
            now = _embed(self.time, level).expand(-1, len(graph), -1)
            context = torch.cat([now, context.expand(len(now), -1, -1)], -1)
        context = self.fuse(context)
        nodes = self.enter(graph.features[None] if noisy is None else noisy)
        states = None if edges is None or self.edge_in is None else self.edge_in(edges[..., None])
        for layer in self.layers:
            nodes, states = layer(graph, nodes, states, context)
        answer = self.out(self.norm(nodes))
        if states is None or self.edge_out is None:
            return answer, None
        return answer, graph.symmetric(self.edge_out(states)[..., 0])


def _embed(time: TimeEmbedding, level: Tensor) -> Tensor:
    """Levels [k s] -> [k s width]; the same level everywhere is embedded once."""
    return time(level.flatten()).unflatten(0, level.shape)


class Generator(nn.Module, ABC):
    """A network from noisy state to answer."""

    @abstractmethod
    def forward(
        self, graph: Graph, state: Tensor, level: Tensor, shared: Tensor | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """State [k s c], level [k s] or [1 1] -> answer [k s c] and gene tokens [k s g width] (none without a tap)."""

    def precompute(self, graph: Graph) -> Tensor | None:
        """What all steps and draws share; inference only."""
        return None


class NodeGenerator(Generator):
    """Node-only graph diffusion: the graph transformer answers by itself."""

    def __init__(self, graph: GraphEncoder):
        super().__init__()
        self.graph = graph

    def forward(
        self, graph: Graph, state: Tensor, level: Tensor, shared: Tensor | None = None
    ) -> tuple[Tensor, Tensor | None]:
        return self.graph(graph, state, None, level)[0], None


class JointGenerator(Generator):
    """Joint node-edge diffusion: expression and correlations come out of one graph transformer."""

    def __init__(self, graph: GraphEncoder, n_genes: int):
        super().__init__()
        self.graph, self.n_genes = graph, n_genes

    def forward(
        self, graph: Graph, state: Tensor, level: Tensor, shared: Tensor | None = None
    ) -> tuple[Tensor, Tensor | None]:
        nodes, edges = self.graph(graph, state[..., : self.n_genes], state[..., self.n_genes :], level)
        assert edges is not None
        return torch.cat([nodes, edges], -1), None


class GeneGenerator(Generator):
    """FLAG: the graph transformer's answer is the condition of a transformer over each spot's genes.

    Parameters
    ----------
    routed
        The graph takes the noisy state (Algorithm 1), so that neighbours are drawn together; else features only
        (equation 5), and it runs once per section.
    bridge_width
        Hidden width of the map from the graph's numbers to the condition (equation 61).
    """

    def __init__(self, graph: GraphEncoder, n_handed: int, dit: GeneDiT, *, bridge_width: int, routed: bool):
        super().__init__()
        self.graph, self.dit, self.routed = graph, dit, routed
        self.time = TimeEmbedding(dit.width)
        self.bridge = nn.Sequential(nn.Linear(n_handed, bridge_width), nn.SiLU(), nn.Linear(bridge_width, dit.width))

    def precompute(self, graph: Graph) -> Tensor | None:
        return None if self.routed else self.bridge(self.graph(graph)[0])

    def forward(
        self, graph: Graph, state: Tensor, level: Tensor, shared: Tensor | None = None
    ) -> tuple[Tensor, Tensor | None]:
        if shared is None:
            handed, _ = self.graph(graph, state, None, level) if self.routed else self.graph(graph)
            shared = self.bridge(handed)
        k, s, g = state.shape
        condition = shared + _embed(self.time, level)  # [k or 1, s, width]
        if len(condition) == k:
            state, condition = state.reshape(1, k * s, g), condition.reshape(1, k * s, -1)
        size = max(1, CHUNK // (len(state) * g * self.dit.width))
        answers, tokens = [], []
        for a in range(0, state.shape[1], size):
            answer = self.dit(state[:, a : a + size], condition[0, a : a + size])
            answer, tapped = answer if isinstance(answer, tuple) else (answer, None)
            answers.append(answer[..., 0])
            if tapped is not None and torch.is_grad_enabled():
                tokens.append(tapped)
        joined = torch.cat(tokens, 1).reshape(k, s, g, -1) if tokens else None
        return torch.cat(answers, 1).reshape(k, s, g), joined


class Alignment(nn.Module):
    """Projects gene tokens onto the genes' known vectors; costs minus their cosine (equation 8)."""

    vectors: Tensor

    def __init__(self, n_genes: int, width: int, hidden: int, n_vector: int):
        super().__init__()
        self.project = nn.Sequential(
            nn.Linear(width, hidden), nn.SiLU(), nn.Linear(hidden, hidden), nn.SiLU(), nn.Linear(hidden, n_vector)
        )
        self.register_buffer("vectors", torch.zeros(n_genes, n_vector))  # a row of zeros: the gene has none

    def forward(self, tokens: Tensor) -> Tensor:
        has = self.vectors.square().sum(-1) > 0
        cosine = torch.nn.functional.cosine_similarity(self.project(tokens), self.vectors, dim=-1)
        return -(cosine * has).sum() / (cosine[..., 0].numel() * has.sum().clamp(min=1))
