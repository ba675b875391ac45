"""Smooth random fields over spots at any places, in linear time: Matérn 3/2 by random Fourier features.

A field with correlation (1 + r) exp(-r), r = sqrt(3) distance / length, has as its spectrum a t distribution with three
degrees of freedom; a sum of sines and cosines with frequencies drawn from it has that correlation in the mean over
frequencies (Rahimi and Recht 2007).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

N_FREQUENCIES = 256


def matern(distance: np.ndarray, length: float) -> np.ndarray:
    """Correlation at a distance, of the distance's shape; both in one unit."""
    r = np.sqrt(3.0) * np.asarray(distance, dtype=np.float64) / length
    return (1 + r) * np.exp(-r)


@dataclass(frozen=True, eq=False)
class FourierWaves:
    """Sines and cosines whose random sums are fields of one length.

    Attributes
    ----------
    frequencies
        [2 f] float32, radians per unit of length.
    """

    frequencies: np.ndarray

    @classmethod
    def drawn(cls, length: float, rng: np.random.Generator, n_frequencies: int = N_FREQUENCIES) -> FourierWaves:
        """Frequencies for fields with the correlation `matern(distance, length)`."""
        chi = rng.chisquare(3, size=n_frequencies) / 3
        normal = rng.normal(size=(2, n_frequencies))
        return cls((normal / np.sqrt(chi) / length).astype(np.float32))

    def at(self, xy: np.ndarray) -> np.ndarray:
        """Waves [s 2f] at places [s 2]; their product with standard normal numbers [2f ..] has variance 1."""
        angle = (np.asarray(xy, dtype=np.float64) @ self.frequencies).astype(np.float32)
        return np.concatenate([np.cos(angle), np.sin(angle)], 1) / np.sqrt(np.float32(len(self.frequencies[0])))
