"""Kernel regression on spots in their context: what a spot and its surroundings look like, solved in one step.

For each encoder (a *member*) a linear and a Gaussian kernel on the features of a spot and of two rings around it;
values centred within sections; penalty and smoothing chosen by inner cross-validation, once for new sections of
patients of training and once for new patients; the members' predictions averaged. See docs/models/kernel.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise

import numpy as np
import torch
from scipy import sparse
from torch import Tensor

from eosin.geometry import ring_averages
from eosin.models.base import MODELS, ModelEntry, Solved, TakeDraws, Training
from eosin.models.kernel.atlas import NOWHERE
from eosin.models.kernel.context import Context
from eosin.models.kernel.feature_maps import Maps, maps_pay
from eosin.models.kernel.fitting import ExactFitting, LandmarkFitting
from eosin.models.kernel.heads import Head, choice_genes, mixed
from eosin.models.kernel.landmark_choice import Regressions, SmoothedSpots, predicted_out_of_fold
from eosin.models.kernel.landmark_fits import LandmarkFits
from eosin.models.kernel.member import Member, Near
from eosin.models.kernel.places_in_pieces import agreement_of_tables, lay_pieces
from eosin.models.kernel.registered import NO_PLACE, Registered, agreement, dense_enough, of_rows
from eosin.models.kernel.settings import KernelSettings
from eosin.models.parts.named_arrays import below, under
from eosin.models.parts.of_batch import OfBatch
from eosin.models.parts.patients import KINDS, Levels, SpotOrigins
from eosin.models.parts.pieces import Hop, Piece, Pieces
from eosin.models.parts.sums import in_few_folds, renumbered
from eosin.row_blocks import row_blocks
from eosin.storage.scratch import let_go
from eosin.types import Batch, GenePanel

_ROWS_AT_ONCE, _SPOTS_AT_ONCE = 4096, 65_536


class Kernel(Solved):
    """Features of spots in their context -> expression; one draw."""

    def __init__(self, settings: KernelSettings, n_features: int, panel: GenePanel):
        self.settings = settings
        n_genes = len(panel)
        self.blocks: tuple[int, ...] = (n_features,)
        self.members: list[Member] = []
        self.heads: list[tuple[Head, Head]] = []  # of each member: for a new patient, for a known one
        self.levels = Levels(np.zeros(n_genes), (), np.zeros((0, n_genes)))
        self.registered: Registered | None = None
        self.genes = np.arange(n_genes)  # those by which the gate of registration judges
        self._verdicts = OfBatch[list[str]]()  # what registration did with the parts
        self._around = OfBatch[tuple[tuple[int, ...], list[Context]]]()  # blocks, and what each member sees
        self._fits = OfBatch[tuple[list[LandmarkFits], list[LandmarkFits]]]()  # of the training spots

    @property
    def reads_rows(self) -> bool:
        """True: features may lie on disk."""
        return True

    def solve(self, training: Training) -> None:
        """Fit every member to all training spots, and choose penalty and smoothing of its heads."""
        s, origins, batch = self.settings, SpotOrigins.of(training), training.batch
        self.blocks = self._blocks_of(batch)
        self.levels = Levels.of(training.target, origins)
        self._verdicts = OfBatch()
        genes = choice_genes(training.target, s.n_choice_genes)
        kind = LandmarkFitting if self._by_landmarks(batch) else ExactFitting
        fitting = kind(training, origins, genes, self._smooth(batch))
        contexts, for_known = self._contexts(batch), []
        self.members, self.heads = [], []
        alike = fitting.alike  # the same folds choose the same
        for context in contexts:
            for_known.append(fitting.choose(context, s))
            for_new = for_known[-1] if alike else fitting.choose(context, s, known=False)
            self.heads.append((for_new.head, for_known[-1].head))
            self.members.append(fitting.member(context, s))
        self.registered = None
        if s.registration and dense_enough(len(batch), s):
            self.registered = Registered.of(fitting, contexts, for_known, s)
            self.genes = genes
        if isinstance(fitting, LandmarkFitting):
            self._fits.put(batch, fitting.fits_of(s))

    def predict(self, batch: Batch) -> np.ndarray:
        """Expression [s g] of all spots of a batch; each part with the head of its patient."""
        total, verdicts = self._by_image(batch), []
        if self.registered is not None:
            verdicts = self._with_places(total, batch, self._contexts(batch), self._smooth(batch))
        self._verdicts.put(batch, verdicts)
        return total + self._level(batch)

    def _level(self, batch: Batch) -> np.ndarray:
        """[s g] or [1 g] what is added to what the regressions say."""
        return self.levels.at(batch) if self.settings.heads else self.levels.overall[None]

    def _by_image(self, batch: Batch) -> np.ndarray:
        """[s g] float32 what the members say without places, on average, and without the level."""
        rows, smooth, known = np.arange(len(batch)), self._smooth(batch), self._known(batch)
        total = np.zeros((len(batch), len(self.levels.overall)), dtype=np.float32)
        for context, member, heads in zip(self._contexts(batch), self.members, self.heads):
            total += values_of(member, context, rows, known, heads, smooth)
        total /= max(len(self.members), 1)
        return total

    @property
    def reach(self) -> tuple[Hop, ...]:
        """To the neighbours that are smoothed over, and from there to those of the outermost ring."""
        s = self.settings
        smooth = (Hop(s.n_neighbours, include_ties=True, reach_um=s.reach_um),)
        return (*smooth, *(Hop(rank, include_ties=True, reach_um=s.reach_um) for rank in s.rings[-1:]))

    def draw_in_pieces(self, pieces: Pieces, n_draws: int, rng: torch.Generator, take: TakeDraws) -> None:
        """[1 r g] of each piece; registration looks at the whole section before."""
        verdicts: list[str] = []
        if self.registered is None:
            for piece in pieces.around(self.reach):
                self._take(pieces, piece.own, self._by_image(piece.batch)[piece.is_own], take)
        else:
            verdicts = [self._draw_registered(pieces, self.registered, take)]
        self._verdicts.put(pieces.batch, verdicts)

    def _take(self, pieces: Pieces, rows: np.ndarray, values: np.ndarray, take: TakeDraws) -> None:
        """Hand over values of some spots of a section, with its level."""
        level = self.levels.of_parts(pieces.batch)[0] if self.settings.heads else self.levels.overall
        take(rows, (values + level).astype(np.float32)[None])

    def _draw_registered(self, pieces: Pieces, registered: Registered, take: TakeDraws) -> str:
        """As `_with_places` for one section in pieces; returns the verdict."""
        by_image = pieces.gathered(lambda piece: self._by_image(piece.batch), len(self.levels.overall), self.reach)
        patient, known = (*pieces.batch.patients, "")[0], bool(self._known(pieces.batch)[0])
        frame = self.levels.patients.index(patient) if known else registered.atlas.largest
        places, accepted, verdict = lay_pieces(registered.atlas, pieces, frame), False, NO_PLACE
        if places is not None:
            near = replace(registered.near, places=places)

            def values(piece: Piece, member: Member, context: Context, head: Head) -> np.ndarray:
                rows, smooth, flags = np.arange(len(piece.rows)), self._smooth(piece.batch), self._known(piece.batch)
                return values_of(member, context, rows, flags, (head, head), smooth, near.take(piece.rows))

            def by_place(piece: Piece) -> np.ndarray:
                context = self._contexts(piece.batch)[0]
                return values(piece, registered.places_alone, context, registered.head_alone)[:, self.genes]

            beside = pieces.gathered(by_place, len(self.genes), self.reach)
            agreed = agreement_of_tables(by_image, beside, self.genes)
            accepted, verdict = registered.judge(agreed, known=known, gate=self.settings.gate)
            for piece in pieces.around(self.reach) if accepted else ():
                parts = zip(registered.members, self._contexts(piece.batch), registered.heads)
                by_both = np.mean([values(piece, *part) for part in parts], axis=0)
                self._take(pieces, piece.own, by_both[piece.is_own], take)
        for rows in row_blocks(0 if accepted else len(pieces), budget=_SPOTS_AT_ONCE):
            self._take(pieces, np.arange(rows.start, rows.stop), by_image[rows], take)
            let_go(by_image)
        return verdict

    def _with_places(
        self, by_image: np.ndarray, batch: Batch, contexts: list[Context], smooth: sparse.csr_matrix
    ) -> list[str]:
        """Put predictions that know places in the rows [s g] of sections where the gate is open; returns verdicts."""
        registered, known = self.registered, self._known(batch)
        assert registered is not None
        numbers = [self.levels.patients.index(p) if p in self.levels.patients else None for p in batch.patients]
        parts = [np.arange(a, b) for a, b in pairwise(batch.starts)]
        frames = [number if len(rows) and known[rows[0]] else None for number, rows in zip(numbers, parts)]
        places = registered.lay(batch, frames or [None] * len(parts))
        near = replace(registered.near, places=places)
        verdicts = []
        for rows in parts:
            if not len(rows) or places.frame[rows[0]] == NOWHERE:
                verdicts.append(NO_PLACE)
                continue
            own, flags = of_rows(smooth, rows), known[rows]
            alone = registered.places_alone
            by_place = values_of(
                alone, contexts[0], rows, flags, (registered.head_alone, registered.head_alone), own, near
            )
            agreed = agreement(by_image[rows][:, self.genes], by_place[:, self.genes])
            accepted, verdict = registered.judge(agreed, known=bool(flags[0]), gate=self.settings.gate)
            verdicts.append(verdict)
            if accepted:
                by_both = [
                    values_of(member, context, rows, flags, (head, head), own, near)
                    for member, context, head in zip(registered.members, contexts, registered.heads)
                ]
                by_image[rows] = np.mean(by_both, axis=0)
        return verdicts

    def out_of_fold(self, training: Training) -> np.ndarray:
        """Predict every training spot from a fit without its group: [s g].

        Penalties and smoothing are those of the whole fit. A spot whose patient has spots outside its group is
        predicted as of a known patient, with its place where registration is used.
        """
        origins, target, batch = SpotOrigins.of(training), training.target, training.batch
        if self._by_landmarks(batch):
            return self.some_out_of_fold(training, np.arange(len(batch)))
        groups, smooth, contexts = origins.groups(), self._smooth(batch), self._contexts(batch)
        registered = self._registered_of(groups, origins)
        places = None if registered is None else registered.atlas.places_of_training(batch, origins)
        result = np.zeros(target.shape, dtype=np.float32)
        for label in np.unique(groups):
            outside, inside = np.flatnonzero(groups == label), np.flatnonzero(groups != label)
            if not len(inside):  # a single spot
                inside = outside
            levels = Levels.of(target[inside], origins.take(inside))
            level, known = levels.of_spots(origins, outside)
            if not self.settings.heads:
                level, known = levels.overall, np.zeros(len(outside), dtype=bool)
            near, heads = None, self.heads
            if registered is not None and places is not None and known.all():
                near, heads = replace(registered.near, places=places), [(head, head) for head in registered.heads]
            own = of_rows(smooth, outside)
            total = np.zeros((len(outside), target.shape[1]), dtype=np.float32)
            for context, pair in zip(contexts, heads):
                member = Member.of(context, target, origins.section, inside, self.settings, near)
                total += values_of(member, context, outside, known, pair, own, near)
            result[outside] = total / len(self.heads) + level
        return result

    def some_out_of_fold(self, training: Training, rows: np.ndarray) -> np.ndarray:
        """[r g]: some of them."""
        if not self._by_landmarks(training.batch):
            return self.out_of_fold(training)[rows]
        origins, batch = SpotOrigins.of(training), training.batch
        labels = in_few_folds(renumbered(origins.groups()), self.settings.n_landmarks)
        places, registered = None, self._registered_of(labels, origins)
        if registered is not None:
            places = registered.atlas.places_of_training(batch, origins)
        contexts = self._contexts(batch)
        by_image, by_both = self._fits.get(batch) or ([], [])
        if not by_image:  # the model was read from a file
            parts = zip(self.members, contexts)
            by_image = [LandmarkFits.around(member, context, self.settings, None) for member, context in parts]
        if registered is None or places is None:
            by_both = []
        elif not by_both:
            near, parts = replace(registered.near, places=places), zip(registered.members, contexts)
            by_both = [LandmarkFits.around(member, context, self.settings, near) for member, context in parts]
        heads = self.heads if registered is None else [(h, k, r) for (h, k), r in zip(self.heads, registered.heads)]
        spots = SmoothedSpots.of(rows, self._smooth(batch))
        return predicted_out_of_fold(
            training, spots, labels, Regressions(by_image, by_both, heads, self.settings.heads)
        )

    def _registered_of(self, groups: np.ndarray, origins: SpotOrigins) -> Registered | None:
        """Registration, where groups [s] are of whole sections: regions of one are not laid over one another."""
        labels = np.unique(origins.section)
        whole = all(len(np.unique(groups[origins.section == label])) == 1 for label in labels)
        return self.registered if whole else None

    def _by_landmarks(self, batch: Batch) -> bool:
        """Whether there are too many training spots to compare each with each."""
        return len(batch) > self.settings.n_exact

    def alike(self, one: Batch, rows: np.ndarray, other: Batch, other_rows: np.ndarray) -> np.ndarray:
        """[r t] the kernel between some spots of two batches, mean over members."""
        total = np.zeros((len(rows), len(other_rows)))
        for member, context, beside in zip(self.members, self._contexts(one), self._contexts(other)):
            look = member.likeness.look(beside, other_rows)
            for block in row_blocks(len(rows), budget=_ROWS_AT_ONCE):
                total[block] += member.likeness.between(member.likeness.look(context, rows[block]), look)
        return total / max(len(self.members), 1)

    def draw(self, context: Batch, n_draws: int, rng: torch.Generator) -> Tensor:
        """[1 s g]."""
        return torch.from_numpy(self.predict(context).astype(np.float32))[None]

    def remarks(self, batch: Batch) -> dict[str, str]:
        """By which head the spots are predicted, and what became of registration."""
        found = {"head": " and ".join(sorted({KINDS[int(flag)] for flag in self._known(batch)}))}
        if self.registered is not None:
            if self._verdicts.get(batch) is None:
                self.predict(batch)
            found["registration"] = "; ".join(self._verdicts.get(batch) or [])
        return found

    def _known(self, batch: Batch) -> np.ndarray:
        """Whether each spot is predicted as of a patient of training, bool [s]."""
        return self.levels.known_spots(batch) if self.settings.heads else np.zeros(len(batch), dtype=bool)

    def _blocks_of(self, batch: Batch) -> tuple[int, ...]:
        several = self.settings.members == "encoders" and batch.blocks
        return tuple(batch.blocks) if several else (batch.features.shape[1],)

    def _contexts(self, batch: Batch) -> list[Context]:
        """The spots as each member sees them, kept for the batch that was last asked for."""
        known = self._around.get(batch)
        if known is None or known[0] != self.blocks:
            s = self.settings
            rings = ring_averages(batch.xy_um, s.rings, starts=batch.starts, reach_um=s.reach_um)
            whole = Context(batch.features, rings)
            contexts = [whole.member(slice(a, b)) for a, b in pairwise(np.cumsum([0, *self.blocks]))]
            known = self._around.put(batch, (self.blocks, contexts))
        return known[1]

    def _smooth(self, batch: Batch) -> sparse.csr_matrix:
        n, reach_um = self.settings.n_neighbours, self.settings.reach_um
        if self.settings.rings[:1] == (n,):
            return self._contexts(batch)[0].rings[0]
        return ring_averages(batch.xy_um, (n,), starts=batch.starts, reach_um=reach_um)[0]

    def arrays(self) -> dict[str, Tensor]:
        """Members, heads, levels and the numbers of features of the members."""
        heads = [[(head.penalty, head.smoothing) for head in pair] for pair in self.heads]
        arrays = {"blocks": torch.tensor(self.blocks), "heads": torch.tensor(heads, dtype=torch.float64)}
        arrays |= under("levels.", self.levels.arrays())
        for number, member in enumerate(self.members):
            arrays |= under(f"member.{number}.", member.arrays())
        if self.registered is not None:
            arrays |= under("registered.", self.registered.arrays())
            arrays["genes"] = torch.from_numpy(self.genes)
        return arrays

    def load_arrays(self, arrays: Mapping[str, Tensor]) -> None:
        """Take what `arrays` gave."""
        self._verdicts, self._fits = OfBatch(), OfBatch()
        self.blocks = tuple(arrays["blocks"].tolist())
        self.heads = [(Head(*new), Head(*known)) for new, known in arrays["heads"].tolist()]
        self.levels = Levels.of_arrays(below("levels.", arrays))
        self.members = [Member.of_arrays(below(f"member.{number}.", arrays)) for number in range(len(self.heads))]
        self.registered = (
            (Registered.of_arrays(below("registered.", arrays), self.members)) if "genes" in arrays else None
        )
        if "genes" in arrays:
            self.genes = arrays["genes"].numpy()

    @property
    def n_parameters(self) -> int:
        """Fitted numbers: those of the regressions per gene, and the levels."""
        return sum(member.spectrum.cross.size for member in self.members) + self.levels.overall.size


def values_of(
    member: Member,
    context: Context,
    rows: np.ndarray,
    known: np.ndarray,
    heads: tuple[Head, Head],
    smooth: sparse.csr_matrix,
    near: Near | None = None,
) -> np.ndarray:
    """What a member says of some spots [r g], smoothed, without levels; each by the head of its patient.

    Parameters
    ----------
    member, context, near
        The regression; all spots with its features, and their places.
    rows
        The spots.
    known
        bool [r] whether their patient is known.
    heads
        For new and for known patients.
    smooth
        [r r] averages over neighbours.
    """
    plain = np.zeros((len(rows), member.spectrum.cross.shape[1]), dtype=np.float32)
    by_maps = maps_pay(member, member.spectrum.cross.shape[1])
    for flag in (False, True) if by_maps else ():
        own = known == flag
        if own.any():
            plain[own] = Maps.of(member, heads[flag].penalty).values(context, rows[own], near)
    for block in row_blocks(0 if by_maps else len(rows), budget=_ROWS_AT_ONCE):
        coordinates = member.coordinates(context, rows[block], near)
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
