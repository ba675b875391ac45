"""Pictures whose colour at any place in µm is known by formula, and files of them in many formats."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import tifffile
from PIL import Image

PERIOD_X_UM, PERIOD_Y_UM = 48.0, 36.0


def colour(x_um: np.ndarray, y_um: np.ndarray) -> np.ndarray:
    """Colour [... 3] (0 to 255, real) of the tissue at a place: two waves and a slow ramp."""
    red = 128 + 90 * np.sin(2 * np.pi * x_um / PERIOD_X_UM)
    green = 128 + 90 * np.cos(2 * np.pi * y_um / PERIOD_Y_UM)
    blue = 60 + 0.2 * x_um + 0.1 * y_um
    return np.stack(np.broadcast_arrays(red, green, blue), -1)


def painted(width_px: int, height_px: int, mpp: float) -> np.ndarray:
    """The picture at full resolution [h w 3] uint8; pixel i covers [i, i + 1) mpp, its colour that of its centre."""
    x = (np.arange(width_px) + 0.5) * mpp
    y = (np.arange(height_px) + 0.5) * mpp
    return np.round(colour(x[None], y[:, None])).astype(np.uint8)


def window(centre_um: tuple[float, float], width_um: float, px: int) -> np.ndarray:
    """What a perfect reader would give [px px 3], real."""
    step = (np.arange(px) + 0.5) / px * width_um - width_um / 2
    return colour(centre_um[0] + step[None], centre_um[1] + step[:, None])


def halved(pixels: np.ndarray) -> np.ndarray:
    """Mean of 2 x 2 pixels; odd rows and columns dropped, as scanners do."""
    h, w = pixels.shape[0] // 2 * 2, pixels.shape[1] // 2 * 2
    blocks = pixels[:h, :w].astype(float).reshape(h // 2, 2, w // 2, 2, 3)
    return np.round(blocks.mean((1, 3))).astype(np.uint8)


def save_pyramid(path: Path, pixels: np.ndarray, mpp: float, *, n_levels: int = 3, bigtiff: bool = False) -> Path:
    """A tiled TIFF with reduced levels as directories of their own, as scanners and HEST write."""
    with tifffile.TiffWriter(path, bigtiff=bigtiff) as file:
        for level in range(n_levels):
            options = {"resolution": (1e4 / mpp, 1e4 / mpp), "resolutionunit": "CENTIMETER"} if level == 0 else {}
            kind = 0 if level == 0 else 1
            file.write(pixels, tile=(128, 128), compression="deflate", photometric="rgb", subfiletype=kind, **options)
            pixels = halved(pixels)
    return path


def save_ome(path: Path, pixels: np.ndarray, mpp: float, *, n_levels: int = 3) -> Path:
    """A tiled OME-TIFF with reduced levels in sub-directories; its scale stands in nanometres."""
    sizes = {f"PhysicalSize{a}": mpp * 1000 for a in "XY"} | {f"PhysicalSize{a}Unit": "nm" for a in "XY"}
    with tifffile.TiffWriter(path, ome=True) as file:
        for level in range(n_levels):
            options = {"subifds": n_levels - 1, "metadata": sizes} if level == 0 else {"subfiletype": 1}
            file.write(pixels, tile=(128, 128), compression="deflate", photometric="rgb", **options)
            pixels = halved(pixels)
    return path


def save_plain(path: Path, pixels: np.ndarray, mpp: float | None = None) -> Path:
    """A TIFF in strips."""
    options = {} if mpp is None else {"resolution": (1e4 / mpp, 1e4 / mpp), "resolutionunit": "CENTIMETER"}
    tifffile.imwrite(path, pixels, photometric="rgb", rowsperstrip=16, **options)
    return path


def save_image(path: Path, pixels: np.ndarray, **options: object) -> Path:
    """JPEG or PNG by suffix."""
    Image.fromarray(pixels).save(path, **options)
    return path
