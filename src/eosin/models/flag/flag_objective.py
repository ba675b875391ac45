"""What FLAG minimises: errors of nodes and edges, agreement of both, and the alignment with gene vectors."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from eosin.models.flag.flag_graph import Graph
from eosin.models.flag.flag_state import correlation
from eosin.models.parts.objective import Objective, ValueObjective, squared_error


@dataclass(frozen=True)
class Answer:
    """What a training step got of the network; k noise levels of the same spots, c channels of a state.

    Attributes
    ----------
    graph
        The graph of the spots.
    guess
        [k s c] the guessed clean state.
    error
        [k s c] its difference from the clean state, in units in which all noise levels weigh the same.
    tokens
        [k s g width] gene tokens of the transformer, where they are to be aligned.
    misalignment
        Minus the mean cosine of the projected tokens with the genes' vectors, a scalar, where they are aligned.
    """

    graph: Graph
    guess: Tensor
    error: Tensor
    tokens: Tensor | None = None
    misalignment: Tensor | None = None


@dataclass(frozen=True)
class NodeError:
    """Error of expression over all noise levels, by default the mean squared one (equation 12)."""

    of_values: ValueObjective = squared_error

    def __call__(self, answer: Answer, clean: Tensor) -> Tensor:
        """Scalar; `clean` [1 s c] is the true state."""
        return self.of_values(answer.error, torch.zeros_like(answer.error))


@dataclass(frozen=True)
class NodeAndEdgeError:
    """Mean squared errors of expression and of correlations, and the absolute disagreement of both.

    Attributes
    ----------
    n_genes
        Genes of the panel, the first channels of a state.
    consistency
        Weight of equation 34: the guessed correlations are to be those of the guessed expression. Its gradient
        goes to the edges alone.
    """

    n_genes: int
    consistency: float

    def __call__(self, answer: Answer, clean: Tensor) -> Tensor:
        """Scalar; `clean` [1 s c] is the true state."""
        g, mask, error, guess = self.n_genes, answer.graph.others, answer.error, answer.guess
        n_edges = len(error) * mask.sum().clamp(min=1)
        cost = error[..., :g].square().mean() + (error[..., g:].square() * mask).sum() / n_edges
        if self.consistency:
            implied = correlation(answer.graph, guess[..., :g]).detach()  # as the release: edges follow the nodes
            cost = cost + self.consistency * ((guess[..., g:] - implied).abs() * mask).sum() / n_edges
        return cost


@dataclass(frozen=True)
class WithAlignment:
    """Another objective, plus the weighted misalignment of gene tokens."""

    objective: Objective[Answer, Tensor]
    weight: float

    def __call__(self, answer: Answer, clean: Tensor) -> Tensor:
        """Scalar; `clean` [1 s c] is the true state."""
        cost = self.objective(answer, clean)
        return cost if answer.misalignment is None else cost + self.weight * answer.misalignment
