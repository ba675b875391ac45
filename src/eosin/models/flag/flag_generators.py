"""What FLAG trains: networks from a noisy state to an answer, on the graph transformer of `flag_net.py`.

All take noisy states [k s c] (k draws of the same spots) and the noise level as numbers [k s], or [1 1] for all.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from eosin.models.flag.flag_graph import Graph
from eosin.models.flag.flag_net import CHUNK, GraphEncoder, embed
from eosin.models.parts.dit import GeneDiT, TimeEmbedding, start_by_xavier
from eosin.models.parts.rows_within import rows_within
from eosin.row_blocks import row_blocks


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
        """The graph transformer's answer; no tokens."""
        return self.graph(graph, state, None, level)[0], None


class JointGenerator(Generator):
    """Joint node-edge diffusion: expression and correlations come out of one graph transformer."""

    def __init__(self, graph: GraphEncoder, n_genes: int):
        super().__init__()
        self.graph, self.n_genes = graph, n_genes

    def forward(
        self, graph: Graph, state: Tensor, level: Tensor, shared: Tensor | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """Nodes and edges side by side [k s g+n]; no tokens."""
        nodes, edges = self.graph(graph, state[..., : self.n_genes], state[..., self.n_genes :], level)
        assert edges is not None
        return torch.cat([nodes, edges], -1), None


class OwnFeatures(nn.Module):
    """In the place of the graph transformer: numbers from each spot's own features, without neighbours or noise."""

    def __init__(self, n_features: int, n_out: int, *, width: int, dropout: float):
        super().__init__()
        self.enter = nn.Sequential(
            nn.Linear(n_features, width), nn.SiLU(), nn.Dropout(dropout), nn.Linear(width, n_out)
        )
        start_by_xavier(self)

    def forward(
        self, graph: Graph, noisy: Tensor | None = None, edges: Tensor | None = None, level: Tensor | None = None
    ) -> tuple[Tensor, None]:
        """[1 s out]."""
        return self.enter(graph.features)[None], None


class GeneGenerator(Generator):
    """FLAG: the graph transformer's answer is the condition of a transformer over each spot's genes.

    Parameters
    ----------
    graph
        The graph transformer, or what stands in its place where spots are to be alone (then not `routed`).
    routed
        The graph takes the noisy state (Algorithm 1), so that neighbours are drawn together; else features only
        (equation 5), and it runs once per section.
    bridge_width
        Hidden width of the map from the graph's numbers to the condition (equation 61).
    """

    def __init__(
        self, graph: GraphEncoder | OwnFeatures, n_handed: int, dit: GeneDiT, *, bridge_width: int, routed: bool
    ):
        super().__init__()
        self.graph, self.dit, self.routed = graph, dit, routed
        self.time = TimeEmbedding(dit.width)
        self.bridge = nn.Sequential(nn.Linear(n_handed, bridge_width), nn.SiLU(), nn.Linear(bridge_width, dit.width))
        start_by_xavier(self.bridge)

    def precompute(self, graph: Graph) -> Tensor | None:
        """The condition [1 s width] without time, unless the noisy state is part of it."""
        return None if self.routed else self.bridge(self.graph(graph)[0])

    def forward(
        self, graph: Graph, state: Tensor, level: Tensor, shared: Tensor | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """The transformer's answer, and with gradients its tapped tokens; in pieces that bound the memory."""
        if shared is None:
            handed, _ = self.graph(graph, state, None, level) if self.routed else self.graph(graph)
            shared = self.bridge(handed)
        k, s, g = state.shape
        condition = shared + embed(self.time, level)  # [k or 1, s, width]
        if len(condition) == k:
            state, condition = state.reshape(1, k * s, g), condition.reshape(1, k * s, -1)
        size = rows_within(CHUNK, state.device, len(state) * g * self.dit.width)
        answers, tokens = [], []
        for rows in row_blocks(state.shape[1], budget=size):
            answer = self.dit(state[:, rows], condition[0, rows])
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
        start_by_xavier(self.project)
        self.register_buffer("vectors", torch.zeros(n_genes, n_vector))  # a row of zeros: the gene has none

    def forward(self, tokens: Tensor) -> Tensor:
        """Scalar for tokens [.. s g width]; 0 where no gene has a vector."""
        has = self.vectors.square().sum(-1) > 0
        cosine = torch.nn.functional.cosine_similarity(self.project(tokens), self.vectors, dim=-1)
        return -(cosine * has).sum() / (cosine[..., 0].numel() * has.sum().clamp(min=1))
