"""Choose the heads of regressions by landmarks, and predict training spots out of fold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import sparse

from eosin.models.base import Training
from eosin.models.kernel.gram import NUMBERS_AT_ONCE
from eosin.models.kernel.heads import Chosen, Head, mixed, score_of_sections
from eosin.models.kernel.landmark_fits import LandmarkFits
from eosin.models.kernel.normal_equations import NormalEquations
from eosin.models.parts.choose import best, best_along, middle
from eosin.models.parts.patients import MOST_FOLDS, Levels, SpotOrigins
from eosin.models.parts.sums import renumbered, without_each
from eosin.row_blocks import row_blocks

MOST_JUDGED = 20_000
"""Spots by which penalty and smoothing are chosen."""
_LEAST_PENALTY = 1e-6
"""Below it, equations are solved in double precision."""


@dataclass(frozen=True)
class SmoothedSpots:
    """Spots that are wanted smoothed, and those whose values are needed for that.

    Attributes
    ----------
    needed
        Rows [p], growing.
    wanted
        [w] places of the wanted ones in `needed`.
    around
        [w p] averages over their neighbours.
    """

    needed: np.ndarray
    wanted: np.ndarray
    around: sparse.csr_matrix

    @classmethod
    def of(cls, rows: np.ndarray, smooth: sparse.csr_matrix) -> SmoothedSpots:
        """Of rows of the averages over neighbours [s s]."""
        around = smooth[rows]
        needed = np.union1d(rows, around.indices)
        around = sparse.csr_matrix(
            (around.data.astype(np.float32), np.searchsorted(needed, around.indices), around.indptr),
            shape=(len(rows), len(needed)),
        )
        return cls(needed, np.searchsorted(needed, rows), around)

    @property
    def rows(self) -> np.ndarray:
        """[w] the wanted rows."""
        return self.needed[self.wanted]

    def smoothed(self, plain: np.ndarray, share: float | np.ndarray) -> np.ndarray:
        """[w g] the wanted spots' values, smoothed by a share (or one each [w]), of those of all needed ones [p g]."""
        shares = np.broadcast_to(np.asarray(share, dtype=np.float32), len(self.wanted))
        found = np.empty((len(self.wanted), plain.shape[1]), dtype=np.float32)
        for block in row_blocks(len(found), budget=NUMBERS_AT_ONCE, per_row=plain.shape[1]):
            found[block] = mixed(plain[self.wanted[block]], self.around[block], shares[block, None], plain)
        return found


def folds_of_new(origins: SpotOrigins) -> np.ndarray:
    """[s] labels of a few folds, by which the head for new patients is chosen."""
    labels = renumbered(origins.patients_in_folds())
    return np.where(labels >= 0, labels % MOST_FOLDS, labels)


def folds_of_known(origins: SpotOrigins) -> np.ndarray:
    """[s] labels of a few folds, by which that for new sections of known patients is chosen."""
    labels = origins.siblings_in_folds()
    return renumbered(labels) if labels.max() >= 0 else folds_of_new(origins)


@dataclass(frozen=True)
class _HeldOut:
    """A fold: spots, and the regression without them.

    Attributes
    ----------
    places
        Which of the needed spots [p].
    coordinates
        Theirs [p c].
    is_judged
        bool [p]: which of them are wanted.
    rows
        Which of the wanted spots these are.
    equations
        Of the spots outside the fold.
    """

    places: np.ndarray
    coordinates: np.ndarray
    is_judged: np.ndarray
    rows: np.ndarray
    equations: NormalEquations

    @classmethod
    def of(
        cls,
        fits: LandmarkFits,
        spots: SmoothedSpots,
        places: np.ndarray,
        is_judged: np.ndarray,
        equations: NormalEquations,
    ) -> _HeldOut:
        coordinates = fits.coordinates.rows(spots.needed[places])
        return cls(places, coordinates, is_judged, np.searchsorted(spots.wanted, places[is_judged]), equations)

    @property
    def judged(self) -> np.ndarray:
        """The coordinates of the wanted ones."""
        return self.coordinates if self.is_judged.all() else self.coordinates[self.is_judged]


