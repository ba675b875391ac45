"""Images that are decoded whole, once, when first read: JPEG, PNG and plain TIFF, with reduced levels in memory."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from eosin.errors import EosinError
from eosin.slide.foreign_formats import check_upright, warn_of_grey
from eosin.slide.source import MAX_PIXELS, Level, check_claim, flat_rgb

Decode = Callable[[], np.ndarray]

_PILLOW_LOCK = threading.Lock()
_FORMATS = ("JPEG", "PNG", "BMP", "GIF", "JPEG2000", "PPM", "WEBP")
"""Formats that Pillow decodes itself. Others are not opened: some start programs (EPS) or read further files."""
_GREY = ("1", "L", "LA", "La")
_ORIENTATION_TAG = 0x0112
_SMALLEST_LEVEL_PX = 512
_PNG_BITS_AT = 24
_HEAD_BYTES, _NEARLY_BLACK = 4096, 64
"""Bytes that tell the bits of a PNG or JPEG 2000; the brightest value of 8 bit that slides always exceed."""
_READABLE = "give a JPEG, PNG, TIFF, SVS or another format of OpenSlide"


class WholeImage:
    """A source of pixels in memory, decoded at the first read.

    Each level halves the one before it, as long as its shorter side keeps 512 px or more.

    Parameters
    ----------
    size_px
        Width and height.
    decode
        Called once, returns RGB uint8 [h w 3].
    library
        What decodes it.
    """

    def __init__(self, size_px: tuple[int, int], decode: Decode, library: str):
        self.library = library
        self.levels = _halvings(*size_px)
        self._decode = decode
        self._pixels: list[np.ndarray] = []
        self._lock = threading.Lock()

    def region(self, level: int, x: int, y: int, width: int, height: int) -> np.ndarray:
        """RGB uint8 [height width 3] of a rectangle inside the level; a view, not a copy."""
        return self._level(level)[y : y + height, x : x + width]

    def close(self) -> None:
        """Release the pixels."""
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
    """An image that Pillow decodes. `check_size` replaces Pillow's size limit, which would refuse many whole sections.

    Raises
    ------
    EosinError
        Not an image, damaged, too large, or not of 8-bit colour.
    """
    image = _open(path)
    width, height = image.size
    orientation = _orientation(image)
    image.close()
    check_upright(orientation, path)
    check_size(width, height, path)
    check_claim(max(3, len(image.getbands())) * width * height, path, (width, height))
    if image.mode.startswith(("I", "F")):
        raise EosinError(
            f"an image of mode '{image.mode}', not of 8-bit colour", file=path, fix="export it as 8-bit RGB"
        )
    if image.mode in _GREY:
        warn_of_grey(path)
    return WholeImage((width, height), lambda: _decode_pillow(path), "Pillow")


def check_size(width: int, height: int, path: Path) -> None:
    """Refuse an image that is too large to be decoded whole: more than `MAX_PIXELS` pixels.

    Raises
    ------
    EosinError
        It is too large; the message says what to convert it to.
    """
    if width * height > MAX_PIXELS:
        raise EosinError(
            f"{width} x {height} px is too large to decode whole (limit {MAX_PIXELS:.3g} px)",
            file=path,
            fix="convert it to a tiled pyramidal TIFF",
        )


def as_rgb(pixels: np.ndarray, path: Path, *, premultiplied: bool = False) -> np.ndarray:
    """RGB uint8 [h w 3] of decoded pixels that are grey [h w], [h w 1], RGB [h w 3] or RGBA [h w 4].

    Parameters
    ----------
    pixels
        As a library decoded them.
    path
        The file, for the message.
    premultiplied
        Whether the colours of RGBA are multiplied by their opacity.

    Raises
    ------
    EosinError
        Another shape, or another type of number.
    """
    if pixels.dtype != np.uint8:
        raise EosinError(f"pixels of type {pixels.dtype}, not 8-bit", file=path, fix="export it as 8-bit RGB")
    if pixels.ndim == 2:
        pixels = pixels[..., None]
    if pixels.ndim == 3 and pixels.shape[2] == 1:
        return np.repeat(pixels, 3, axis=2)
    if pixels.ndim == 3 and pixels.shape[2] == 3:
        return np.ascontiguousarray(pixels)
    if pixels.ndim == 3 and pixels.shape[2] == 4:
        return flat_rgb(pixels, premultiplied=premultiplied)
    raise EosinError(f"pixels of shape {pixels.shape}, not an RGB image", file=path, fix="export it as 8-bit RGB")


def check_opacity(pixels: np.ndarray, path: Path, *, premultiplied: bool = False) -> np.ndarray:
    """`as_rgb` of a whole picture, which shows something: an opacity of 0 everywhere is a channel without a use.

    Raises
    ------
    EosinError
        All of it is transparent, and would be white.
    """
    if pixels.ndim == 3 and pixels.shape[2] == 4 and pixels.size and not pixels[..., 3].any():
        raise transparent_everywhere(path)
    return as_rgb(pixels, path, premultiplied=premultiplied)


def transparent_everywhere(path: Path) -> EosinError:
    """The error of a picture that would be white: its channel of opacity is of no use."""
    fix = "export it without the channel of opacity, as by: magick IN -alpha off OUT"
    return EosinError("its opacity is 0 everywhere, so that nothing of it is seen", file=path, fix=fix)


def _open(path: Path):
    from PIL import Image, UnidentifiedImageError

    with _PILLOW_LOCK:  # Pillow's limit is a global: changed while the file is opened, then restored
        pillow_limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            return Image.open(path, formats=_FORMATS)
        except UnidentifiedImageError:
            raise EosinError("not an image that eosin can read", file=path, fix=_READABLE) from None
        except Exception as error:  # a damaged header makes Pillow's parsers raise anything
            raise EosinError(f"cannot be read as an image ({error})", file=path, fix=_READABLE) from error
        finally:
            Image.MAX_IMAGE_PIXELS = pillow_limit


def _orientation(image: Any) -> int:
    """The orientation in the EXIF that was read so far, or 1; EXIF that cannot be read says nothing.

    Not by `getexif`, which decodes a PNG whole.
    """
    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of EXIF that is cut short
            exif = Image.Exif()
            exif.load(image.info["exif"])
            return int(exif.get(_ORIENTATION_TAG, 1))
    except Exception:  # none, or damaged: Pillow's parser raises anything
        return 1


def _decode_pillow(path: Path) -> np.ndarray:
    with _open(path) as image:
        try:
            image.load()
            check_upright(_orientation(image), path)  # PNG may have its EXIF at the end
            _check_range(image, path)
            if image.mode in ("RGB", "L", "RGBA"):
                return check_opacity(np.asarray(image), path)
            transparent = "A" in image.mode or "transparency" in image.info
            return check_opacity(np.asarray(image.convert("RGBA" if transparent else "RGB")), path)
        except EosinError:
            raise
        except Exception as error:  # as above: struct.error, zlib.error, IndexError, MemoryError, ...
            fix = "the file is incomplete or damaged: copy or export it again"
            raise EosinError(f"cannot be decoded ({error})", file=path, fix=fix) from error


def _check_range(image: Any, path: Path) -> None:
    """Refuse a picture of 16 bit that uses 14 of them or fewer: as 8 bit, of the upper ones, it is nearly black."""
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    if (n_bits := _bits_of(head, image.format)) <= 8:
        return
    extrema = image.getextrema()
    largest = max(one[1] for one in (extrema if isinstance(extrema[0], tuple) else (extrema,)))
    if largest < _NEARLY_BLACK:
        said = f"its {n_bits} bits are used up to {largest + 1}/256 only, so that it is nearly black"
        raise EosinError(
            said, file=path, fix="export it as 8-bit RGB over its whole range, as by: magick IN -auto-level OUT"
        )


def _bits_of(head: bytes, kind: str | None) -> int:
    """Bits of a channel by the first bytes of a PNG or JPEG 2000; 8 of others."""
    if kind == "PNG" and len(head) > _PNG_BITS_AT:
        return head[_PNG_BITS_AT]
    at = head.find(b"ihdr")
    stated = head[at + 14 : at + 15]  # behind height, width and the number of channels
    return 1 + (stated[0] & 0x7F) if kind == "JPEG2000" and at >= 0 and stated else 8


def _halvings(width: int, height: int) -> tuple[Level, ...]:
    levels, factor = [Level(width, height, 1.0)], 1
    while min(width, height) >= 2 * _SMALLEST_LEVEL_PX:
        width, height, factor = width // 2, height // 2, factor * 2
        levels.append(Level(width, height, float(factor)))
    return tuple(levels)


def _halve(pixels: np.ndarray) -> np.ndarray:
    """Mean of every 2 x 2 pixels [h//2 w//2 3]; an odd last row or column is dropped."""
    from PIL import Image

    height, width = (n // 2 for n in pixels.shape[:2])
    return np.asarray(Image.fromarray(pixels[: 2 * height, : 2 * width]).reduce(2))
