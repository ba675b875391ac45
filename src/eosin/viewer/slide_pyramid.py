"""A slide as tiles of a pyramid: each level half as wide as the next."""

from __future__ import annotations

import contextlib
import math
import threading
import time
from collections.abc import Iterator

import numpy as np

from eosin.errors import EosinError
from eosin.slide import Slide
from eosin.slide.jpeg import jpeg

TILE_PX = 512
OVERVIEW_PX = 2048
"""Longer side up to which levels are cut from one picture: it is made once, as it may need every pixel."""
DEAREST_TILE = 1 << 24
"""Pixels that may be decoded for one tile; of a slide without reduced levels, those that need more are cut as well."""

_PATIENCE_S = 5.0


class NoSuchTile(LookupError):
    """A level or a place that the pyramid does not have."""


class SlideGone(LookupError):
    """The slide's file was removed, or replaced by another."""


class NotYet(LookupError):
    """The picture from which coarse levels are cut is still being made."""


class SlidePyramid:
    """Tiles of an open slide, as JPEG; safe from several threads at once.

    The finest level is the slide's own resolution; level 0 fits into one tile.
    """

    def __init__(self, slide: Slide) -> None:
        self.slide = slide
        self.max_level = max(0, math.ceil(math.log2(max(slide.size_px) / TILE_PX)))
        self._state = _state_of(slide)
        self._cut = max((k for k in range(self.max_level) if self._is_cut(k)), default=-1)
        self._lock = threading.Lock()
        self._n_reading = 0
        self._making: threading.Thread | None = None
        self._overview: np.ndarray | None = None
        self._fault: Exception | None = None

    def describe(self) -> dict[str, float | int]:
        """What a page needs to ask for tiles."""
        width, height = self.slide.size_px
        return {
            "width": width,
            "height": height,
            "mpp": self.slide.mpp,
            "tile": TILE_PX,
            "max_level": self.max_level,
        }

    def tile(self, level: int, column: int, row: int) -> bytes:
        """One tile as JPEG; at the right and lower edge it is as small as the slide's rest.

        Raises
        ------
        NoSuchTile
            The pyramid has no such level or place.
        SlideGone
            The file is no longer there.
        NotYet
            It is cut from a picture that is not there yet; some seconds were waited for it.
        EosinError
            Its pixels cannot be decoded.
        """
        if not 0 <= level <= self.max_level:
            raise NoSuchTile
        reduction = 2 ** (self.max_level - level)
        width, height = (math.ceil(side / reduction) for side in self.slide.size_px)
        left, top = column * TILE_PX, row * TILE_PX
        if min(column, row) < 0 or left >= width or top >= height:
            raise NoSuchTile
        self.check_there()
        size = min(TILE_PX, width - left), min(TILE_PX, height - top)
        read = self._from_overview if level <= self._cut else self._from_slide
        with self._open():
            return jpeg(read(left * reduction, top * reduction, size, reduction))

    def check_there(self) -> None:
        """Raise `SlideGone` where the file was removed or replaced since it was opened."""
        if _state_of(self.slide) != self._state:
            raise SlideGone

    def picture(self, max_px: int) -> np.ndarray:
        """The whole slide, its longer side at most `max_px` pixels, uint8 [h w 3]."""
        return self.slide.thumbnail(max_px)[0]

    def prepare(self) -> None:
        """Begin to make the picture from which coarse levels are cut, where there are such, in a thread of its own."""
        with self._lock:
            if self._cut < 0 or self._making is not None:
                return
            self._making = threading.Thread(target=self._make_overview, daemon=True)
            self._making.start()

    def close(self) -> None:
        """Close the slide; one that is being read is left to the end of the process."""
        until = time.monotonic() + _PATIENCE_S
        while time.monotonic() < until:
            with self._lock:
                if self._n_reading == 0:
                    self.slide.close()
                    return
            if self._overview is None and self._making is not None and self._making.is_alive():
                return
            time.sleep(0.02)

    @contextlib.contextmanager
    def _open(self) -> Iterator[None]:
        """A block in which the slide is not closed."""
        with self._lock:
            self._n_reading += 1
        try:
            yield
        finally:
            with self._lock:
                self._n_reading -= 1

    def _make_overview(self) -> None:
        try:
            with self._open():
                self._overview = self.slide.overview(self.slide.mpp * 2 ** (self.max_level - self._cut))[0]
        except (EosinError, OSError, ValueError) as error:  # told with the first tile
            self._fault = error

    def _is_cut(self, level: int) -> bool:
        """Whether a level is small, or a tile of it would be dear."""
        reduction = 2 ** (self.max_level - level)
        width, height = self.slide.size_px
        of_all = min(1.0, TILE_PX * reduction / width) * min(1.0, TILE_PX * reduction / height)
        decoded = self.slide.overview_cost(self.slide.mpp * reduction) * of_all
        return max(width, height) <= OVERVIEW_PX * reduction or decoded > DEAREST_TILE

    def _from_slide(self, left: int, top: int, size: tuple[int, int], reduction: int) -> np.ndarray:
        width_um = TILE_PX * reduction * self.slide.mpp
        centre = np.array([left, top]) * self.slide.mpp + width_um / 2
        return np.ascontiguousarray(self.slide.read(centre, width_um, TILE_PX)[: size[1], : size[0]])

    def _from_overview(self, left: int, top: int, size: tuple[int, int], reduction: int) -> np.ndarray:
        from PIL import Image as Picture

        self.prepare()
        if self._making is not None:
            self._making.join(_PATIENCE_S)
        overview = self._overview
        if self._fault is not None:
            raise self._fault
        if overview is None:
            raise NotYet
        scale = overview.shape[1] / self.slide.size_px[0], overview.shape[0] / self.slide.size_px[1]
        box = (
            left * scale[0],
            top * scale[1],
            min((left + size[0] * reduction) * scale[0], overview.shape[1]),
            min((top + size[1] * reduction) * scale[1], overview.shape[0]),
        )
        resized = Picture.fromarray(overview).resize(size, Picture.Resampling.BILINEAR, box=box)
        return np.asarray(resized)


def _state_of(slide: Slide) -> tuple[int, int] | None:
    """Time of change and size of the file; None where it is not there. A folder's files are not looked through."""
    try:
        state = slide.path.stat()
    except OSError:
        return None
    return state.st_mtime_ns, state.st_size
