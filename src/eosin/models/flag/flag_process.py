"""How FLAG's network is trained and asked: as the denoiser of a diffusion, or, as the ablation has it, as a regression.

Values [s g] are on the network's scale, as `flag_model.py` makes them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np
import torch
from torch import Tensor, nn

from eosin.generative.mirrored import Noise, mirrored
from eosin.generative.ve import VE, Clock, Output, heun_back
from eosin.models.flag.flag_generators import Generator
from eosin.models.flag.flag_graph import Graph
from eosin.models.flag.flag_net import CHUNK
from eosin.models.flag.flag_objective import Answer
from eosin.models.flag.flag_state import State
from eosin.models.parts.rows_within import rows_within
from eosin.row_blocks import row_blocks


class Process(nn.Module, ABC):
    """From values to what an objective compares, and from a network to draws."""

    @property
    def generates(self) -> bool:
        """Whether draws differ from one another."""
        return False

    @property
    def mirrored(self) -> bool:
        """Whether draws 2i and 2i + 1 start from opposite noise."""
        return False

    def observe(self, values: np.ndarray) -> None:
        """Learn once, before training, from the values [s g] that are to be generated."""

    @abstractmethod
    def ask(self, generator: Generator, graph: Graph, values: Tensor, rng: torch.Generator) -> tuple[Answer, Tensor]:
        """A training step's answer of the network, and the clean state [1 s c] that it should have guessed."""

    @abstractmethod
    def draw(self, generator: Generator, graph: Graph, n_draws: int, rng: torch.Generator) -> Tensor:
        """Draws [k s g]; a regression gives k = 1 whatever was asked."""


class Diffusion(Process):
    """Variance-exploding diffusion of a state, with its parts handed in.

    Parameters
    ----------
    levels, clock
        Noise levels of the sampler, and the variable in which its steps are straight.
    levels_per_step
        Noise levels at which a training step sees each region.
    time_scale
        What times t in [0, 1] are multiplied by before they enter the network.
    starts
        Which noise several draws start from: `mirrored` or `independent`.
    """

    def __init__(
        self,
        state: State,
        output: Output,
        noise: VE,
        levels: list[float],
        clock: Clock,
        n_genes: int,
        *,
        levels_per_step: int,
        time_scale: float,
        starts: Noise,
    ):
        super().__init__()
        self.state, self.output, self.noise, self.levels, self.clock = state, output, noise, levels, clock
        self.n_genes, self.levels_per_step, self.time_scale = n_genes, levels_per_step, time_scale
        self.starts = starts

    @property
    def generates(self) -> bool:
        """Draws are those of the diffusion."""
        return True

    @property
    def mirrored(self) -> bool:
        """Whether the starts are mirrored: the way back adds no noise."""
        return self.starts is mirrored

    def observe(self, values: np.ndarray) -> None:
        """Let the output learn the values' covariance, where it uses it."""
        self.output.observe(values)

    def ask(self, generator: Generator, graph: Graph, values: Tensor, rng: torch.Generator) -> tuple[Answer, Tensor]:
        """The network's answer at `levels_per_step` random noise levels of every part."""
        clean = self.state.clean(graph, values)
        k, n_parts = self.levels_per_step, int(graph.part.max()) + 1
        t = self.noise.sample_times(k * n_parts, rng).view(k, n_parts).to(clean.device)[:, graph.part]  # one per part
        sigma = self.noise.sigma(t)[..., None]
        noisy = clean + sigma * self.state.noise(graph, k, self.n_genes, rng).to(clean.device)
        guess, tokens = self.guess(generator, graph, noisy, sigma)
        return Answer(graph, guess, self.output.error(guess, clean, sigma), tokens), clean

    def guess(
        self, generator: Generator, graph: Graph, noisy: Tensor, sigma: Tensor, shared: Tensor | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """Clean state from a noisy one [k s c] at levels [k s 1] or [1 1 1], and gene tokens."""
        level = self.time_scale * self.noise.time(sigma)[..., 0]
        answer, tokens = generator(graph, self.output.enter(noisy, sigma), level, shared)
        return self.output.guess(noisy, answer, sigma), tokens

    def draw(self, generator: Generator, graph: Graph, n_draws: int, rng: torch.Generator) -> Tensor:
        """Walk back from noise, in pieces of some draws that bound the memory."""
        noise = self.starts(lambda n: self.state.noise(graph, n, self.n_genes, rng), n_draws)
        shared = generator.precompute(graph)
        size = rows_within(CHUNK, graph.features.device, len(graph) * max(self.n_genes, graph.index.shape[1]))
        return torch.cat(
            [self._draw(generator, graph, noise[some], shared) for some in row_blocks(n_draws, budget=size)]
        )

    def _draw(self, generator: Generator, graph: Graph, noise: Tensor, shared: Tensor | None) -> Tensor:
        noise = noise.to(graph.features.device)
        one = noise.new_ones(1, 1, 1)
        start = self.output.start(noise, one * self.levels[0])
        clean = heun_back(
            lambda x, sigma: self.guess(generator, graph, x, one * sigma, shared)[0], start, self.levels, self.clock
        )
        return clean[..., : self.n_genes]


class Regression(Process):
    """The same network without diffusion: asked once, from no expression, it answers with the values themselves."""

    def __init__(self, n_genes: int):
        super().__init__()
        self.n_genes = n_genes

    def ask(self, generator: Generator, graph: Graph, values: Tensor, rng: torch.Generator) -> tuple[Answer, Tensor]:
        """The network's answer from no expression; nothing is drawn from `rng`."""
        answer, tokens = self._answer(generator, graph)
        return Answer(graph, answer, answer - values, tokens), values[None]

    def draw(self, generator: Generator, graph: Graph, n_draws: int, rng: torch.Generator) -> Tensor:
        """The answer [1 s g], whatever number of draws was asked for."""
        return self._answer(generator, graph)[0]

    def _answer(self, generator: Generator, graph: Graph) -> tuple[Tensor, Tensor | None]:
        nothing = graph.features.new_zeros(1, len(graph), self.n_genes)
        return generator(graph, nothing, nothing.new_zeros(1, 1))
