"""Random fields and maps of synthetic tissue, on the pixels of the image or on a coarse grid of 4 µm."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import ndimage

GRID_UM = 4.0
"""Side of a cell of the coarse grid, µm: what varies over tens of µm is drawn on it and resized."""

Field = Callable[[float], np.ndarray]
"""`field(length_um)`: a random field on the coarse grid [n n], sd 1, with features of that length."""


def smooth_field(rng: np.random.Generator, shape: tuple[int, int], length: float) -> np.ndarray:
    """Gaussian random field [h w] of `shape`, mean 0, sd 1, whose features are about `length` pixels wide."""
    noise = np.fft.rfft2(rng.standard_normal(shape))
    fy, fx = np.fft.fftfreq(shape[0])[:, None], np.fft.rfftfreq(shape[1])[None]
    field = np.fft.irfft2(noise * np.exp(-((np.pi * length / 3) ** 2) * (fx**2 + fy**2)), s=shape)
    return (field - field.mean()) / max(float(field.std()), 1e-12)


def texture(rng: np.random.Generator, shape: tuple[int, int], length: float) -> np.ndarray:
    """Fine-grained `smooth_field` [h w], float32: one periodic tile of 512 px repeated, which is ten times faster."""
    tile = smooth_field(rng, (512, 512), length).astype(np.float32)
    return np.tile(tile, (-(-shape[0] // 512), -(-shape[1] // 512)))[: shape[0], : shape[1]]


def step(height: np.ndarray, soft: float) -> np.ndarray:
    """0 below `height` = -`soft`, 1 above `soft`, linear between; float32, shape of `height`."""
    return np.clip(height / (2 * soft) + 0.5, 0, 1).astype(np.float32)


def resize(field: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Bilinear resize of a map [h w] to `shape`, float32; several times faster than a spline zoom."""
    field = field.astype(np.float32)
    for axis, n in enumerate(shape):
        at = np.clip((np.arange(n) + 0.5) * field.shape[axis] / n - 0.5, 0, field.shape[axis] - 1)
        low = np.minimum(at.astype(int), field.shape[axis] - 2)
        share = (at - low).astype(np.float32).reshape((-1, 1) if axis == 0 else (1, -1))
        field = np.take(field, low, axis) * (1 - share) + np.take(field, low + 1, axis) * share
    return field


def shrink(area: np.ndarray, mpp: float) -> np.ndarray:
    """Means of a square map at `mpp` µm per pixel over the cells of the coarse grid."""
    n = round(len(area) * mpp / GRID_UM)
    edges = np.arange(n) * len(area) // n
    total = np.add.reduceat(np.add.reduceat(area, edges, 0), edges, 1)
    size = np.diff(np.append(edges, len(area)))
    return total / (size[:, None] * size[None])


def sample(field: np.ndarray, xy_um: np.ndarray) -> np.ndarray:
    """Values [s] of a map on the coarse grid at points [s 2] (µm), bilinear."""
    return ndimage.map_coordinates(field, (xy_um[:, ::-1] / GRID_UM - 0.5).T, order=1, mode="nearest")


def window_around(
    centre_um: np.ndarray, reach_um: float, shape: tuple[int, int], mpp: float
) -> tuple[tuple, np.ndarray, np.ndarray]:
    """The part of an image around a point.

    Parameters
    ----------
    centre_um
        The point (x, y) [2], µm.
    reach_um
        Half the side of the window, µm.
    shape
        Height and width of the image, pixels.
    mpp
        µm per pixel.

    Returns
    -------
    tuple
        Slices (rows, columns) of the window within the image, and x and y (µm) of its pixels, each [h w] float32.
    """
    low = np.maximum(((centre_um - reach_um) / mpp).astype(int), 0)
    high = np.maximum(np.minimum(((centre_um + reach_um) / mpp).astype(int) + 1, shape[::-1]), low)
    y, x = np.mgrid[low[1] : high[1], low[0] : high[0]].astype(np.float32)
    return (slice(low[1], high[1]), slice(low[0], high[0])), (x + 0.5) * mpp, (y + 0.5) * mpp
