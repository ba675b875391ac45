"""Write an image as a tiled TIFF, one row of tiles at a time, so that it need never be in memory as a whole."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from eosin.errors import EosinError
from eosin.storage.files import atomic_file

_TILE = 256


def write_tiff(path: str | Path, rows: Callable[[int, int], np.ndarray], width: int, height: int) -> None:
    """Write a lossless tiled TIFF, whole or not at all.

    Parameters
    ----------
    path
        The file; its folder is made.
    rows
        `rows(top, bottom)` returns the pixel rows from `top` up to, not including, `bottom`: uint8 [rows width 3].
    width, height
        Size in pixels.

    Raises
    ------
    EosinError
        The file cannot be written, or the pixels are not of that shape.
    """
    import tifffile

    def tiles() -> Iterator[np.ndarray]:
        for top in range(0, height, _TILE):
            bottom = min(top + _TILE, height)
            stripe = rows(top, bottom)
            if stripe.shape != (bottom - top, width, 3) or stripe.dtype != np.uint8:
                raise EosinError(f"pixels are {stripe.dtype} {stripe.shape}", file=path, fix="give uint8 [h w 3]")
            for left in range(0, width, _TILE):
                tile = np.full((_TILE, _TILE, 3), 255, dtype=np.uint8)
                piece = stripe[:, left : left + _TILE]
                tile[: piece.shape[0], : piece.shape[1]] = piece
                yield tile

    with atomic_file(path) as partial:
        tifffile.imwrite(
            partial,
            tiles(),
            shape=(height, width, 3),
            dtype=np.uint8,
            photometric="rgb",
            tile=(_TILE, _TILE),
            compression="zlib",
            bigtiff=3 * width * height > 3_000_000_000,
        )
