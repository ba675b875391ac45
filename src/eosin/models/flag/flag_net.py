"""FLAG's graph transformer over spots.

It takes noisy states [k s c] (k draws of the same spots) and the noise level as numbers [k s], or [1 1] for all.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, silu

from eosin.errors import EosinError
from eosin.models.flag.flag_graph import Graph
from eosin.models.parts.dit import TimeEmbedding, start_by_xavier
from eosin.models.parts.rows_within import rows_within
from eosin.models.parts.zero_start import start_at_zero
from eosin.row_blocks import row_blocks

CHUNK = {"cpu": 2**21, "cuda": 2**25}
"""Numbers in one piece of the largest intermediate array; few on a CPU, whose caches are small."""


class GatedFeedForward(nn.Module):
    """GEGLU (equation 29)."""

    def __init__(self, width: int, hidden: int):
        super().__init__()
        self.into, self.out = nn.Linear(width, 2 * hidden), nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        """[.. width] -> [.. width]."""
        gate, value = self.into(x).chunk(2, -1)
        return self.out(gelu(gate) * value)


class AdaptiveNorm(nn.Module):
    """Layer norm whose scale and offset are linear in the context (equations 24 and 25).

    `activated`: in SiLU of the context, as in the release.
    """

    def __init__(self, width: int, context: int, *, activated: bool = False):
        super().__init__()
        self.activated = activated
        self.norm = nn.LayerNorm(width, elementwise_affine=False)
        self.modulate = nn.Linear(context, 2 * width)

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        """Nodes [k s c] or edges [k s n e] -> the same shape, given the spots' context [s c] or [k s c]."""
        scale, shift = self.modulate(silu(context) if self.activated else context).chunk(2, -1)
        if x.ndim == 4:  # [k s n e]: an edge takes the context of the spot that looks along it
            scale, shift = scale.unsqueeze(-2), shift.unsqueeze(-2)
        return torch.addcmul(shift, self.norm(x), 1 + scale)


