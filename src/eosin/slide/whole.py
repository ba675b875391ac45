"""Images that are decoded whole, once, when first read: JPEG, PNG and plain TIFF, with a pyramid in memory."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np

from eosin.errors import EosinError
from eosin.slide.source import MAX_PIXELS, Level, check_claim, flat_rgb

Decode = Callable[[], np.ndarray]

_PILLOW = threading.Lock()
_FORMATS = ("JPEG", "PNG", "BMP", "GIF", "JPEG2000", "PPM", "WEBP")
"""Formats that Pillow decodes itself. Of others some start programs (EPS) or read further files."""
_SMALLEST_LEVEL_PX = 512


class WholeImage:
    """An image in memory. Decoding waits for the first read; levels halve exactly, down to about 512 px."""

    def __init__(self, size_px: tuple[int, int], decode: Decode):
        self.levels = _halvings(*size_px)
        self._decode = decode
        self._pixels: list[np.ndarray] = []
        self._lock = threading.Lock()

    def region(self, level: int, x: int, y: int, width: int, height: int) -> np.ndarray:
        return self._level(level)[y : y + height, x : x + width]

    def close(self) -> None:
        self._pixels = []

    def _level(self, level: int) -> np.ndarray:
        if len(self._pixels) <= level:
            with self._lock:
                if not self._pixels:
                    self._pixels.append(self._decode())
                while len(self._pixels) <= level:
                    self._pixels.append(_halve(self._pixels[-1]))
        return self._pixels[level]


def open_pillow(path: Path) -> WholeImage:
    """An image that Pillow knows. The size limit is ours: Pillow's own would refuse every full-resolution section."""
    image = _open(path)
    width, height = image.size
    image.close()
    check_size(width, height, path)
    check_claim(max(3, len(image.getbands())) * width * height, path, (width, height))
    if image.mode.startswith(("I", "F")):
        raise EosinError(
            f"an image of mode '{image.mode}', not of 8-bit colour", file=path, fix="export it as 8-bit RGB"
        )
    return WholeImage((width, height), lambda: _decode_pillow(path))


def check_size(width: int, height: int, path: Path) -> None:
    """Refuse an image whose decoded pixels would not fit in a usual machine, or whose header lies about them."""
    if width * height > MAX_PIXELS:
        raise EosinError(
            f"{width} x {height} px is too large to decode whole (limit {MAX_PIXELS:.3g} px)",
            file=path,
            fix="convert it to a tiled pyramidal TIFF",
        )


def as_rgb(pixels: np.ndarray, path: Path) -> np.ndarray:
    """RGB uint8 [h w 3] of decoded pixels that may be grey, RGB or RGBA."""
    if pixels.dtype != np.uint8:
        raise EosinError(f"pixels of type {pixels.dtype}, not 8-bit", file=path, fix="export it as 8-bit RGB")
    if pixels.ndim == 2:
        pixels = pixels[..., None]
    if pixels.ndim == 3 and pixels.shape[2] == 1:
        return np.repeat(pixels, 3, axis=2)
    if pixels.ndim == 3 and pixels.shape[2] == 3:
        return np.ascontiguousarray(pixels)
    if pixels.ndim == 3 and pixels.shape[2] == 4:
        return flat_rgb(pixels)
    raise EosinError(f"pixels of shape {pixels.shape}, not an RGB image", file=path, fix="export it as 8-bit RGB")


def _open(path: Path):
    from PIL import Image, UnidentifiedImageError

    with _PILLOW:  # the limit is a global of Pillow's: lent for the moment of opening, then put back
        theirs, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            return Image.open(path, formats=_FORMATS)
        except UnidentifiedImageError:
            raise EosinError("not an image that eosin can read", file=path, fix=READABLE) from None
        except Exception as error:  # a damaged header makes Pillow's parsers raise anything
            raise EosinError(f"cannot be read as an image ({error})", file=path, fix=READABLE) from error
        finally:
            Image.MAX_IMAGE_PIXELS = theirs


READABLE = "give a JPEG, PNG, TIFF, SVS or another format of OpenSlide"


def _decode_pillow(path: Path) -> np.ndarray:
    with _open(path) as image:
        try:
            image.load()
            if image.mode in ("RGB", "L", "RGBA"):
                return as_rgb(np.asarray(image), path)
            see_through = "A" in image.mode or "transparency" in image.info
            return as_rgb(np.asarray(image.convert("RGBA" if see_through else "RGB")), path)
        except EosinError:
            raise
        except Exception as error:  # as above: struct.error, zlib.error, IndexError, MemoryError, ...
            fix = "the file is incomplete or damaged: copy or export it again"
            raise EosinError(f"cannot be decoded ({error})", file=path, fix=fix) from error


def _halvings(width: int, height: int) -> tuple[Level, ...]:
    levels, factor = [Level(width, height, 1.0)], 1
    while min(width, height) >= 2 * _SMALLEST_LEVEL_PX:
        width, height, factor = width // 2, height // 2, factor * 2
        levels.append(Level(width, height, float(factor)))
    return tuple(levels)


def _halve(pixels: np.ndarray) -> np.ndarray:
    """Mean of every 2 x 2 pixels [h//2 w//2 3]; an odd last row or column is left to the finer level."""
    from PIL import Image

    height, width = (n // 2 for n in pixels.shape[:2])
    return np.asarray(Image.fromarray(pixels[: 2 * height, : 2 * width]).reduce(2))
