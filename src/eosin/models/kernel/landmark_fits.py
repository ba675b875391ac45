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
from scipy.linalg import cholesky, solve_triangular

from eosin.models.base import Training
from eosin.models.kernel.context import Context
from eosin.models.kernel.feature_maps import Maps, maps_pay
from eosin.models.kernel.gram import NUMBERS_AT_ONCE
from eosin.models.kernel.member import Member, Near, landmarks
from eosin.models.kernel.normal_equations import AtPenalty, NormalEquations
from eosin.models.kernel.settings import KernelSettings
from eosin.models.kernel.spectrum import Spectrum, positive
from eosin.models.parts.kept_rows import KeptRows
from eosin.models.parts.sums import Groups, KeptSums, Sums
from eosin.row_blocks import row_blocks

_ADDED = 1e-9
"""Share of the trace that is added to the diagonal of the kernel between landmarks: what is smaller is lost in single
precision, and lies far below every penalty."""


@dataclass(frozen=True)
class LandmarkFits:
    """One member's regressions without each group of the training spots, for any grouping.

    Attributes
    ----------
    bare, quick
        The kernel and its landmarks, without a regression; the same in single precision.
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
    quick: Member
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
        quick = member.in_single_precision()
        coordinates = KeptRows(partial(_coordinates, quick, root, context, near), len(context), root.shape[1])
        return cls(member, quick, context, settings, near, root, coordinates)

    def sums(self, training: Training, labelings: Sequence[np.ndarray]) -> list[Groups]:
        """The sums of the groups of each grouping [s]."""
        return self.kept.of(training, self.coordinates.passing, self.root.shape[1], labelings)

    def member(self, sums: Sums) -> Member:
        """The regression of the spots that were summed, for any penalty."""
        equations = self.equations(sums)
        eigenvalues, turn = positive(equations.covariance)
        back, shift = self.root.astype(np.float64) @ turn, -equations.mean @ turn
        spectrum = Spectrum(back, shift, eigenvalues, (turn.T @ equations.cross).astype(np.float32))
        return replace(self.bare, spectrum=spectrum)

    def equations(
        self, sums: Sums, genes: np.ndarray | slice = slice(None), dtype: type = np.float64
    ) -> NormalEquations:
        """The same as equations, of all genes or some."""
        return NormalEquations.of(sums, genes, dtype, within_sections=self.settings.centre_sections)

    def values(self, fit: AtPenalty, rows: np.ndarray) -> np.ndarray:
        """[r g] float32 of some training spots by one of the regressions; not smoothed, without levels."""
        n_genes = fit.weights.shape[1]
        if not self.coordinates.has(rows) and maps_pay(self.quick, n_genes):
            weights = self.root.astype(np.float64) @ fit.weights
            return Maps.by_weights(self.quick, weights, fit.constant).values(self.context, rows, self.near)
        found = np.empty((len(rows), n_genes), dtype=np.float32)
        for block in row_blocks(len(rows), budget=NUMBERS_AT_ONCE, per_row=len(self.root)):
            found[block] = fit.values(self.coordinates.rows(rows[block]))
        return found


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
