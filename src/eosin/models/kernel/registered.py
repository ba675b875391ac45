"""Registration: spots that lie at the same place of a serial section are alike, where a gate finds that it holds.

Training sections are laid over the largest one of their patient. Nearness there is a third part of the kernel, whose
weight and length are chosen by leaving sections out. A section to predict is laid over the reference too, and the part
is used only where a prediction from the image alone and one from places alone agree: nothing but its image is seen.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import torch
from scipy import sparse
from torch import Tensor

from eosin.metrics import pearson_per_gene
from eosin.models.kernel.atlas import NOWHERE, Atlas, Places
from eosin.models.kernel.context import Context
from eosin.models.kernel.fitting import ExactFitting, Fitting
from eosin.models.kernel.heads import Chosen, Head, Judged, score
from eosin.models.kernel.member import Member, Near, landmarks
from eosin.models.kernel.settings import KernelSettings
from eosin.models.parts.named_arrays import below, under
from eosin.types import Batch

log = logging.getLogger("eosin")

_WITHIN, _ACROSS, _MARGIN = 0.6, 0.7, 0.15
"""Agreement that one training section asks for, of its own patient and of others; what several may fall short of."""
_WEIGHT, _LENGTH = 0.25, 1.5
"""Of the part for places where one training section leaves nothing to choose by."""


NO_PLACE = "found nothing to lay it over"
"""What registration says of a section that fits nowhere."""
_MOST_PER_LANDMARK = 16
"""Training spots for each landmark, beyond which most spots would have no landmark at their place."""


def dense_enough(n_spots: int, settings: KernelSettings) -> bool:
    """Whether landmarks lie so near one another that a part for places says something; else a line in the log."""
    if n_spots <= max(settings.n_exact, _MOST_PER_LANDMARK * settings.n_landmarks):
        return True
    log.info(
        "sections are not laid over one another: %d landmarks are too few for %d spots", settings.n_landmarks, n_spots
    )
    return False


@dataclass(frozen=True)
class Registered:
    """What registration knows after training.

    Attributes
    ----------
    atlas
        The references.
    members, heads
        The members with the part for places, and their heads.
    places_alone, head_alone
        The regression on places alone, which the gate compares with.
    needed
        Agreement that the gate asks for: of patients of training, and of others.
    """

    atlas: Atlas
    members: tuple[Member, ...]
    heads: tuple[Head, ...]
    places_alone: Member
    head_alone: Head
    needed: tuple[float, float]

    @classmethod
    def of(
        cls,
        fitting: Fitting,
        contexts: Sequence[Context],
        chosen: Sequence[Chosen],
        settings: KernelSettings,
    ) -> Registered | None:
        """Learn from the training spots; None where registration gains nothing when sections are left out.

        Parameters
        ----------
        fitting
            All training spots, and how members are fitted to them.
        contexts, chosen
            The members' features, and their heads for patients of training, with what was predicted out of fold.
        settings
            Of the model.
        """
        batch, origins, n = fitting.training.batch, fitting.origins, len(fitting.training.batch)
        rows = np.arange(n) if n <= settings.n_exact else landmarks(origins.section, np.arange(n), settings)
        atlas = Atlas.of(batch, origins, settings.n_map_components, rows)
        places = atlas.places_of_training(batch, origins)
        several = (origins.sections_with_siblings() != -1).any()
        near = Near(places, _WEIGHT, _LENGTH)
        if several and isinstance(fitting, ExactFitting):
            judged = fitting.judged(known=True)
            near = _best_near(contexts, places, judged, [c.head.penalty for c in chosen], settings)
        if near.weight == 0 or (places.frame == NOWHERE).all():
            return None
        heads = [
            fitting.choose(context, settings, near).head if several else c.head for context, c in zip(contexts, chosen)
        ]
        alone = settings.model_copy(update={"linear": False, "rbf": False})
        only_near = Near(places, 1.0, near.length)
        by_place, folds = fitting.choose(contexts[0], alone, only_near), fitting.folds(known=True)
        needed = (_WITHIN, _ACROSS)
        if several and folds:
            agreements = [agreement(np.mean([c.of(fold) for c in chosen], 0), by_place.of(fold)) for fold in folds]
            needed = (min(agreements) - _MARGIN, max(min(agreements) - _MARGIN, _ACROSS))
        members = [fitting.member(context, settings, near) for context in contexts]
        places_alone = fitting.member(contexts[0], alone, only_near)
        return cls(atlas, tuple(members), tuple(heads), places_alone, by_place.head, needed)

    @property
    def near(self) -> Near:
        """The part for places in the kernel; its places are those of the anchors."""
        near = self.members[0].near
        assert near is not None
        return near

    def judge(self, agreed: float, *, known: bool, gate: bool) -> tuple[bool, str]:
        """Whether a section's places are used, by how image and place agree, and that in words."""
        needed = self.needed[0 if known else 1]
        accepted = agreed >= needed or not gate
        verb = "used" if accepted else "refused"
        return accepted, f"{verb}: image and place agree to {agreed:.2f}, {needed:.2f} is asked for"

    def lay(self, batch: Batch, frames: Sequence[int | None]) -> Places:
        """Where the spots of each part lie; `frames` has the part's own patient, None where that is not known."""
        context, places = Context.of(batch, (8,)), Places.nowhere(len(batch))
        for part, frame in enumerate(frames):
            rows = np.arange(batch.starts[part], batch.starts[part + 1])
            on = self.atlas.largest if frame is None else frame
            placement = self.atlas.lay(batch, rows, context, on)
            if placement is not None:
                places.frame[rows], places.xy[rows] = on, placement.xy
        return places

    def arrays(self) -> dict[str, Tensor]:
        """All of it, by name."""
        heads = [(head.penalty, head.smoothing) for head in (*self.heads, self.head_alone)]
        arrays = {"heads": torch.tensor(heads, dtype=torch.float64)}
        arrays["needed"] = torch.tensor(self.needed, dtype=torch.float64)
        arrays |= under("atlas.", self.atlas.arrays())
        for number, member in enumerate((*self.members, self.places_alone)):
            arrays |= under(f"member.{number}.", member.arrays_of_places())
        return arrays

    @classmethod
    def of_arrays(cls, arrays: Mapping[str, Tensor], members_by_image: Sequence[Member]) -> Registered:
        """What `arrays` gave; the kernels of the image are those of the members without places."""
        heads = [Head(*pair) for pair in arrays["heads"].tolist()]
        kernels = [*members_by_image, members_by_image[0].without_image()]
        members = [
            Member.of_arrays_of_places(below(f"member.{number}.", arrays), kernel)
            for number, kernel in enumerate(kernels)
        ]
        within, across = arrays["needed"].tolist()
        atlas = Atlas.of_arrays(below("atlas.", arrays))
        return cls(atlas, tuple(members[:-1]), tuple(heads[:-1]), members[-1], heads[-1], (within, across))


