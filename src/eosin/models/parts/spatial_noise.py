"""Noise as it lies in space and among genes: what a single draw needs to look like a measurement.

A linear model of coregionalisation of standardised misses: their covariance among genes at a distance h is

    C0 [h = 0] + C1 matern(h, 1.5 pitches) + C2 matern(h, 5 pitches)

with three covariances of genes, fitted to the covariances of pairs of spots in bins of distance by weighted least
squares, each kept positive semidefinite. Of many genes only the first principal components are correlated, and the
rest of each gene is noise of its own. Source: docs/trust.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.linalg import eigh
from scipy.spatial import cKDTree
from torch import Tensor

from eosin.generative.matern_field import FourierWaves, matern
from eosin.geometry.spacing import nearest_spacing
from eosin.models.parts.named_arrays import tensors
from eosin.parallel import each, one_blas_thread
from eosin.row_blocks import row_blocks

PITCHES = (1.5, 5.0)
"""Lengths of the two smooth parts, in distances between neighbouring spots."""
MOST_FACTORS, _MOST_IN_PRODUCTS = 64, 2000
_EDGES = (0.0, 1.25, 2.25, 3.25, 5.0, 8.0)  # bins of distance, in pitches; spots with themselves come first
_MOST_SPOTS, _ROUNDS, _LEAST = 4000, 30, 1e-9
_ROWS_AT_ONCE = 4096


@dataclass(frozen=True, eq=False)
class SpatialNoise:
    """Noise of variance 1 for every gene, correlated in space and among genes.

    Attributes
    ----------
    lengths_um
        [2] of the smooth parts.
    loadings
        [3 g f] float32 square roots of the covariances: of single spots, and of the two smooth parts.
    alone
        [g] float32 sd of what each gene does alone at each spot.
    """

    lengths_um: np.ndarray
    loadings: np.ndarray
    alone: np.ndarray

    @classmethod
    def fit(cls, standardised: np.ndarray, slide: np.ndarray, xy_um: np.ndarray) -> SpatialNoise:
        """To misses [n g] of mean 0 within slides and variance 1, the slide [n] and the place [n 2] of each."""
        axes = _principal_axes(standardised)
        lags = [_lags(scores, places) for scores, places in _slides(standardised @ axes, slide, xy_um)]
        n_pairs = np.sum([n for n, _, _ in lags], axis=0)
        distance = np.sum([n * d for n, d, _ in lags], axis=0) / np.maximum(n_pairs, 1)
        products = np.sum([n[:, None, None] * c for n, _, c in lags], axis=0)
        found = n_pairs > 0
        covariances = products[found] / n_pairs[found][:, None, None]
        parts = _split(covariances, distance[found], n_pairs[found].astype(float))
        loadings = np.stack([axes @ _root(part) for part in parts])
        variance = np.square(loadings).sum((0, 2))
        own = np.maximum(1 - variance, 0) if axes.shape[1] < len(axes) else np.zeros(len(axes))
        total = np.sqrt(np.maximum(variance + own, _LEAST))
        constant = variance + own < _LEAST
        pitch = float(np.median([nearest_spacing(places) for _, places in _slides(standardised, slide, xy_um)]))
        pitch = pitch if np.isfinite(pitch) and pitch > 0 else 100.0
        return cls(
            np.array(PITCHES) * pitch,
            (loadings / total[:, None]).astype(np.float32),
            np.where(constant, 1, np.sqrt(own) / total).astype(np.float32),
        )

    def draws(self, xy_um: np.ndarray, n_draws: int, rng: np.random.Generator) -> Iterator[tuple[slice, np.ndarray]]:
        """Rows, and their noise [k r g] float32, in blocks of the spots at `xy_um` [s 2]; of variance 1, mean 0."""
        n_genes, n_factors = self.loadings.shape[1:]
        waves = [FourierWaves.drawn(float(length), rng) for length in self.lengths_um]
        weights = [
            rng.standard_normal((n_draws, 2 * len(w.frequencies[0]), n_factors), dtype=np.float32) for w in waves
        ]
        for rows in row_blocks(len(xy_um), budget=_ROWS_AT_ONCE):
            noise = np.zeros((n_draws, rows.stop - rows.start, n_genes), dtype=np.float32)
            single = np.empty((*noise.shape[:2], n_factors), dtype=np.float32)
            for draw in range(n_draws):  # numbers come in order; what follows from them is shared out
                single[draw] = rng.standard_normal(single.shape[1:], dtype=np.float32)
                if self.alone.any():
                    noise[draw] = self.alone * rng.standard_normal(noise.shape[1:], dtype=np.float32)
            with one_blas_thread():
                seen = each(lambda w, rows=rows: w.at(xy_um[rows]), waves)

                def put(draw: int, seen=seen, single=single, noise=noise) -> None:
                    fields = [single[draw], *(s @ w[draw] for s, w in zip(seen, weights))]
                    noise[draw] += sum(field @ loading.T for field, loading in zip(fields, self.loadings))

                each(put, range(n_draws))
            yield rows, noise

    def arrays(self) -> dict[str, Tensor]:
        """All numbers as tensors; `of_arrays` takes them back."""
        own = {name: getattr(self, name).copy() for name in ("lengths_um", "loadings", "alone")}
        return tensors(own)  # copies: two kinds of errors may have one noise, and no two tensors may share memory

    @classmethod
    def of_arrays(cls, arrays: Mapping[str, Tensor]) -> SpatialNoise:
        """What `arrays` gave."""
        return cls(*(arrays[name].numpy() for name in ("lengths_um", "loadings", "alone")))

    def correlation(self, distance_um: float) -> np.ndarray:
        """[g g] correlation of genes at two spots `distance_um` apart; 0 is the same spot."""
        smooth = [float(matern(np.array(distance_um), float(length))) for length in self.lengths_um]
        shares = [float(distance_um == 0), *smooth]
        result = sum(share * loading @ loading.T for share, loading in zip(shares, self.loadings))
        return result + shares[0] * np.diag(np.square(self.alone))


def _slides(values: np.ndarray, slide: np.ndarray, xy_um: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Values and places of each slide; of a large slide a connected part."""
    for label in np.unique(slide):
        rows = np.flatnonzero(slide == label)
        if len(rows) > _MOST_SPOTS:
            away = np.square(xy_um[rows] - np.median(xy_um[rows], 0)).sum(1)
            rows = rows[np.argpartition(away, _MOST_SPOTS)[:_MOST_SPOTS]]
        yield values[rows], xy_um[rows]


