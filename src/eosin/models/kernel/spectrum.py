"""Kernel ridge regression for any penalty: everything but the division by (eigenvalue + penalty)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from scipy.linalg import eigh
from torch import Tensor

from eosin.models.parts.named_arrays import tensors


@dataclass(frozen=True)
class Spectrum:
    """The eigenvectors of a doubly centred kernel over training spots, as functions of a spot.

    The kernel k [s m] between spots and the anchors becomes z = k B + b [s r]; values are z / (E + penalty) C. With
    all n training spots as anchors this is kernel ridge regression: K centred both ways, alpha = V (E + penalty)^-1
    V' Y / n. With fewer it is its approximation after Nyström (`LandmarkFits`).

    Attributes
    ----------
    back, shift
        B [m r] and b [r].
    eigenvalues
        E [r] of the centred kernel over n.
    cross
        C [r g].
    """

    back: np.ndarray
    shift: np.ndarray
    eigenvalues: np.ndarray
    cross: np.ndarray

    @classmethod
    def exact(cls, kernel: np.ndarray, target: np.ndarray) -> Spectrum:
        """From the kernel [n n] of all training spots, and their values [n g]."""
        n, of_column = len(kernel), kernel.mean(0)
        of_all = of_column.mean()
        centred = kernel - of_column - of_column[:, None] + of_all
        eigenvalues, vectors = positive(centred / n)
        shift = of_all * vectors.sum(0) - of_column @ vectors
        return cls(vectors - vectors.mean(0), shift, eigenvalues, vectors.T @ target / n)

    @classmethod
    def empty(cls) -> Spectrum:
        """Of no regression yet."""
        return cls(np.zeros((0, 0)), np.zeros(0), np.zeros(0), np.zeros((0, 0)))

    def coordinates(self, kernel: np.ndarray) -> np.ndarray:
        """z [s r] from the kernel [s m] between spots and anchors."""
        return kernel @ self.back + self.shift

    def values(self, coordinates: np.ndarray, penalty: float) -> np.ndarray:
        """Values [s g], without their level."""
        shrunk = self.eigenvalues + penalty
        if len(coordinates) > self.cross.shape[1]:  # the smaller table is divided
            return coordinates @ (self.cross / shrunk[:, None])
        return coordinates / shrunk @ self.cross

    def arrays(self) -> dict[str, Tensor]:
        """All of it; values per gene in float32, since these grow with the panel."""
        parts = {"back": self.back, "shift": self.shift, "eigenvalues": self.eigenvalues}
        arrays = tensors(parts)
        return arrays | {"cross": torch.from_numpy(np.ascontiguousarray(self.cross))}

    @classmethod
    def of_arrays(cls, arrays: Mapping[str, Tensor]) -> Spectrum:
        """What `arrays` gave."""
        return cls(*(arrays[name].numpy() for name in ("back", "shift", "eigenvalues", "cross")))


def positive(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvalues of a symmetric matrix that are above 0 but for rounding, and their vectors; it is overwritten."""
    if not matrix.size:
        return np.zeros(0, matrix.dtype), np.zeros((len(matrix), 0), matrix.dtype)
    limits = np.finfo(matrix.dtype)
    values, vectors = eigh(matrix, overwrite_a=True, check_finite=False)
    kept = values > len(matrix) * limits.eps * max(float(values[-1]), float(limits.tiny))
    return values[kept], vectors[:, kept]