def choose_by_landmarks(
    fits: LandmarkFits, training: Training, spots: SmoothedSpots, labels: np.ndarray, genes: np.ndarray
) -> Chosen:
    """The penalty of the highest mean correlation over judged spots that were held out, then the smoothing at it.

    Parameters
    ----------
    fits
        Of a member.
    training
        All spots.
    spots
        Those to judge by.
    labels
        [s] folds; spots of a negative label are held out of none.
    genes
        Columns of the target to judge by.
    """
    penalties, shares = fits.settings.penalties, fits.settings.smoothing
    (groups,) = fits.sums(training, [labels])
    plain = np.zeros((len(spots.needed), len(genes)), dtype=np.float32)
    if len(groups) < 2:
        return Chosen(Head(middle(penalties), shares[0]), spots.rows, plain[spots.wanted])
    target, is_wanted = training.target[spots.rows][:, genes], np.zeros(len(spots.needed), dtype=bool)
    is_wanted[spots.wanted] = True
    parts = training.batch.part_of_spot()[spots.rows]
    dtype = np.float32 if min(penalties) >= _LEAST_PENALTY else np.float64
    held = []
    for label, sums in without_each(groups):
        places = np.flatnonzero(labels[spots.needed] == label)
        if is_wanted[places].any():
            held.append(_HeldOut.of(fits, spots, places, is_wanted[places], fits.equations(sums, genes, dtype)))

    def scored(penalty: float) -> float:
        by_fold = ((fold.rows, fold.equations.solved(penalty).values(fold.judged)) for fold in held)
        return float(np.mean([score_of_sections(target[rows], values, parts[rows]) for rows, values in by_fold]))

    penalty = best_along(penalties, scored)
    seen_any = np.zeros(len(spots.needed), dtype=bool)
    for fold in held:
        plain[fold.places], seen_any[fold.places] = fold.equations.solved(penalty).values(fold.coordinates), True
    known = replace(spots, around=spots.around.multiply(seen_any).tocsr())  # others smooth nothing
    smoothed = [known.smoothed(plain, share) for share in shares]
    by_share = [
        float(np.mean([score_of_sections(target[f.rows], values[f.rows], parts[f.rows]) for f in held]))
        for values in smoothed
    ]
    number = best(range(len(shares)), by_share)
    return Chosen(Head(penalty, shares[number]), spots.rows, smoothed[number])


@dataclass(frozen=True)
class Regressions:
    """All members by landmarks, and how they are used.

    Attributes
    ----------
    by_image, by_both
        The members' fits, without and with places; the latter empty without registration.
    heads
        Of each member: for new patients, for known ones, and where there are places for these with places.
    own_levels
        Whether a known patient is predicted at the patient's own level.
    """

    by_image: Sequence[LandmarkFits]
    by_both: Sequence[LandmarkFits]
    heads: Sequence[Sequence[Head]]
    own_levels: bool


def predicted_out_of_fold(
    training: Training, spots: SmoothedSpots, labels: np.ndarray, regressions: Regressions
) -> np.ndarray:
    """[w g] float32: training spots predicted from fits without their fold, smoothed and with levels.

    Parameters
    ----------
    training
        All spots.
    spots
        Those that are wanted.
    labels
        [s] folds.
    regressions
        Of all training spots.
    """
    origins, n_genes = SpotOrigins.of(training), training.target.shape[1]
    kind = np.zeros(len(spots.needed), dtype=np.int64)  # which head
    level = np.zeros((len(spots.needed), n_genes), dtype=np.float32)
    (groups,) = regressions.by_image[0].sums(training, [labels])
    for label, sums in without_each(groups):
        places = np.flatnonzero(labels[spots.needed] == label)
        levels = Levels.of_sums(sums, origins)
        there = np.isin(origins.patient, np.unique(origins.patient_of_section()[sums.section]))
        all_known = bool(origins.names) and there[labels == label].all()
        for block in row_blocks(len(places), budget=NUMBERS_AT_ONCE, per_row=n_genes):
            level[places[block]], known = levels.of_spots(origins, spots.needed[places[block]])
            kind[places[block]] = np.where(known, 2 if regressions.by_both and all_known else 1, 0)
            if not regressions.own_levels:
                level[places[block]], kind[places[block]] = levels.overall, 0
    result = level[spots.wanted]
    del level
    for number, heads in enumerate(regressions.heads):
        plain = np.zeros((len(spots.needed), n_genes), dtype=np.float32)
        for fits, kinds in ((regressions.by_image[number], (0, 1)), (_at(regressions.by_both, number), (2,))):
            if fits is None or not np.isin(kind, kinds).any():
                continue
            (groups,) = fits.sums(training, [labels])
            for label, sums in without_each(groups):
                of_fold = np.flatnonzero(labels[spots.needed] == label)
                there = np.intersect1d(kind[of_fold], kinds)
                if not len(there):
                    continue
                equations = fits.equations(sums)
                for head in there:
                    places = of_fold[kind[of_fold] == head]
                    plain[places] = fits.values(equations.solved(heads[head].penalty), spots.needed[places])
        shares = np.array([head.smoothing for head in heads])[kind[spots.wanted]]
        result += spots.smoothed(plain, shares) / np.float32(len(regressions.heads))
    return result


def _at(fits: Sequence[LandmarkFits], number: int) -> LandmarkFits | None:
    return fits[number] if fits else None
