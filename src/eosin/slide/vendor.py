"""Slides with several levels on disk, by OpenSlide, or by tiffslide where OpenSlide does not support the format."""

from __future__ import annotations

import contextlib
import threading
from pathlib import Path
from typing import Any

import numpy as np

from eosin.errors import EosinError
from eosin.slide.source import flat_rgb, levels_of, quiet, same_picture
from eosin.slide.told_scale import ToldScale, scale_of_dicom
from eosin.slide.whole import as_rgb

_DAMAGED = "the file is incomplete or damaged: copy it again"
_CONVERT = "convert it, as by: bfconvert IN OUT.ome.tif"


class OpenSlideSource:
    """A source of pixels by OpenSlide; several threads may read at once without a lock."""

    library = "OpenSlide"

    def __init__(self, path: Path):
        import openslide

        self._path, self._error, self._open = path, openslide.OpenSlideError, openslide.OpenSlide
        self._lock = threading.Lock()
        try:
            self._slide = self._open(path)
        except openslide.OpenSlideError as error:
            raise EosinError(f"OpenSlide cannot open it ({error})", file=path, fix=_way_out(error)) from error
        sizes_px = list(self._slide.level_dimensions)
        self._used, self.n_stored = same_picture(sizes_px), len(sizes_px)
        self.levels = levels_of([sizes_px[i] for i in self._used])
        self._downsamples = [self._slide.level_downsamples[i] for i in self._used]

    @property
    def scale_xy(self) -> tuple[float, float] | None:
        """µm per pixel in x and y as the vendor wrote it, or None."""
        return _numbers(self._slide.properties.get("openslide.mpp-x"), self._slide.properties.get("openslide.mpp-y"))

    @property
    def power(self) -> float | None:
        """Magnification of the objective, as the file states it."""
        both = _numbers(*[self._slide.properties.get("openslide.objective-power")] * 2)
        return None if both is None else both[0]

    @property
    def scanned_px(self) -> tuple[int, int, int, int] | None:
        """Left, top, width and height of the area that was scanned, where the format states one."""
        stated = [self._slide.properties.get(f"openslide.bounds-{name}") for name in ("x", "y", "width", "height")]
        try:
            x, y, width, height = (int(value or "") for value in stated)
        except ValueError:
            return None
        return (x, y, width, height) if min(width, height) > 0 else None

    @property
    def scale_beside(self) -> ToldScale | None:
        """The scale by other facts than those from which OpenSlide takes it, of formats that state such."""
        properties = self._slide.properties
        return scale_of_dicom(properties) if properties.get("openslide.vendor") == "dicom" else None

    def downsample(self, level: int) -> float:
        """Full-resolution pixels per pixel of a level, by OpenSlide: it places windows between pixels by others."""
        return float(self._downsamples[level])

    def region(self, level: int, x: int, y: int, width: int, height: int) -> np.ndarray:
        """RGB uint8 [height width 3] of a rectangle inside the level; transparent pixels become white."""
        # OpenSlide divides the corner by its own ratio of sizes; multiplying by the same gives back pixel (x, y).
        corner = (round(x * self._downsamples[level]), round(y * self._downsamples[level]))
        slide, stored = self._slide, self._used[level]
        try:
            pixels = slide.read_region(corner, stored, (width, height))
        except self._error:
            pixels = self._read_afresh(slide, corner, stored, (width, height))
        if pixels.getchannel("A").getextrema()[0] == 255:  # several times faster than dropping alpha in NumPy
            return np.asarray(pixels.convert("RGB"))
        return flat_rgb(np.asarray(pixels))

    def _read_afresh(self, failed: Any, corner: tuple[int, int], level: int, size_px: tuple[int, int]) -> Any:
        """Read again with a new handle: after one damaged place, OpenSlide refuses every later read of a handle.

        The damage may be in another thread's region, so this one may well succeed. The failed handle is replaced for
        all threads, and not closed, because they may still use it.
        """
        try:
            with self._lock, quiet():
                if self._slide is failed:
                    self._slide = self._open(self._path)
            with self._open(self._path) as fresh:
                return fresh.read_region(corner, level, size_px)
        except (self._error, OSError) as error:
            raise EosinError(f"cannot be decoded ({error})", file=self._path, fix=_DAMAGED) from error

    def close(self) -> None:
        """Close the file."""
        self._slide.close()


class TiffSlideSource:
    """A source of pixels by tiffslide; a lock admits one thread at a time."""

    library = "tiffslide"

    def __init__(self, path: Path):
        import tiffslide

        self._path, self._lock = path, threading.Lock()
        try:
            with quiet(), contextlib.ExitStack() as open_until_it_is_read:
                self._slide: Any = tiffslide.TiffSlide(path)
                open_until_it_is_read.callback(self._slide.close)
                sizes_px = list(self._slide.level_dimensions)
                self._used, self.n_stored = same_picture(sizes_px), len(sizes_px)
                self.levels = levels_of([sizes_px[i] for i in self._used])
                open_until_it_is_read.pop_all()
        except Exception as error:  # a damaged file makes the parsers below tiffslide raise anything
            raise EosinError(f"tiffslide cannot open it ({error})", file=path, fix=_way_out(error)) from error

    @property
    def scale_xy(self) -> tuple[float, float] | None:
        """µm per pixel in x and y as tiffslide found it, or None."""
        return _numbers(self._slide.properties.get("tiffslide.mpp-x"), self._slide.properties.get("tiffslide.mpp-y"))

    def region(self, level: int, x: int, y: int, width: int, height: int) -> np.ndarray:
        """RGB uint8 [height width 3] of a rectangle inside the level."""
        # tiffslide scales the corner down by the ratio of sizes on each axis and rounds down; rounding up here gives
        # back pixel (x, y) exactly, where the nearest whole number would give its neighbour half of the time.
        full, this = self.levels[0], self.levels[level]
        corner = (-(-x * full.width // this.width), -(-y * full.height // this.height))
        try:
            with self._lock, quiet():
                pixels = self._slide.read_region(corner, self._used[level], (width, height), as_array=True)
        except Exception as error:  # decoders raise anything on damaged tiles
            raise EosinError(f"cannot be decoded ({error})", file=self._path, fix=_DAMAGED) from error
        return as_rgb(np.asarray(pixels), self._path)

    def close(self) -> None:
        """Close the file."""
        self._slide.close()


def _way_out(error: Exception) -> str:
    """What to do about a file that a library cannot open: not every one is damaged."""
    return _CONVERT if "support" in str(error).lower() else _DAMAGED


def _numbers(x: Any, y: Any) -> tuple[float, float] | None:
    try:
        return float(x), float(y)
    except (TypeError, ValueError):
        return None
