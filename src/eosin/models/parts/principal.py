"""Principal components of standardised features, and what of the values they explain."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.linalg import eigh

from eosin.metrics.accuracy import is_constant
from eosin.models.parts.mean_and_sd import NUMBERS_AT_ONCE, mean_and_sd
from eosin.models.parts.sums import Sums
from eosin.row_blocks import row_blocks


def mean_and_scale(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and sd [f] of features [s f], float64; a constant feature says nothing: its scale is infinite."""
    mean, scale = mean_and_sd(x)
    return mean, known_scale(mean, scale)


def known_scale(mean: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """The sd [f] of features of a mean [f], infinite where it is but rounding."""
    return np.where(scale > 1e-8 * (np.abs(mean) + 1e-8), scale, np.inf)


@dataclass(frozen=True)
class Fit:
    """A principal-component ridge for any penalty: everything but the division by (eigenvalue + penalty).

    Attributes
    ----------
    mean, scale
        [f] of the features; the scale of a constant feature is infinite, so that it becomes 0.
    basis, eigenvalues
        [f c] principal axes of the standardised features, and [c] the variance along each, largest first.
    cross
        [c g] covariance of components and values.
    intercept
        [g] mean values.
    """

    mean: np.ndarray
    scale: np.ndarray
    basis: np.ndarray
    eigenvalues: np.ndarray
    cross: np.ndarray
    intercept: np.ndarray

    @classmethod
    def of(cls, x: np.ndarray, y: np.ndarray, n_components: int) -> Fit:
        """Decompose features `x` [s f] and what of `y` [s g] their leading components can explain.

        Fewer than `n_components` are kept where there are fewer spots or features.
        """
        n, n_features = x.shape
        mean, scale = mean_and_scale(x)
        intercept = y.mean(0, dtype=np.float64)
        own, with_values = np.zeros((n_features, n_features)), np.zeros((n_features, y.shape[1]))
        for rows in row_blocks(n, budget=NUMBERS_AT_ONCE, per_row=n_features):
            z = (x[rows] - mean) / scale
            own += z.T @ z
            with_values += z.T @ (y[rows] - intercept)
        eigenvalues, basis = np.linalg.eigh(own / n)
        keep = np.argsort(eigenvalues)[::-1][: min(n_components, n - 1, n_features) or 1]
        cross = basis[:, keep].T @ with_values / n
        return cls(mean, scale, basis[:, keep], np.maximum(eigenvalues[keep], 0), cross, intercept)

    @classmethod
    def of_sums(cls, sums: Sums, n_components: int, *, within_sections: bool) -> Fit:
        """The same from sums over spots; the values less their sections' means, or less the mean of all."""
        mean, covariance = sums.mean_x(), sums.covariance()
        scale = known_scale(mean, np.sqrt(np.diagonal(covariance)))
        intercept = np.zeros(sums.y.shape[1]) if within_sections else sums.mean_y()
        size = len(mean)
        n_kept = min(n_components, sums.n_spots - 1, size) or 1
        found = eigh(covariance / scale[:, None] / scale, subset_by_index=(size - n_kept, size - 1), overwrite_a=True)
        eigenvalues, basis = found[0][::-1], found[1][:, ::-1]
        cross = (basis / scale[:, None]).T @ sums.covariance_with_values(within_sections=within_sections)
        return cls(mean, scale, basis, np.maximum(eigenvalues, 0), cross, intercept)

    def correlations(self, components: np.ndarray, y: np.ndarray, penalties: Sequence[float]) -> np.ndarray:
        """[p g] Pearson correlation of values with the prediction at each penalty, NaN where one of them is constant.

        From products of components with components and with values: no prediction is made.

        Parameters
        ----------
        components
            [s c] of some spots.
        y
            [s g] their values.
        penalties
            p of them.
        """
        apart, y = components - components.mean(0), np.asarray(y, dtype=np.float64)
        varies = ~is_constant(y)
        y = y - y.mean(0)
        own, with_values, of_values = apart.T @ apart, apart.T @ y, np.square(y).sum(0)
        result = np.full((len(penalties), y.shape[1]), np.nan)
        for row, penalty in zip(result, penalties):
            weights = self.weights(penalty)
            of_prediction = (weights * (own @ weights)).sum(0)
            known = varies & (of_prediction > 0)
            row[known] = (weights * with_values).sum(0)[known] / np.sqrt(of_prediction[known] * of_values[known])
        return result

    def weights(self, penalty: float) -> np.ndarray:
        """Components -> values [c g] at this penalty, per training spot."""
        return self.cross / (self.eigenvalues + penalty)[:, None]

    def components(self, x: np.ndarray) -> np.ndarray:
        """Principal components [s c] of features [s f]."""
        return (x - self.mean) / self.scale @ self.basis
