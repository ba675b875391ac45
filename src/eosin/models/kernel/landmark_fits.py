"""Regressions of more training spots than can be compared with one another: by landmarks, all folds from one pass.

Landmarks, scales and principal components are those of all training spots and see no values. A spot becomes its
coordinates phi = k root, k the kernel between it and the landmarks; what a fold needs are sums of products of
coordinates, and of these with values, over the spots outside it (Nyström).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
from scipy import sparse
from scipy.linalg import LinAlgError, cho_factor, cho_solve, cholesky, solve_triangular

from eosin.models.base import Training
from eosin.models.kernel.context import Context
from eosin.models.kernel.gram import NUMBERS_AT_ONCE
from eosin.models.kernel.heads import Chosen, Head, mixed, score_of_sections
from eosin.models.kernel.member import Member, Near, landmarks
from eosin.models.kernel.settings import KernelSettings
from eosin.models.kernel.spectrum import Spectrum, positive
from eosin.models.parts.choose import best, middle
from eosin.models.parts.kept_rows import KeptRows
from eosin.models.parts.patients import MOST_FOLDS, Levels, SpotOrigins
from eosin.models.parts.sums import Groups, KeptSums, Sums, renumbered, without_each
from eosin.row_blocks import row_blocks

MOST_JUDGED = 20_000
"""Spots by which penalty and smoothing are chosen."""
_ADDED = 1e-9
"""Share of the trace that is added to the diagonal of the kernel between landmarks: what is smaller is lost in single
precision, and lies far below every penalty."""
_ROUNDING = 1e-6
"""Of the largest eigenvalue of a covariance: what its eigenvalues in single precision are known to."""
_LEAST_PENALTY = 1e-6
"""Below it, penalties are chosen in double precision."""


@dataclass(frozen=True)
class LandmarkFits:
    """One member's regressions without each group of the training spots, for any grouping.

    Attributes
    ----------
    bare
        The kernel and its landmarks, without a regression.
    context, near
        All training spots as the member sees them, and their places.
    settings
        Of the model.
    root
        [m m] float32: kernel with the landmarks -> coordinates.
    coordinates
        [s c] of the training spots, in single precision.
    kept
        Sums of groups that were asked for.
    """

    bare: Member
    context: Context
    settings: KernelSettings
    near: Near | None
    root: np.ndarray
    coordinates: KeptRows
    kept: KeptSums = field(default_factory=KeptSums)

    @classmethod
    def of(
        cls, context: Context, section: np.ndarray, settings: KernelSettings, near: Near | None = None
    ) -> LandmarkFits:
        """Of all spots of a context, which are of these sections [s]."""
        every = np.arange(len(context))
        anchors = landmarks(section, every, settings)
        bare = Member.bare(context, every, settings, anchors)
        return cls.around(replace(bare, near=None if near is None else near.take(anchors)), context, settings, near)

    @classmethod
    def around(cls, member: Member, context: Context, settings: KernelSettings, near: Near | None) -> LandmarkFits:
        """By the landmarks of a member."""
        root = inverse_root(member.between_anchors()).astype(np.float32)
        make = partial(_coordinates, member.in_single_precision(), root, context, near)
        return cls(member, context, settings, near, root, KeptRows(make, len(context), root.shape[1]))

    def sums(self, training: Training, labelings: Sequence[np.ndarray]) -> list[Groups]:
        """The sums of the groups of each grouping [s]."""
        return self.kept.of(training, self.coordinates.passing, self.root.shape[1], labelings)

    def spectrum(self, sums: Sums, genes: np.ndarray | slice = slice(None), dtype: type = np.float64) -> Spectrum:
        """The regression of the spots that were summed, as a function of coordinates, of all genes or some."""
        covariance = sums.covariance().astype(dtype, copy=False)
        eigenvalues, turn = positive(covariance, least=None if dtype is np.float64 else _ROUNDING)
        cross = sums.covariance_with_values(within_sections=self.settings.centre_sections)[:, genes]
        cross = (turn.T @ cross.astype(dtype, copy=False)).astype(np.float32, copy=False)
        return Spectrum(turn, -sums.mean_x().astype(dtype) @ turn, eigenvalues, cross)

    def member(self, sums: Sums) -> Member:
        """The regression of the spots that were summed, for any penalty."""
        spectrum = self.spectrum(sums)
        return replace(self.bare, spectrum=replace(spectrum, back=self.root.astype(np.float64) @ spectrum.back))

    def at_penalty(self, sums: Sums, penalty: float) -> AtPenalty:
        """The same at one penalty."""
        cross = sums.covariance_with_values(within_sections=self.settings.centre_sections)
        try:  # a tenth of the time of the eigenvalues
            factor = cho_factor(sums.covariance() + penalty * np.eye(len(cross)), overwrite_a=True, check_finite=False)
            weights = cho_solve(factor, cross, check_finite=False)
        except LinAlgError:  # without a penalty
            spectrum = self.spectrum(sums)
            weights = spectrum.back @ (spectrum.cross / (spectrum.eigenvalues + penalty)[:, None])
        return AtPenalty(weights.astype(np.float32), (-sums.mean_x() @ weights).astype(np.float32))

    def values(self, fit: AtPenalty, rows: np.ndarray) -> np.ndarray:
        """[r g] float32 of some training spots by one of the regressions; not smoothed, without levels."""
        found = np.empty((len(rows), fit.weights.shape[1]), dtype=np.float32)
        for block in row_blocks(len(rows), budget=NUMBERS_AT_ONCE, per_row=len(self.root)):
            found[block] = self.coordinates.rows(rows[block]) @ fit.weights + fit.constant
        return found


@dataclass(frozen=True)
class AtPenalty:
    """A regression at one penalty: [c g] and [g] float32, coordinates -> values."""

    weights: np.ndarray
    constant: np.ndarray


def inverse_root(kernel: np.ndarray) -> np.ndarray:
    """R [m m] with R R' the inverse of a kernel [m m] between landmarks, of which some may look the same."""
    kernel[np.diag_indices_from(kernel)] += max(_ADDED * float(np.trace(kernel)), np.finfo(float).tiny)
    lower = cholesky(kernel, lower=True, overwrite_a=True, check_finite=False)
    return np.ascontiguousarray(solve_triangular(lower, np.eye(len(lower)), lower=True, check_finite=False).T)


