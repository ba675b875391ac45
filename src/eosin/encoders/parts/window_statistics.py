"""The statistics of `stain` for windows on the CPU, by compiled loops: the same numbers as `map_statistics.py` gives.

Decisions (pixels that are peaks, patterns, percentiles) are the same to the last bit; sums differ by their rounding.
A window's maps are made in memory that each thread keeps, and stay in a core's cache.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from eosin.encoders.parts import map_statistics, window_filters, window_kernels
from eosin.encoders.parts.stain_recipe import Recipe

_STAINS, _TEXTURED = 4, (0, 1, 3)
_SPACE = threading.local()


def statistics_of(tiles: np.ndarray, recipe: Recipe) -> np.ndarray:
    """Statistics float32 [b m] of windows uint8 [b px px 3]; see `Stain`."""
    return np.stack([_of_window(np.ascontiguousarray(tile), recipe) for tile in tiles])


def _of_window(tile: np.ndarray, recipe: Recipe) -> np.ndarray:
    space = _space(len(tile), max(recipe.n_details, 1))
    if recipe.scaling is not None:
        window_kernels.scaled_densities(tile, recipe.table, recipe.scaling, space.light)
        torch.from_numpy(space.light).exp_()  # as the plain version computes it, so that pixels round alike
        window_kernels.pixels_of(space.light, space.tile)
        tile = space.tile
    window_kernels.stains_of(tile, recipe.table, recipe.unmix, space.stains, space.pairs[0])
    window_kernels.halved(space.stains, space.halves)
    parts = [*_of_stains(space), *_texture(space, recipe), *_patterns(space, recipe), *_nuclei(space, recipe)]
    return np.concatenate([np.asarray(part, np.float32).ravel() for part in parts])


@dataclass(frozen=True)
class _Space:
    """Memory for the maps of one window: a set for every thread and size."""

    light: np.ndarray  # [3 h w]
    tile: np.ndarray  # [h w 3]
    stains: np.ndarray  # [4 h w]
    halves: np.ndarray  # [4 h/2 w/2]
    maps: list[np.ndarray]  # [3 h w], and each half of the one before
    pairs: list[np.ndarray]  # int16 [2 h w], and each half of the one before


def _space(px: int, n_levels: int) -> _Space:
    kept = _SPACE.__dict__.setdefault("kept", {})
    if (px, n_levels) not in kept:
        sides = [px >> level for level in range(n_levels)]
        kept[px, n_levels] = _Space(
            np.empty((3, px, px), np.float32),
            np.empty((px, px, 3), np.uint8),
            np.empty((_STAINS, px, px), np.float32),
            np.empty((_STAINS, px // 2, px // 2), np.float32),
            [np.empty((len(_TEXTURED), side, side), np.float32) for side in sides],
            [np.empty((2, side, side), np.int16) for side in sides],
        )
    return kept[px, n_levels]


def _of_stains(space: _Space) -> list[np.ndarray]:
    """Moments, percentiles, correlations and layout of the stains."""
    maps, n = space.stains, space.stains[0].size
    px, cell = maps.shape[-1], maps.shape[-1] // 4
    total, of_rings, of_cells = np.empty(_STAINS), np.empty((3, 3)), np.empty((3, 4, 4))
    rings, n_in_ring = _rings(px)
    window_kernels.sums(maps, rings, total, of_rings, of_cells)
    centre = (total / n).astype(np.float32)
    cubes, products = np.empty(_STAINS), np.empty((_STAINS, _STAINS))
    window_kernels.deviations(maps, centre, cubes, products)
    third, products = cubes / n, products / n
    second = products.diagonal()
    sd = np.sqrt(second + 1e-6)
    sample = np.sort(space.halves[:, ::2, ::2].reshape(_STAINS, -1))
    rank = [round(level * (sample.shape[1] - 1)) for level in map_statistics.PERCENTILES]
    return [
        np.concatenate([centre, np.sqrt(second), np.sign(third) * np.abs(third) ** (1 / 3)]),
        sample[:, rank],
        np.array([products[i, j] / (sd[i] * sd[j]) for i in range(_STAINS) for j in range(i)]),
        of_rings / n_in_ring[:, None],
        (of_cells / cell**2).reshape(3, -1).std(1, ddof=1),
    ]


@functools.lru_cache(maxsize=8)
def _rings(px: int) -> tuple[np.ndarray, np.ndarray]:
    """A central disc and two rings around it, float32 [3 px px], and their numbers of pixels [3]."""
    rings = map_statistics.rings(px).numpy()
    return rings, rings.sum((1, 2), dtype=np.float64)


def _texture(space: _Space, recipe: Recipe) -> list[np.ndarray]:
    maps, parts = space.maps, []
    for into, place in enumerate(_TEXTURED):
        maps[0][into] = space.stains[place]
    for level in range(recipe.n_details):
        own = maps[level]
        n = (own.shape[1] - 2) * (own.shape[2] - 2)
        sums = np.empty((len(_TEXTURED), 3))
        window_kernels.detail(own, sums)
        positive, square, peaks = sums.T / n
        parts.append(np.concatenate([positive, np.sqrt(square), np.sqrt(peaks)]))
        if level < recipe.n_edges:
            sums = np.empty((len(_TEXTURED), 4))
            window_kernels.edges(own, sums)
            xx, yy, xy, size = sums.T / n
            coherence = np.sqrt((xx - yy) ** 2 + 4 * xy**2) / (xx + yy + 1e-4)
            parts.append(np.concatenate([np.sqrt(xx + yy), size, coherence]))
        if level + 1 < recipe.n_details:
            window_kernels.halved(own, maps[level + 1])
    return parts


def _patterns(space: _Space, recipe: Recipe) -> list[np.ndarray]:
    parts = []
    for level in range(recipe.n_patterns):
        own, counts = space.pairs[level], np.empty((2, 10), np.int64)
        window_kernels.count_patterns(own, _pattern_bins(), counts)
        parts.append(counts / ((own.shape[1] - 2) * (own.shape[2] - 2)))
        if level + 1 < recipe.n_patterns:
            window_kernels.summed_pairs(own, space.pairs[level + 1])
    return parts


@functools.cache
def _pattern_bins() -> np.ndarray:
    """The bin of each ring of eight bits, uint8 [256]: its number of ones where it is uniform, else 9."""
    bits = (np.arange(256)[:, None] >> np.arange(8)) & 1
    changes = (bits != np.roll(bits, 1, 1)).sum(1)
    return np.where(changes <= 2, bits.sum(1), 9).astype(np.uint8)


def _nuclei(space: _Space, recipe: Recipe) -> list[np.ndarray]:
    half = space.halves[0]
    spectrum = np.empty((2, len(recipe.granule_px)))
    window_filters.granules(half, np.array(recipe.granule_px), spectrum)
    parts, sought = [spectrum], half if recipe.at_half else space.stains[0]
    thresholds = np.array(recipe.blob_densities, np.float32)
    for narrow, broad in _filters(recipe.sigmas_px):
        sums = np.empty(len(thresholds) + 2)
        window_filters.blobs(sought, narrow, broad, thresholds, sums)
        counts, strength, square = sums[:-2], sums[-2], sums[-1]
        energy = np.sqrt(square / sought.size)
        parts.append(np.array([*(counts / sought.size * 1e3), strength / (counts[0] + 1), energy]))
    return parts


@functools.lru_cache(maxsize=32)
def _filters(sigmas_px: Sequence[float]) -> list[tuple[np.ndarray, np.ndarray]]:
    """Half a filter for each blob and for its surroundings, float32."""
    return [(_filter(sigma), _filter(map_statistics.SURROUND * sigma)) for sigma in sigmas_px]


def _filter(sigma_px: float) -> np.ndarray:
    return np.array(map_statistics.blur_weights(sigma_px), np.float32)
