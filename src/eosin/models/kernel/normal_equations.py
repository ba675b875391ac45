"""A regression on coordinates as its normal equations, which are solved at one penalty after the other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import LinAlgError, cho_factor, cho_solve

from eosin.models.kernel.spectrum import positive
from eosin.models.parts.sums import Sums


@dataclass(frozen=True)
class AtPenalty:
    """A regression at one penalty, coordinates [s c] -> values [s g].

    Attributes
    ----------
    weights, constant
        [c g] and [g] float32.
    """

    weights: np.ndarray
    constant: np.ndarray

    def values(self, coordinates: np.ndarray) -> np.ndarray:
        """[s g] without their level."""
        found = coordinates @ self.weights
        found += self.constant
        return found


@dataclass(frozen=True)
class NormalEquations:
    """What a regression needs to know of its spots.

    Attributes
    ----------
    covariance, cross
        [c c] and [c g]: of the coordinates, and of these with the values, over the number of spots.
    mean
        [c] of the coordinates, float64.
    """

    covariance: np.ndarray
    cross: np.ndarray
    mean: np.ndarray

    @classmethod
    def of(cls, sums: Sums, genes: np.ndarray | slice, dtype: type, *, within_sections: bool) -> NormalEquations:
        """Of sums over spots, for all genes or some; `dtype` is what they are solved in."""
        cross = sums.covariance_with_values(within_sections=within_sections)[:, genes]
        return cls(sums.covariance().astype(dtype, copy=False), cross.astype(dtype, copy=False), sums.mean_x())

    def solved(self, penalty: float) -> AtPenalty:
        """The regression at a penalty, by Cholesky's factors: a tenth of the time of the eigenvalues."""
        shifted = self.covariance.copy()
        shifted[np.diag_indices_from(shifted)] += shifted.dtype.type(penalty)
        try:
            factor = cho_factor(shifted, overwrite_a=True, check_finite=False)
            weights = cho_solve(factor, self.cross, check_finite=False)
        except LinAlgError:  # without a penalty
            values, vectors = positive(self.covariance.copy())
            weights = vectors @ ((vectors.T @ self.cross) / (values + penalty)[:, None])
        return AtPenalty(weights.astype(np.float32, copy=False), (-self.mean @ weights).astype(np.float32))
