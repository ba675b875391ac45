"""The protocol of a source of pixels (levels, and rectangles of a level), and checks that all sources share.

Each slide library has one small class that meets it.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from eosin.errors import EosinError
from eosin.row_blocks import row_blocks

MAX_PIXELS = 2_500_000_000
"""Largest image that is decoded whole (50,000 x 50,000 px, 7.5 GB): beyond it, most likely a forged header."""
MAX_TILE_PIXELS = 16_777_216
"""Largest tile (4096 x 4096 px): decoded at once, whatever the window."""
TRUSTED_BYTES = 144_000_000
"""What any header may claim (48 million pixels): harmless on any machine."""
_WHOLE_RATIO, _TILED_RATIO = 200, 5_000
"""Decoded bytes per byte of file. Tissue has 2 to 50 and blank glass as JPEG up to 150; a slide whose glass was not
stored has more, but is read window by window."""

_ROWS = 1024
_OFF_PX, _OFF = 2.0, 0.005
"""How far the sides of a reduced level may be from those of the full resolution: its own pixels, or a share."""


@dataclass(frozen=True)
class Level:
    """One resolution of a slide.

    Attributes
    ----------
    width, height
        Pixels.
    downsample
        Full-resolution pixels per pixel of this level.
    """

    width: int
    height: int
    downsample: float


class Source(Protocol):
    """Levels of a slide and their pixels. `region` may be called by several threads at once.

    Attributes
    ----------
    levels
        Finest first.
    library
        What decodes the file.
    """

    levels: tuple[Level, ...]
    library: str

    def region(self, level: int, x: int, y: int, width: int, height: int) -> np.ndarray:
        """RGB uint8 [height width 3] of a rectangle that lies inside the level; `x`, `y` in pixels of that level."""
        ...

    def close(self) -> None:
        """Close the file or release the memory."""
        ...


def levels_of(sizes_px: list[tuple[int, int]]) -> tuple[Level, ...]:
    """Levels from their sizes, with downsamples rounded to the whole number that the writer of the file meant.

    Writers round the size of a reduced level, so the ratio of widths is 4.0003 where 4 was meant; over 20,000 px
    that is a shift of several pixels. A ratio that rounding by one pixel explains becomes the whole number.

    Parameters
    ----------
    sizes_px
        Width and height of each level, finest first.
    """
    full_w, full_h = sizes_px[0]
    levels = []
    for width, height in sizes_px:
        ratio = (full_w / width + full_h / height) / 2
        whole = max(1, round(ratio))
        if abs(full_w / whole - width) <= 1.01 and abs(full_h / whole - height) <= 1.01:
            ratio = float(whole)
        levels.append(Level(width, height, ratio))
    return tuple(levels)


def same_picture(sizes_px: Sequence[tuple[int, int]]) -> list[int]:
    """Which of the levels, finest first, have the shape of the full resolution, and so can show the same picture.

    Some programs store a crop, or a picture of another section, as a reduced level; others fill levels up to whole
    tiles. Places on such a level are not those of the full resolution.
    """
    full_w, full_h = sizes_px[0]
    kept = []
    for i, (width, height) in enumerate(sizes_px):
        ratio = (full_w / max(1, width) + full_h / max(1, height)) / 2
        off_px = max(abs(full_w / ratio - width), abs(full_h / ratio - height))
        if i == 0 or off_px <= max(_OFF_PX, _OFF * max(width, height)):
            kept.append(i)
    return kept


def flat_rgb(rgba: np.ndarray, *, premultiplied: bool = False) -> np.ndarray:
    """RGB uint8 [h w 3] of an RGBA image [h w 4] on white: what a scanner did not record becomes background.

    Parameters
    ----------
    rgba
        Colours and opacity.
    premultiplied
        Whether the colours are multiplied by their opacity already.
    """
    if rgba[..., 3].min() == 255:
        return np.ascontiguousarray(rgba[..., :3])
    flat = np.empty((*rgba.shape[:2], 3), np.uint8)
    for rows in row_blocks(len(rgba), budget=_ROWS):  # because the products need twice the memory of the image
        alpha = rgba[rows, :, 3:].astype(np.uint16)
        if premultiplied:
            flat[rows] = np.minimum(rgba[rows, :, :3] + (255 - alpha), 255)
        else:
            flat[rows] = (rgba[rows, :, :3] * alpha + 255 * (255 - alpha) + 127) // 255
    return flat


def check_claim(
    n_bytes: int, path: Path, size_px: tuple[int, int], *, tiled: bool = False, n_stored: int | None = None
) -> None:
    """Refuse a header that claims far more pixels than its file can hold, before memory is taken for them.

    Parameters
    ----------
    n_bytes
        Size of the decoded image, bytes.
    path
        The file.
    size_px
        Width and height, for the message.
    tiled
        Whether the image is read window by window: then more pixels per byte of file are believed.
    n_stored
        Bytes that hold the image, where it is a folder.

    Raises
    ------
    EosinError
        The size is not positive, or too large for the file.
    """
    if min(size_px) < 1:
        fix = "its header is damaged: copy or export it again"
        raise EosinError(f"claims {size_px[0]} x {size_px[1]} px", file=path, fix=fix)
    n_stored = path.stat().st_size if n_stored is None else n_stored
    if n_bytes > max(TRUSTED_BYTES, (_TILED_RATIO if tiled else _WHOLE_RATIO) * n_stored):
        kind = "folder" if path.is_dir() else "file"
        raise EosinError(
            f"claims {size_px[0]} x {size_px[1]} px in a {kind} of {n_stored:,} bytes",
            file=path,
            fix="its header is damaged or forged: copy or export it again",
        )


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Silence tifffile's log within a block: oddities that matter become errors of eosin."""
    log = logging.getLogger("tifffile")
    log.addFilter(_drop)
    try:
        yield
    finally:
        log.removeFilter(_drop)


def _drop(_: logging.LogRecord) -> bool:
    return False