def agreement(one: np.ndarray, other: np.ndarray) -> float:
    """Mean correlation over genes of two predictions [s g] of a section; 0 where one is constant."""
    return float(np.nan_to_num(pearson_per_gene(one, other)).mean())


def _best_near(
    contexts: Sequence[Context],
    places: Places,
    judged: Judged,
    penalties: Sequence[float],
    settings: KernelSettings,
) -> Near:
    """Weight and length of the highest mean correlation over held-out sections, at the penalties without places."""
    pairs = [(w, l) for w, l in product(settings.register_weights, settings.register_lengths) if w > 0]  # noqa: E741
    pairs = [(0.0, settings.register_lengths[0])] * (0.0 in settings.register_weights) + pairs
    if len(pairs) == 1:
        return Near(places, *pairs[0])
    totals = np.zeros(len(pairs))
    for fold in judged.folds:
        inside = np.setdiff1d(np.arange(len(judged.target)), fold)
        predicted = np.zeros((len(pairs), len(fold), judged.target.shape[1]))
        for context, penalty in zip(contexts, penalties):
            member = Member.bare(context, inside, settings)
            cross = member.likeness.between(member.likeness.look(context, fold), member.anchors)
            own = member.likeness.between(member.anchors, member.anchors)
            values = judged.centred(inside, settings)
            for number, (weight, length) in enumerate(pairs):
                k_own = own + weight * places.take(inside).nearness(places.take(inside), length)
                k_cross = cross + weight * places.take(fold).nearness(places.take(inside), length)
                predicted[number] += _solved(k_own, k_cross, values, penalty)
        totals += [score(judged.target, values, fold, judged.origins) for values in predicted]
    return Near(places, *pairs[int(np.argmax(totals))])


def _solved(own: np.ndarray, cross: np.ndarray, values: np.ndarray, penalty: float) -> np.ndarray:
    """Kernel ridge regression [o g] at one penalty, centred as `Spectrum` is, without a decomposition."""
    n, of_column = len(own), own.mean(0)
    centred = own - of_column - of_column[:, None] + of_column.mean()
    alpha = np.linalg.solve(centred / n + penalty * np.eye(n), values / n)
    return (cross - cross.mean(1, keepdims=True) - of_column + of_column.mean()) @ alpha


def of_rows(matrix: sparse.csr_matrix, rows: np.ndarray) -> sparse.csr_matrix:
    """The part of a matrix [s s] between some spots."""
    return matrix[rows][:, rows]