def _principal_axes(values: np.ndarray) -> np.ndarray:
    """[g f] orthonormal axes of values [n g]; all genes themselves where they are few."""
    n_genes = values.shape[1]
    if n_genes <= MOST_FACTORS:
        return np.eye(n_genes)
    n_factors = max(min(MOST_FACTORS, len(values) - 1), 1)
    if n_genes <= _MOST_IN_PRODUCTS:  # one product instead of a dozen passes
        return eigh(values.T @ values, subset_by_index=(n_genes - n_factors, n_genes - 1), overwrite_a=True)[1]
    from sklearn.utils.extmath import randomized_svd

    return randomized_svd(values, n_factors, random_state=0)[2].T


def _lags(scores: np.ndarray, xy_um: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pairs [b] in each bin of distance, their mean distance [b] in pitches, mean products [b f f] of their scores."""
    n_bins, n_factors = len(_EDGES), scores.shape[1]
    n_pairs, distance = np.zeros(n_bins, dtype=np.int64), np.zeros(n_bins)
    products = np.zeros((n_bins, n_factors, n_factors))
    n_pairs[0], products[0] = len(scores), scores.T @ scores / len(scores)
    pitch = nearest_spacing(xy_um)
    if not pitch > 0:
        return n_pairs, distance, products
    pairs = cKDTree(xy_um).query_pairs(_EDGES[-1] * pitch, output_type="ndarray")
    away = np.linalg.norm(xy_um[pairs[:, 0]] - xy_um[pairs[:, 1]], axis=1) / pitch
    of_bin = np.searchsorted(_EDGES, away)
    for number in range(1, n_bins):
        chosen = of_bin == number
        if chosen.any():
            one, other = pairs[chosen].T
            together = sparse.csr_matrix((np.ones(len(one)), (one, other)), shape=(len(scores), len(scores)))
            product = scores.T @ (together @ scores) / len(one)  # pairs times factors, not times their square
            n_pairs[number], distance[number] = chosen.sum(), away[chosen].mean()
            products[number] = (product + product.T) / 2
    return n_pairs, distance, products


def _split(covariances: np.ndarray, distance: np.ndarray, n_pairs: np.ndarray) -> np.ndarray:
    """The three covariances [3 f f] whose sums come nearest to those in the bins [b f f]."""
    shares = np.stack([(distance == 0).astype(float), *(matern(distance, length) for length in PITCHES)])  # [3 b]
    weight = n_pairs.copy()
    weight[0] = n_pairs.max()  # the variance itself has to be met
    root_weight = np.sqrt(weight)[:, None]
    free = np.linalg.pinv(shares.T * root_weight) @ (root_weight * covariances.reshape(len(distance), -1))
    parts = free.reshape(3, *covariances.shape[1:])  # the best without the condition, from which the others start
    for _ in range(_ROUNDS if len(distance) > 1 else 0):
        for j in (2, 1, 0):
            others = np.einsum("pb,pfg->bfg", np.delete(shares, j, 0), np.delete(parts, j, 0))
            scale = weight * shares[j]
            fitted = np.einsum("b,bfg->fg", scale, covariances - others) / max(float(scale @ shares[j]), _LEAST)
            root = _root(fitted)
            parts[j] = root @ root.T
    return parts


def _root(matrix: np.ndarray) -> np.ndarray:
    """[f f] square root of the nearest positive semidefinite matrix."""
    values, vectors = np.linalg.eigh((matrix + matrix.T) / 2)
    return vectors * np.sqrt(np.maximum(values, 0))
