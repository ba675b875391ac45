"""Random fields, and maps on the coarse grid on which synthetic tissue is laid out."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

GRID_UM = 4.0  # what varies over tens of µm is drawn on this grid and resized


def smooth_field(rng: np.random.Generator, shape: tuple[int, int], length: float) -> np.ndarray:
    """Gaussian random field [h w], mean 0, sd 1, whose features are about `length` pixels wide."""
    noise = np.fft.rfft2(rng.standard_normal(shape))
    fy, fx = np.fft.fftfreq(shape[0])[:, None], np.fft.rfftfreq(shape[1])[None]
    field = np.fft.irfft2(noise * np.exp(-((np.pi * length / 3) ** 2) * (fx**2 + fy**2)), s=shape)
    return (field - field.mean()) / max(float(field.std()), 1e-12)


def texture(rng: np.random.Generator, shape: tuple[int, int], length: float) -> np.ndarray:
    """A `smooth_field` float32 [h w] for fine grain: one periodic tile laid side by side, ten times faster."""
    tile = smooth_field(rng, (512, 512), length).astype(np.float32)
    return np.tile(tile, (-(-shape[0] // 512), -(-shape[1] // 512)))[: shape[0], : shape[1]]


def step(height: np.ndarray, soft: float) -> np.ndarray:
    """A soft step from 0 to 1 over `soft` either side of height 0."""
    return np.clip(height / (2 * soft) + 0.5, 0, 1).astype(np.float32)


def resize(field: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Bilinear resize to `shape`, float32; several times faster than a spline zoom."""
    field = field.astype(np.float32)
    for axis, n in enumerate(shape):
        at = np.clip((np.arange(n) + 0.5) * field.shape[axis] / n - 0.5, 0, field.shape[axis] - 1)
        low = np.minimum(at.astype(int), field.shape[axis] - 2)
        share = (at - low).astype(np.float32).reshape((-1, 1) if axis == 0 else (1, -1))
        field = np.take(field, low, axis) * (1 - share) + np.take(field, low + 1, axis) * share
    return field


def shrink(area: np.ndarray, mpp: float) -> np.ndarray:
    """Means of an image-resolution map over the cells of the coarse grid."""
    n = round(len(area) * mpp / GRID_UM)
    edges = np.arange(n) * len(area) // n
    total = np.add.reduceat(np.add.reduceat(area, edges, 0), edges, 1)
    size = np.diff(np.append(edges, len(area)))
    return total / (size[:, None] * size[None])


def sample(field: np.ndarray, xy_um: np.ndarray) -> np.ndarray:
    """Values of a coarse-grid map at points (x, y) µm, bilinear."""
    return ndimage.map_coordinates(field, (xy_um[:, ::-1] / GRID_UM - 0.5).T, order=1, mode="nearest")
