"""What a model is: two interfaces, and the registry of those that can be named.

A model sees a `Batch` (positions and features) and never counts, files, devices or optimisers. A class is either
one of these interfaces or finished; nobody subclasses a finished one.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from eosin.config import Registry, Settings
from eosin.models.parts.pieces import Hop, Pieces
from eosin.storage.lazy_rows import LazyRows
from eosin.types import Batch, GenePanel

TakeDraws = Callable[[np.ndarray, np.ndarray], None]
"""What gets rows [r] of a section and their draws [k r g] float32, piece by piece, each row once."""
MOST_IN_MEMORY = 50_000
"""Training spots of a cohort on disk that are taken by models which need features in memory and see single spots."""


@dataclass(frozen=True)
class Training:
    """What a model may learn from: training sections only.

    Attributes
    ----------
    batch
        All training spots.
    target
        [s g] float32, expression in the panel's values.
    counts
        [s g] float32, raw counts (for priors that are fitted to counts): an array, or what makes rows of it.
    groups
        [s] int: patient, section or region of each spot; what inner cross-validation keeps together.
    panel
        The genes.
    """

    batch: Batch
    target: np.ndarray
    counts: np.ndarray | LazyRows
    groups: np.ndarray
    panel: GenePanel

    def take(self, rows: np.ndarray) -> Training:
        """Some of the spots as a training set of their own; parts (sections) stay apart, empty ones go.

        Features and counts on disk stay there.
        """
        part = self.batch.part_of_spot()[rows]
        order = np.argsort(part, kind="stable")
        rows, part = rows[order], part[order]
        pieces = [rows[part == p] for p in np.unique(part)]
        batch = replace(self.batch.regions(pieces), training_rows=np.arange(len(rows)))
        lazy = isinstance(self.counts, LazyRows)
        counts = self.counts.chosen(rows) if lazy else self.counts[rows]
        return Training(batch, self.target[rows], counts, self.groups[rows], self.panel)


class Model(ABC):
    """Predicts expression at all spots of a batch jointly."""

    @abstractmethod
    def prepare(self, batch: Batch) -> Any:
        """Whatever depends on neither time nor expression, once per batch: the context of `draw`."""

    @abstractmethod
    def draw(self, context: Any, n_draws: int, rng: torch.Generator) -> Tensor:
        """Draws [k s g] in the panel's values; a point model gives k = 1 whatever was asked."""

    @property
    def generates(self) -> bool:
        """Whether draws are of a distribution that the model learned; a point model gives its mean."""
        return False

    @property
    def reads_rows(self) -> bool:
        """Whether features are read by rows, so that those of a batch may lie on disk."""
        return False

    @property
    def trains_on_rows(self) -> bool:
        """Whether training takes features a region at a time, so that those of a cohort may lie on disk."""
        return self.reads_rows

    @property
    def reach(self) -> tuple[Hop, ...] | None:
        """How far the draws of a spot look, hop by hop; none for a spot by itself. None: at the whole section."""
        return None

    def draw_in_pieces(self, pieces: Pieces, n_draws: int, rng: torch.Generator, take: TakeDraws) -> None:
        """`draw` of one section that does not fit in memory, for models that have a `reach`.

        The draws are those of the whole section but for rounding. This is for models without noise; those that have
        some, or that need to know something of the whole section, say how by themselves.

        Parameters
        ----------
        pieces
            The section.
        n_draws, rng
            As for `draw`.
        take
            Gets the draws of each piece.
        """
        assert self.reach is not None
        for piece in pieces.around(self.reach):
            batch = piece.batch if self.reads_rows else piece.batch.in_memory()
            drawn = self.draw(self.prepare(batch), n_draws, rng)
            take(piece.own, drawn[:, torch.from_numpy(piece.is_own)].float().cpu().numpy())

    @property
    def most_spots(self) -> int | None:
        """Spots that it learns from at most where it does not read by rows and features lie on disk; None: all."""
        return None

    @property
    def mirrored(self) -> bool:
        """Whether draws 2i and 2i + 1 of `draw` start from opposite noise and see no other noise."""
        return False

    def remarks(self, batch: Batch) -> dict[str, Any]:
        """What there is to say of how these spots are predicted, JSON-able; it goes into the log and the prediction."""
        del batch
        return {}

    @abstractmethod
    def arrays(self) -> dict[str, Tensor]:
        """All that was learned, by name; `load_arrays` takes it back."""

    @abstractmethod
    def load_arrays(self, arrays: Mapping[str, Tensor]) -> None:
        """Take back what `arrays` gave, into a model of the same settings and panel."""

    @property
    @abstractmethod
    def n_parameters(self) -> int:
        """Trainable numbers."""


class Solved(Model):
    """A model in closed form."""

    @abstractmethod
    def solve(self, training: Training) -> None:
        """Learn from the training sections, all at once."""

    def prepare(self, batch: Batch) -> Batch:
        """The batch itself, unless a model has something to prepare."""
        return batch


class Learned(Model, nn.Module):
    """A model that is trained by gradient steps on random connected regions."""

    def observe(self, training: Training) -> None:
        """See the training sections once before the first step: scales, priors, baselines in closed form."""

    @abstractmethod
    def loss(self, context: Any, target: Tensor, rng: torch.Generator) -> Tensor:
        """Scalar to minimise for one batch of regions; `target` is [s g]."""

    @property
    def starts_from_base(self) -> bool:
        """Whether an untrained one predicts what a closed-form base does; keeping it untrained is then a choice."""
        return False

    def forward(self, context: Any, target: Tensor, rng: torch.Generator) -> Tensor:
        """`loss`: wrappers for devices and precision hook into `forward`."""
        return self.loss(context, target, rng)

    def arrays(self) -> dict[str, Tensor]:
        """The state of the module, on the CPU."""
        return {name: value.detach().cpu().contiguous() for name, value in self.state_dict().items()}

    def load_arrays(self, arrays: Mapping[str, Tensor]) -> None:
        """Take back what `arrays` gave; a missing or an unknown name is an error."""
        self.load_state_dict(dict(arrays))

    @property
    def n_parameters(self) -> int:
        """Numbers that have a gradient."""
        return sum(p.numel() for p in self.parameters() if p.requires_grad)


@dataclass(frozen=True)
class ModelEntry:
    """A model that can be asked for by name.

    Attributes
    ----------
    build
        (settings, number of features, panel) -> Model, without I/O.
    settings
        The record of its settings.
    title, paper
        For tables: what it is, and where it was published.
    presets
        Named settings: {"paper": {"model": {...}, "train": {...}}}.
    train
        What this model changes of the defaults of training: {"lr": 1e-3}. A preset goes over it, and a user over both.
    drawing
        Settings that only say how draws are made: a trained model can be given other ones.
    older
        What a setting is in a checkpoint that does not name it, since it was written before the setting was there.
        Only where that is not the default of today.
    """

    build: Callable[[Any, int, GenePanel], Model]
    settings: type[Settings]
    title: str
    paper: str
    presets: Mapping[str, Mapping[str, Mapping[str, Any]]] = field(default_factory=dict)
    train: Mapping[str, Any] = field(default_factory=dict)
    drawing: tuple[str, ...] = ()
    older: Mapping[str, Any] = field(default_factory=dict)


MODELS: Registry[ModelEntry] = Registry("model")
