"""The densities of `stain`, version 2, as they are defined: one pixel at a time in float64."""

from __future__ import annotations

import numpy as np

HAEMATOXYLIN, EOSIN = (0.65, 0.70, 0.29), (0.07, 0.99, 0.11)


def unit_rows() -> np.ndarray:
    """Haematoxylin, eosin and their cross product, each of length 1 [3 3]."""
    rows = np.array([HAEMATOXYLIN, EOSIN, np.cross(HAEMATOXYLIN, EOSIN)])
    return rows / np.sqrt((rows**2).sum(1, keepdims=True))


def densities(pixels: np.ndarray) -> np.ndarray:
    """Amounts of the three stains [n 3] in pixels [n 3]."""
    od = -np.log((pixels.astype(np.float64) + 1) / 256)
    return od @ np.linalg.inv(unit_rows())


def factors(windows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """99th percentiles of haematoxylin and eosin (2) in windows [n px px 3], and the factors of the stains (3)."""
    pixels = windows[:, ::5, ::5].reshape(-1, 3)
    od = -np.log((pixels.astype(np.float64) + 1) / 256)
    amounts = densities(pixels[od.mean(1) > 0.12])
    p_h, p_e = np.percentile(amounts[:, 0], 99), np.percentile(amounts[:, 1], 99)
    return np.array([p_h, p_e]), np.clip([1.6 / p_h, 0.55 / p_e, 1], 0.33, 2)


def normalised(pixels: np.ndarray, s: np.ndarray) -> np.ndarray:
    """Pixels [n 3] with scaled stains, before they are rounded."""
    od = densities(pixels) @ np.diag(s) @ unit_rows()
    return np.clip(256 * np.exp(-od) - 1, 0, 255)
