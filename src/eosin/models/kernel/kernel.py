"""Kernel regression on spots in their context: what a spot and its surroundings look like, solved in one step.

For each encoder (a *member*) a linear and a Gaussian kernel on the features of a spot and of two rings around it;
values centred within sections; penalty and smoothing chosen by inner cross-validation, once for new sections of
patients of training and once for new patients; the members' predictions averaged. See docs/models/kernel.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

import numpy as np
import torch
from scipy import sparse
from torch import Tensor

from eosin.geometry import ring_averages
from eosin.models.base import MODELS, ModelEntry, Solved, Training
from eosin.models.kernel.context import Context
from eosin.models.kernel.heads import Head, choice_genes, choose_head, mixed
from eosin.models.kernel.member import Member, below
from eosin.models.kernel.settings import KernelSettings
from eosin.models.parts.patients import KINDS, Levels, SpotOrigins
from eosin.row_blocks import row_blocks
from eosin.types import Batch, GenePanel

_ROWS_AT_ONCE = 4096


class Kernel(Solved):
    """Features of spots in their context -> expression; one draw."""

    def __init__(self, settings: KernelSettings, n_features: int, panel: GenePanel):
        self.settings = settings
        n_genes = len(panel)
        self.blocks: tuple[int, ...] = (n_features,)
        self.members: list[Member] = []
        self.heads: list[tuple[Head, Head]] = []  # of each member: for a new patient, for a known one
        self.levels = Levels(np.zeros(n_genes), (), np.zeros((0, n_genes)))

    def solve(self, training: Training) -> None:
        """Fit every member to all training spots, and choose penalty and smoothing of its heads."""
        s, origins = self.settings, SpotOrigins.of(training)
        self.blocks = self._blocks_of(training.batch)
        self.levels = Levels.of(training.target, origins)
        chosen_by = training.target[:, choice_genes(training.target, s.n_choice_genes)].astype(np.float64)
        rows, smooth = np.arange(len(training.batch)), self._smooth(training.batch)
        self.members, self.heads = [], []
        for context in self._contexts(training.batch):
            heads: dict[tuple[tuple[int, ...], ...], Head] = {}
            pair = []
            for folds in (origins.folds_of_new(), origins.folds_of_known()):
                key = tuple(tuple(fold) for fold in folds)
                if key not in heads:  # the same folds choose the same
                    heads[key] = choose_head(context, chosen_by, origins, folds, s, smooth)
                pair.append(heads[key])
            self.heads.append((pair[0], pair[1]))
            self.members.append(Member.of(context, training.target, origins.section, rows, s))

    def predict(self, batch: Batch) -> np.ndarray:
        """Expression [s g] of all spots of a batch; each part with the head of its patient."""
        known = self._known(batch, self.levels)
        level = self.levels.at(batch) if self.settings.heads else self.levels.overall[None]
        rows, smooth = np.arange(len(batch)), self._smooth(batch)
        total = np.zeros((len(batch), len(self.levels.overall)), dtype=np.float32)
        for context, member, heads in zip(self._contexts(batch), self.members, self.heads):
            total += _values(member, context, rows, known, heads, smooth)
        return total / max(len(self.members), 1) + level

    def out_of_fold(self, training: Training) -> np.ndarray:
        """Predict every training spot from a fit without its group: [s g].

        Penalties and smoothing are those of the whole fit. A spot whose patient has spots outside its group is
        predicted as of a known patient.
        """
        origins, target = SpotOrigins.of(training), training.target
        groups, smooth = origins.groups(), self._smooth(training.batch)
        contexts = self._contexts(training.batch)
        result = np.zeros(target.shape, dtype=np.float32)
        for label in np.unique(groups):
            outside, inside = np.flatnonzero(groups == label), np.flatnonzero(groups != label)
            if not len(inside):  # a single spot
                inside = outside
            levels = Levels.of(target[inside], origins.take(inside))
            level, known = levels.of_spots(origins, outside)
            if not self.settings.heads:
                level, known = levels.overall, np.zeros(len(outside), dtype=bool)
            own = smooth[outside][:, outside]
            total = np.zeros((len(outside), target.shape[1]), dtype=np.float32)
            for context, heads in zip(contexts, self.heads):
                member = Member.of(context, target, origins.section, inside, self.settings)
                total += _values(member, context, outside, known, heads, own)
            result[outside] = total / len(self.heads) + level
        return result

    def draw(self, context: Batch, n_draws: int, rng: torch.Generator) -> Tensor:
        """[1 s g]."""
        return torch.from_numpy(self.predict(context).astype(np.float32))[None]

    def remarks(self, batch: Batch) -> dict[str, str]:
        """By which head the spots are predicted."""
        known = self._known(batch, self.levels)
        heads = {KINDS[int(flag)] for flag in known}
        return {"head": " and ".join(sorted(heads))} if heads else {}

    def _known(self, batch: Batch, levels: Levels) -> np.ndarray:
        """Whether each spot is of a patient of training, bool [s]."""
        of_part = [self.settings.heads and levels.known(patient) for patient in batch.patients]
        return np.array(of_part, dtype=bool)[batch.part_of_spot()] if of_part else np.zeros(len(batch), dtype=bool)

    def _blocks_of(self, batch: Batch) -> tuple[int, ...]:
        several = self.settings.members == "encoders" and batch.blocks
        return tuple(batch.blocks) if several else (batch.features.shape[1],)

    def _contexts(self, batch: Batch) -> list[Context]:
        """The spots as each member sees them."""
        context = Context.of(batch, self.settings.rings)
        return [context.member(slice(a, b)) for a, b in pairwise(np.cumsum([0, *self.blocks]))]

    def _smooth(self, batch: Batch) -> sparse.csr_matrix:
        return ring_averages(batch.xy_um, (self.settings.n_neighbours,), starts=batch.starts)[0]

    def arrays(self) -> dict[str, Tensor]:
        """Members, heads, levels and the numbers of features of the members."""
        heads = [[(head.penalty, head.smoothing) for head in pair] for pair in self.heads]
        arrays = {"blocks": torch.tensor(self.blocks), "heads": torch.tensor(heads, dtype=torch.float64)}
        arrays |= {f"levels.{name}": value for name, value in self.levels.arrays().items()}
        for number, member in enumerate(self.members):
            arrays |= {f"member.{number}.{name}": value for name, value in member.arrays().items()}
        return arrays

    def load_arrays(self, arrays: Mapping[str, Tensor]) -> None:
        """Take what `arrays` gave."""
        self.blocks = tuple(arrays["blocks"].tolist())
        self.heads = [(Head(*new), Head(*known)) for new, known in arrays["heads"].tolist()]
        self.levels = Levels.of_arrays(below("levels.", arrays))
        self.members = [Member.of_arrays(below(f"member.{number}.", arrays)) for number in range(len(self.heads))]

    @property
    def n_parameters(self) -> int:
        """Fitted numbers: those of the regressions per gene, and the levels."""
        return sum(member.spectrum.cross.size for member in self.members) + self.levels.overall.size


def _values(
    member: Member,
    context: Context,
    rows: np.ndarray,
    known: np.ndarray,
    heads: tuple[Head, Head],
    smooth: sparse.csr_matrix,
) -> np.ndarray:
    """What a member says of some spots [r g], smoothed, without levels; each by the head of its patient."""
    plain = np.zeros((len(rows), member.spectrum.cross.shape[1]), dtype=np.float32)
    for block in row_blocks(len(rows), budget=_ROWS_AT_ONCE):
        coordinates = member.coordinates(context, rows[block])
        for flag in (False, True):
            own = known[block] == flag
            if own.any():
                plain[block][own] = member.spectrum.values(coordinates[own], heads[flag].penalty)
    result = plain
    for flag in (False, True):
        if (known == flag).any():
            result = np.where((known == flag)[:, None], mixed(plain, smooth, heads[flag].smoothing), result)
    return result


MODELS.add(
    "kernel",
    ModelEntry(
        Kernel,
        KernelSettings,
        "kernel regression on spots in their context, solved in one step",
        "eosin: docs/models/kernel.md",
        presets={"small": {}},
    ),
)
