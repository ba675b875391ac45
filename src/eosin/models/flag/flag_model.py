"""FLAG's model: a network over a graph of spots, and how it is trained and asked; settings are in `flag.py`."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from eosin.models.base import Training
from eosin.models.flag.flag_generators import Alignment, Generator
from eosin.models.flag.flag_graph import Graph, GraphBuilder
from eosin.models.flag.flag_objective import Answer
from eosin.models.flag.flag_process import Process
from eosin.models.parts.gene_embedding import GeneVectors, resize
from eosin.models.parts.objective import Objective
from eosin.models.parts.on_base import NetworkUnits, OnBase
from eosin.types import Batch


@dataclass
class FLAGContext:
    """One prepared batch."""

    graph: Graph
    base: Tensor  # [s g] or [1 1]


class GraphModel(OnBase):
    """A network over a graph of spots with its parts handed in.

    Parameters
    ----------
    generator
        The network.
    process
        How it is trained and asked.
    builder
        Batch -> graph.
    units
        What stands between a batch and the network.
    objective
        What training minimises, of an `Answer` and the clean state.
    alignment, vectors
        Projects gene tokens, where they are aligned; and where the genes' vectors come from.
    clamp
        Set negative values of every draw to 0.
    """

    def __init__(
        self,
        generator: Generator,
        process: Process,
        builder: GraphBuilder,
        units: NetworkUnits,
        objective: Objective[Answer, Tensor],
        alignment: Alignment | None,
        vectors: GeneVectors,
        *,
        clamp: bool,
    ):
        super().__init__(units)
        self.generator, self.process, self.builder, self.objective = generator, process, builder, objective
        self.alignment, self.vectors, self.clamp = alignment, vectors, clamp

    def observe_left_over(self, training: Training, left_over: np.ndarray) -> None:
        """Fit the process to what has to be generated, and look up the genes' vectors."""
        self.process.observe((left_over - self.scale.mean.cpu().numpy()) / self.scale.sd.cpu().numpy())
        if self.alignment is not None:
            vectors = resize(self.vectors.of(training), self.alignment.vectors.shape[1])
            self.alignment.vectors.copy_(torch.from_numpy(vectors))

    @property
    def generates(self) -> bool:
        """Whether the process does; a regression gives its mean."""
        return self.process.generates

    @property
    def mirrored(self) -> bool:
        """Whether the process's draws are mirrored."""
        return self.process.mirrored

    def prepare(self, batch: Batch) -> FLAGContext:
        """The graph, and the base's prediction."""
        features, base = self.enter(batch)
        return FLAGContext(self.builder.build(batch, features), base)

    def loss(self, context: FLAGContext, target: Tensor, rng: torch.Generator) -> Tensor:
        """The objective of what the process asks the network."""
        values = self.to_network(target, context.base)
        answer, clean = self.process.ask(self.generator, context.graph, values, rng)
        if self.alignment is not None and answer.tokens is not None:
            answer = replace(answer, misalignment=self.alignment(answer.tokens))
        return self.objective(answer, clean)

    @torch.no_grad()
    def draw(self, context: FLAGContext, n_draws: int, rng: torch.Generator) -> Tensor:
        """The process's draws; a regression gives one."""
        values = self.to_values(self.process.draw(self.generator, context.graph, n_draws, rng), context.base)
        return (values.clamp(min=0) if self.clamp else values).cpu()