class EdgeStream(nn.Module):
    """States of diffused edges: they steer the attention and are changed by its scores (equations 26, 28, 31)."""

    def __init__(self, width: int, n_heads: int, context: int, *, activated: bool):
        super().__init__()
        self.norm = AdaptiveNorm(width, context, activated=activated)
        self.norm_2 = AdaptiveNorm(width, context, activated=activated)
        self.gate, self.bias = nn.Linear(width, n_heads), nn.Linear(width, n_heads)
        self.join, self.feed = nn.Linear(n_heads, width), GatedFeedForward(width, 2 * width)

    def steer(self, states: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
        """What edge states [k s n e] multiply and add to the attention's scores, both [k s n h]."""
        states = self.norm(states, context)
        return self.gate(states), self.bias(states)

    def forward(self, states: Tensor, scores: Tensor, context: Tensor) -> Tensor:
        """New edge states [k s n e], given the attention's scores [k s n h]."""
        states = states + self.join(scores)
        return states + self.feed(self.norm_2(states, context))


class GraphLayer(nn.Module):
    """Edge-modulated attention and a feed-forward block (equations 23 to 31, 60).

    Per head, over the spots j that spot i sees,

        S_ij = q_i k_j / sqrt(d) * (1 + E1_ij + alpha * L1 C_ij) + E2_ij + gamma * L2 C_ij

    with the fixed edges C and, where edges are diffused, maps E1 and E2 of their states. The features of the spot
    scale and shift what attention brings.

    Parameters
    ----------
    n_context
        Numbers of the context where the layer is to be as in the release: it fuses the context by itself (equation
        23), scales and shifts come from SiLU of what they depend on, and those of the features before the output map.
        None: the context comes fused, and the features scale and shift what the output map gives.
    """

    def __init__(
        self,
        width: int,
        n_heads: int,
        n_features: int,
        edge_width: int | None,
        dropout: float,
        *,
        n_context: int | None = None,
    ):
        super().__init__()
        self.n_heads, released = n_heads, n_context is not None
        self.fuse = None if n_context is None else fusion(n_context, width)
        self.norm = AdaptiveNorm(width, width, activated=released)
        self.norm_2 = AdaptiveNorm(width, width, activated=released)
        self.qkv, self.join = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.gate, self.bias = nn.Linear(2, n_heads), nn.Linear(2, n_heads)
        self.alpha, self.gamma = nn.Parameter(torch.tensor(0.1)), nn.Parameter(torch.tensor(0.1))
        self.film = nn.Linear(n_features, 2 * width)
        self.feed = GatedFeedForward(width, 2 * width)
        self.dropout = nn.Dropout(dropout)
        self.edge_stream = None
        if edge_width is not None:
            self.edge_stream = EdgeStream(edge_width, n_heads, width, activated=released)

    def forward(
        self, graph: Graph, nodes: Tensor, edges: Tensor | None, context: Tensor
    ) -> tuple[Tensor, Tensor | None]:
        """`nodes` [k s c], `edges` [k s n e] or none, `context` [s c] or [k s c]."""
        context = context if self.fuse is None else self.fuse(context)
        gate, bias = 1 + self.alpha * self.gate(graph.edges), self.gamma * self.bias(graph.edges)  # [s n h]
        if edges is not None and self.edge_stream is not None:
            gate_2, bias_2 = self.edge_stream.steer(edges, context)
            gate, bias = gate + gate_2, bias + bias_2  # [k s n h]
        heads = self.qkv(self.norm(nodes, context)).unflatten(-1, (3, self.n_heads, -1))
        query, key, value = heads.unbind(-3)  # each [k s h d]
        size = rows_within(CHUNK, nodes.device, nodes.shape[0] * graph.index.shape[1] * nodes.shape[-1])
        pieces = []
        for here in row_blocks(len(graph), budget=size):
            rows, steer = graph.index[here], (gate[..., here, :, :], bias[..., here, :, :])
            pieces.append(_attend(query[:, here], key[:, rows], value[:, rows], *steer, graph.valid[here]))
        nodes = nodes + self.dropout(self._bring(graph.features, torch.cat([mixed for mixed, _ in pieces], 1)))
        nodes = nodes + self.dropout(self.feed(self.norm_2(nodes, context)))
        if edges is not None and self.edge_stream is not None:
            scores = torch.cat([scores for _, scores in pieces], 1)
            edges = self.edge_stream(edges, scores, context)
        return nodes, edges

    def _bring(self, features: Tensor, mixed: Tensor) -> Tensor:
        """Mixed values [k s h d] -> what is added to the nodes [k s c]; features scale and shift it."""
        mixed = mixed.flatten(-2)
        scale, shift = self.film(features if self.fuse is None else silu(features)).chunk(2, -1)
        if self.fuse is None:
            return torch.addcmul(shift, self.join(mixed), 1 + scale)
        return self.join(torch.addcmul(shift, mixed, 1 + scale))


def fusion(n_context: int, width: int) -> nn.Sequential:
    """Level and pooled conditions, one after another -> context of the norms (equation 23)."""
    return nn.Sequential(nn.Linear(n_context, width), nn.SiLU(), nn.Linear(width, width))


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
    released
        Layers as in the release, see `GraphLayer`, and GELU in the maps that take in nodes and edges.
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
        released: bool = False,
    ):
        super().__init__()
        if width % n_heads:
            raise EosinError(
                f"graph width {width} cannot be split among {n_heads} heads", fix="choose graph_heads to divide it"
            )
        n_in = n_features if n_noisy is None else n_noisy
        active = nn.GELU if released else nn.SiLU
        self.enter = nn.Sequential(nn.Linear(n_in, width), active(), nn.Linear(width, width))
        self.time = None if n_noisy is None else TimeEmbedding(width)
        self.pool = nn.Linear(n_features + 2, width)
        n_context = width if n_noisy is None else 2 * width
        self.fuse = None if released else fusion(n_context, width)  # else every layer has its own
        own = n_context if released else None
        self.layers = nn.ModuleList(
            GraphLayer(width, n_heads, n_features, edge_width, dropout, n_context=own) for _ in range(depth)
        )
        self.norm, self.out = nn.LayerNorm(width), nn.Linear(width, n_out)
        self.edge_in = self.edge_out = None
        if edge_width is not None:
            self.edge_in = nn.Sequential(nn.Linear(1, edge_width), active(), nn.Linear(edge_width, edge_width))
            self.edge_out = nn.Sequential(nn.LayerNorm(edge_width), nn.Linear(edge_width, 1))
        start_by_xavier(self)
        if not released:  # the release's start of all maps comes last there, so that its norms too start at random
            start_at_zero(part.modulate for part in self.modules() if isinstance(part, AdaptiveNorm))

    def forward(
        self, graph: Graph, noisy: Tensor | None = None, edges: Tensor | None = None, level: Tensor | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """`noisy` [k s c], `edges` [k s n] -> [k s out], [k s n] (k = 1 without a noisy state)."""
        context = self.pool(graph.pooled)
        if self.time is not None and level is not None:
            now = embed(self.time, level).expand(-1, len(graph), -1)
            context = torch.cat([now, context.expand(len(now), -1, -1)], -1)
        context = context if self.fuse is None else self.fuse(context)
        nodes = self.enter(graph.features[None] if noisy is None else noisy)
        states = None if edges is None or self.edge_in is None else self.edge_in(edges[..., None])
        for layer in self.layers:
            nodes, states = layer(graph, nodes, states, context)
        answer = self.out(self.norm(nodes))
        if states is None or self.edge_out is None:
            return answer, None
        return answer, graph.symmetric(self.edge_out(states)[..., 0])


def embed(time: TimeEmbedding, level: Tensor) -> Tensor:
    """Levels [k s] -> [k s width]; the same level everywhere is embedded once."""
    return time(level.flatten()).unflatten(0, level.shape)
