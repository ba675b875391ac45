"""The kernel: how alike two spots look, as a sum of a linear and a Gaussian part."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace

import numpy as np
import torch
from scipy.linalg import eigh
from torch import Tensor

from eosin.models.kernel.context import Context
from eosin.row_blocks import row_blocks
from eosin.storage.lazy_rows import LazyRows

NUMBERS_AT_ONCE = 2**23
"""Numbers in one block of rows: 64 MiB."""


@dataclass(frozen=True)
class Look:
    """How some spots look to the kernel.

    Attributes
    ----------
    linear
        [s f] standardised features in their context.
    curved
        [s c] leading principal components of these, half-whitened.
    """

    linear: np.ndarray
    curved: np.ndarray


@dataclass(frozen=True)
class Likeness:
    """A kernel fitted to training spots: scales, principal components, widths; `K = A A' / T + exp(-d² / 2 m)`.

    It is fitted in double precision. `in_single_precision` sees and compares spots in float32, for half of the time.

    Attributes
    ----------
    mean, scale
        [f] of the features in their context, f times one plus the number of rings; a ring's scale is that of the
        features over the square root of its weight. The scale of a constant feature is infinite.
    total
        T, the sum of the training variances of A; 0 without the linear part.
    centre, basis
        [f], and [f c] the axes of the principal components over the square root of their sd.
    width
        m, the median squared distance of training spots; 0 without the Gaussian part.
    """

    mean: np.ndarray
    scale: np.ndarray
    total: float
    centre: np.ndarray
    basis: np.ndarray
    width: float

    @classmethod
    def of(
        cls,
        context: Context,
        rows: np.ndarray,
        anchors: np.ndarray,
        *,
        ring_weight: float,
        n_components: int,
        linear: bool,
        rbf: bool,
    ) -> Likeness:
        """Fit to some spots.

        Parameters
        ----------
        context
            All spots.
        rows
            Those to fit scales to.
        anchors
            Those to fit principal components and the median distance to: `rows` or some of them.
        ring_weight
            Weight of a ring against the spot, in the kernel.
        n_components
            Principal components of the Gaussian part.
        linear, rbf
            Which parts there are.
        """
        mean, scale = scales(context.features, rows)
        n_rings = len(context.rings)
        in_ring = scale / np.sqrt(ring_weight) if ring_weight > 0 else np.full_like(scale, np.inf)
        mean, scale = np.tile(mean, 1 + n_rings), np.concatenate([scale, *[in_ring] * n_rings])
        seen = context.rows(anchors, less=mean[: context.features.shape[1]]) / scale
        centre = seen.mean(0)
        basis = half_whitened(seen - centre, n_components) if rbf else np.zeros((len(mean), 0))
        width = _median_squared_distance((seen - centre) @ basis) if rbf else 0.0
        total = _total_variance(context, rows, mean, scale) if linear else 0.0
        return cls(mean, scale, total, centre, basis, width)

    def look(self, context: Context, rows: np.ndarray) -> Look:
        """How some spots look; empty to a kernel without parts that see them."""
        dtype = self.scale.dtype
        if self.total == 0 and self.width == 0:
            return Look(np.zeros((len(rows), 0), dtype), np.zeros((len(rows), 0), dtype))
        seen = context.rows(rows, less=self.mean[: context.features.shape[1]], dtype=dtype)
        seen /= self.scale
        return Look(seen, seen @ self.basis - self.centre @ self.basis)

    def between(self, one: Look, other: Look) -> np.ndarray:
        """K [s t]."""
        if self.total > 0:
            result = one.linear @ other.linear.T
            result /= self.total
        else:
            result = np.zeros((len(one.linear), len(other.linear)), dtype=self.scale.dtype)
        if self.width > 0:
            curved = _squared_distances(one.curved, other.curved)
            curved /= -2 * self.width
            result += np.exp(curved, out=curved)
        return result

    def in_single_precision(self) -> Likeness:
        """The same kernel, which looks at spots in float32; what it takes from features is not rounded."""
        return replace(
            self,
            scale=self.scale.astype(np.float32),
            centre=self.centre.astype(np.float32),
            basis=self.basis.astype(np.float32),
        )

    def arrays(self) -> dict[str, Tensor]:
        """All of it, by name."""
        return {f.name: torch.from_numpy(np.array(getattr(self, f.name), dtype=np.float64)) for f in fields(self)}

    @classmethod
    def of_arrays(cls, arrays: Mapping[str, Tensor]) -> Likeness:
        """What `arrays` gave."""
        numbers = {f.name: arrays[f.name].numpy() for f in fields(cls)}
        return cls(**{**numbers, "total": float(numbers["total"]), "width": float(numbers["width"])})


def scales(features: np.ndarray | LazyRows, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and sd [f] of some rows of features [s f]; the sd of a constant one is infinite. In blocks."""
    first, second = np.zeros(features.shape[1]), np.zeros(features.shape[1])
    for block in row_blocks(len(rows), budget=NUMBERS_AT_ONCE, per_row=features.shape[1]):
        first += features[rows[block]].sum(0, dtype=np.float64)
    mean = first / len(rows)
    for block in row_blocks(len(rows), budget=NUMBERS_AT_ONCE, per_row=features.shape[1]):
        second += np.square(features[rows[block]] - mean).sum(0)
    scale = np.sqrt(second / len(rows))
    return mean, np.where(scale > 1e-8 * (np.abs(mean) + 1e-8), scale, np.inf)


def _total_variance(context: Context, rows: np.ndarray, mean: np.ndarray, scale: np.ndarray) -> float:
    """Sum of the variances of the standardised features in their context."""
    first, second = np.zeros(len(mean)), np.zeros(len(mean))
    for block in row_blocks(len(rows), budget=NUMBERS_AT_ONCE, per_row=len(mean)):
        seen = context.rows(rows[block], less=mean[: context.features.shape[1]]) / scale
        first, second = first + seen.sum(0), second + np.square(seen).sum(0)
    return float(np.maximum(second / len(rows) - np.square(first / len(rows)), 0).sum())


def half_whitened(centred: np.ndarray, n_components: int) -> np.ndarray:
    """Axes [f c] of the leading principal components of rows [s f], over the square root of each one's sd.

    From the smaller of the two tables of products. Components without variance are left out.
    """
    n, f = centred.shape
    wide = f > n
    products = (centred @ centred.T if wide else centred.T @ centred) / n
    size = len(products)
    keep = min(n_components, size)
    variance, vectors = eigh(products, subset_by_index=(size - keep, size - 1))
    kept = variance > size * np.finfo(float).eps * max(float(variance[-1]), 1e-300)
    variance, vectors = variance[kept][::-1], vectors[:, kept][:, ::-1]
    axes = centred.T @ vectors / np.sqrt(n * variance) if wide else vectors
    return axes / variance**0.25


def _median_squared_distance(points: np.ndarray) -> float:
    """Median over pairs of points [s c]; 0 where there is no distance above 0."""
    squared = _squared_distances(points, points)[np.triu_indices(len(points), 1)]
    return float(np.median(squared)) if squared.size else 0.0


def _squared_distances(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """[s t] between points [s c] and [t c]."""
    squared = (-2 * one) @ other.T
    squared += np.square(one).sum(1)[:, None]
    squared += np.square(other).sum(1)
    return np.maximum(squared, 0, out=squared)
