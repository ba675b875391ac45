"""What measured spots of a patient say beyond a model: level, mean and width, in closed form.

Misses at measured spots, in units of the noise, are a level (of all genes, and each gene's own), a smooth function of
how spots look (a Gaussian process with the model's own kernel, centred over the measured spots), and noise:

    miss = level + f(look) + noise,    var f = share,  var noise = 1 - share

The share is the one of largest marginal likelihood, with no more of it than the number of spots allows, and none unless
it raises the likelihood clearly. The width is scaled by how large misses are that each measured spot has from the
others.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.linalg import cho_factor, cho_solve

from eosin.plurals import counted
from eosin.trust.error_model import KindOfErrors

_SHARES = (0.02, 0.05, 0.1, 0.2, 0.4, 0.7)
_WORTH = 20
"""Measured spots that the model's own width, and no function of the look, count as."""
_CLEARLY = 2.0
_LEAST = 1e-9


@dataclass(frozen=True, eq=False)
class PatientUpdate:
    """The update of one patient.

    Attributes
    ----------
    errors
        Those of the patient without the update.
    level, level_sd
        [g] what is added at every spot, and how well it is known.
    share
        Of the noise's variance that the look explains.
    width
        Factor of the noise's scale.
    of_columns
        [m] means of the kernel between measured spots over its rows, by which it is centred.
    weights
        [m g] of the centred kernel's columns; empty without a share.
    """

    errors: KindOfErrors
    level: np.ndarray
    level_sd: np.ndarray
    share: float
    width: float
    of_columns: np.ndarray
    weights: np.ndarray

    @classmethod
    def of(cls, missed: np.ndarray, kernel: np.ndarray, errors: KindOfErrors) -> PatientUpdate:
        """Of misses [m g] at measured spots, and the kernel [m m] between them."""
        m, n_genes = missed.shape
        misses, prior = missed / errors.scale, np.square(errors.level / errors.scale)
        common, own = errors.common * prior.mean(), (1 - errors.common) * prior
        mean, of_mean = misses.mean(0), 1 / m
        # the shared level first: all genes tell it; then each gene's own, drawn towards it
        shared = mean.mean() * common / max(common + float(np.mean(own + of_mean)) / n_genes, _LEAST)
        trusted = own / (own + of_mean)
        level = shared + trusted * (mean - shared)
        left, of_columns = misses - level, kernel.mean(0)
        centred = kernel - of_columns - of_columns[:, None] + of_columns.mean()
        size = max(float(np.trace(centred)) / m, _LEAST)
        share, covariance = _share(left, centred / size, m / (m + _WORTH))
        factor = cho_factor(covariance, lower=True)
        solved = cho_solve(factor, left)
        from_others = solved / np.diag(cho_solve(factor, np.eye(m)))[:, None]
        width = np.sqrt((_WORTH + float(np.square(from_others).sum()) / n_genes) / (_WORTH + m))
        weights = share / size * solved * errors.scale if share > 0 else np.zeros((0, n_genes))
        level_sd = errors.scale * np.sqrt(own * of_mean / (own + of_mean))
        return cls(errors, level * errors.scale, level_sd, share, float(width), of_columns, weights)

    def added(self, kernel: np.ndarray) -> np.ndarray:
        """What is added to a mean [s g], given the kernel [s m] between its spots and the measured ones."""
        if not len(self.weights):
            return np.tile(self.level, (len(kernel), 1))
        centred = kernel - kernel.mean(1, keepdims=True) - self.of_columns + self.of_columns.mean()
        return self.level + centred @ self.weights

    def errors_at(self, level_of_slides: np.ndarray | None, n_spots: int) -> KindOfErrors:
        """Errors around the updated mean: on the measured slide, or on another one, whose level differs by [g] sd."""
        level = self.level_sd if level_of_slides is None else np.hypot(self.level_sd, level_of_slides)
        basis = f"{counted(n_spots, 'measured spot')} of the patient, and {self.errors.basis}"
        return replace(
            self.errors, scale=self.errors.scale * self.width, level=level, basis=basis, common=0.0, conformal=None
        )


def _share(left: np.ndarray, kernel: np.ndarray, most: float) -> tuple[float, np.ndarray]:
    """The share of variance that a kernel [m m] of mean diagonal 1 explains of misses [m g], and their covariance."""
    m, n_genes = left.shape
    variance, best = max(float(left.var()), _LEAST), (0.0, np.eye(m))
    best_likelihood = -0.5 * float(np.square(left).sum()) / variance
    for share in _SHARES:
        if share > most:
            break
        covariance = share * kernel + (1 - share) * np.eye(m)
        root = np.linalg.cholesky(covariance)
        whitened = np.linalg.solve(root, left)
        likelihood = -0.5 * float(np.square(whitened).sum()) / variance - n_genes * float(np.log(np.diag(root)).sum())
        if likelihood > best_likelihood + _CLEARLY:
            best_likelihood, best = likelihood, (share, covariance)
    return best
