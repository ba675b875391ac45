"""Principal components of standardised features, and what of the values they explain."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from eosin.models.parts.sums import Sums


def mean_and_scale(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and sd [f] of features [s f], float64; a constant feature says nothing: its scale is infinite."""
    mean, scale = x.mean(0, dtype=np.float64), x.std(0, dtype=np.float64)
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
        mean, scale = mean_and_scale(x)
        z = (x - mean) / scale
        intercept = y.mean(0, dtype=np.float64)
        eigenvalues, basis = np.linalg.eigh(z.T @ z / len(z))
        keep = np.argsort(eigenvalues)[::-1][: min(n_components, len(z) - 1, len(eigenvalues)) or 1]
        cross = (z @ basis[:, keep]).T @ (y - intercept) / len(z)
        return cls(mean, scale, basis[:, keep], np.maximum(eigenvalues[keep], 0), cross, intercept)

    @classmethod
    def of_sums(cls, sums: Sums, n_components: int, *, within_sections: bool) -> Fit:
        """The same from sums over spots; the values less their sections' means, or less the mean of all."""
        mean, covariance = sums.mean_x(), sums.covariance()
        scale = known_scale(mean, np.sqrt(np.diagonal(covariance)))
        intercept = np.zeros(sums.y.shape[1]) if within_sections else sums.mean_y()
        eigenvalues, basis = np.linalg.eigh(covariance / scale[:, None] / scale)
        keep = np.argsort(eigenvalues)[::-1][: min(n_components, sums.n_spots - 1, len(eigenvalues)) or 1]
        cross = (basis[:, keep] / scale[:, None]).T @ sums.covariance_with_values(within_sections=within_sections)
        return cls(mean, scale, basis[:, keep], np.maximum(eigenvalues[keep], 0), cross, intercept)

    def weights(self, penalty: float) -> np.ndarray:
        """Components -> values [c g] at this penalty, per training spot."""
        return self.cross / (self.eigenvalues + penalty)[:, None]

    def components(self, x: np.ndarray) -> np.ndarray:
        """Principal components [s c] of features [s f]."""
        return (x - self.mean) / self.scale @ self.basis
