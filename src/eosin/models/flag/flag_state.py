"""What FLAG diffuses on its graph: expression, or expression and the correlations of neighbours."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from eosin.generative.ve import Output
from eosin.models.flag.flag_graph import Graph


class State(ABC):
    """What is diffused: tensors [k s c] whose first g channels are genes."""

    @abstractmethod
    def clean(self, graph: Graph, values: Tensor) -> Tensor:
        """Values [s g] -> state [1 s c]."""

    @abstractmethod
    def noise(self, graph: Graph, k: int, n_genes: int, rng: torch.Generator) -> Tensor:
        """Standard normal noise [k s c], drawn on the CPU."""


class Nodes(State):
    """Expression."""

    def clean(self, graph: Graph, values: Tensor) -> Tensor:
        """The values themselves."""
        return values[None]

    def noise(self, graph: Graph, k: int, n_genes: int, rng: torch.Generator) -> Tensor:
        """A number per spot and gene."""
        return torch.randn(k, len(graph), n_genes, generator=rng)


@dataclass(frozen=True)
class NodesAndEdges(State):
    """Expression and the correlation of every spot with those it sees (section 3.2).

    Attributes
    ----------
    n_genes
        Genes of the panel, the first channels of a state.
    """

    n_genes: int

    def clean(self, graph: Graph, values: Tensor) -> Tensor:
        """Values, then correlations [s n] of the edges."""
        return torch.cat([values, correlation(graph, values[None])[0]], -1)[None]

    def noise(self, graph: Graph, k: int, n_genes: int, rng: torch.Generator) -> Tensor:
        """A number per spot and gene, then one per pair of spots, the same for both directions."""
        nodes = torch.randn(k, len(graph), n_genes, generator=rng)
        pairs = torch.randn(k, graph.n_pairs, generator=rng)  # one number for both directions of an edge
        assert graph.pair is not None
        edges = pairs[:, graph.pair.cpu()] * graph.others.cpu()
        return torch.cat([nodes, edges], -1)


def correlation(graph: Graph, values: Tensor) -> Tensor:
    """Pearson correlation across genes of each spot with those it sees: [k s g] -> [k s n], 0 at itself."""
    centred = values - values.mean(-1, keepdim=True)
    unit = centred / (centred.square().sum(-1, keepdim=True) + 1e-6).sqrt()
    columns = [(unit * unit[:, rows]).sum(-1) for rows in graph.index.T]
    return torch.stack(columns, -1) * graph.others


class Joined(Output):
    """Two outputs side by side: the first `n_first` channels by one, each of the others by another of one channel."""

    def __init__(self, first: Output, second: Output, n_first: int):
        super().__init__()
        self.first, self.second, self.n_first = first, second, n_first

    def observe(self, values: np.ndarray) -> None:
        """Let the first output learn from the values; edges have none to learn from."""
        self.first.observe(values)

    def enter(self, x: Tensor, sigma: Tensor) -> Tensor:
        """Each by its own."""
        return self._both("enter", sigma, x)

    def guess(self, x: Tensor, answer: Tensor, sigma: Tensor) -> Tensor:
        """Each by its own."""
        return self._both("guess", sigma, x, answer)

    def error(self, guess: Tensor, clean: Tensor, sigma: Tensor) -> Tensor:
        """Each by its own."""
        return self._both("error", sigma, guess, clean)

    def start(self, noise: Tensor, sigma: Tensor) -> Tensor:
        """Each by its own."""
        return self._both("start", sigma, noise)

    def _both(self, what: str, sigma: Tensor, *tensors: Tensor) -> Tensor:
        n = self.n_first
        nodes = getattr(self.first, what)(*(x[..., :n] for x in tensors), sigma)
        edges = getattr(self.second, what)(*(x[..., n:, None] for x in tensors), sigma[..., None])
        return torch.cat([nodes, edges[..., 0]], -1)