def _coordinates(member: Member, root: np.ndarray, context: Context, near: Near | None, rows: np.ndarray) -> np.ndarray:
    """[r c] float32 of some spots."""
    found = np.empty((len(rows), root.shape[1]), dtype=np.float32)
    per_row = len(root) + len(member.likeness.mean)
    for block in row_blocks(len(rows), budget=NUMBERS_AT_ONCE, per_row=per_row):
        found[block] = member.kernel(context, rows[block], near) @ root
    return found


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
    held, scores = [], []
    for label, sums in without_each(groups):
        places = np.flatnonzero(labels[spots.needed] == label)
        if not is_wanted[places].any():
            continue
        spectrum = fits.spectrum(sums, genes, dtype)
        seen = spectrum.coordinates(fits.coordinates.rows(spots.needed[places])).astype(np.float32, copy=False)
        spectrum = replace(spectrum, back=np.zeros((0, 0)), eigenvalues=spectrum.eigenvalues.astype(np.float32))
        judged = is_wanted[places]
        rows = np.searchsorted(spots.wanted, places[judged])
        of_judged = seen[judged]
        by_penalty = (spectrum.values(of_judged, np.float32(penalty)) for penalty in penalties)
        scores.append([score_of_sections(target[rows], values, parts[rows]) for values in by_penalty])
        held.append((places, seen, spectrum, rows))
    penalty = best(penalties, list(np.mean(scores, axis=0)))
    seen_any = np.zeros(len(spots.needed), dtype=bool)
    for places, seen, spectrum, _ in held:
        plain[places], seen_any[places] = spectrum.values(seen, np.float32(penalty)), True
    known = replace(spots, around=spots.around.multiply(seen_any).tocsr())  # others smooth nothing
    smoothed = [known.smoothed(plain, share) for share in shares]
    by_share = [
        float(np.mean([score_of_sections(target[rows], values[rows], parts[rows]) for *_, rows in held]))
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
                for head in kinds:
                    places = np.flatnonzero((labels[spots.needed] == label) & (kind == head))
                    if len(places):
                        fit = fits.at_penalty(sums, heads[head].penalty)
                        plain[places] = fits.values(fit, spots.needed[places])
        shares = np.array([head.smoothing for head in heads])[kind[spots.wanted]]
        result += spots.smoothed(plain, shares) / np.float32(len(regressions.heads))
    return result


def _at(fits: Sequence[LandmarkFits], number: int) -> LandmarkFits | None:
    return fits[number] if fits else None
