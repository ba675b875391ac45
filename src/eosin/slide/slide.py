"""A slide: windows given in µm are read as pixels."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType

import numpy as np

from eosin.errors import EosinError
from eosin.slide.blocks import Blocks, worth_sharing
from eosin.slide.direct_tiles import DirectTiles
from eosin.slide.jpeg import THUMBNAIL_PX, jpeg
from eosin.slide.resize import Resize, resize_of_many, resized
from eosin.slide.source import Source
from eosin.slide.whole import WholeImage
from eosin.slide.windows import choose_level, read_box
from eosin.types.display import html_table, one_line

_THREADS = min(4, os.cpu_count() or 1)
_MANY = 256
"""Windows from which on it pays to load what resizes many of them."""
_BLOCK_PX = 4096
"""Side of the blocks in which an overview is made, pixels of the level that is read: about 70 MB at a time."""


class Slide:
    """An open slide of known scale. Reading is safe from several threads at once.

    Attributes
    ----------
    path
        The file, or the folder that is the slide.
    size_px
        Width and height at full resolution.
    mpp
        µm per pixel at full resolution.
    """

    def __init__(self, path: Path, source: Source, mpp: float):
        self.path, self.mpp, self._source = path, mpp, source
        self.size_px = (source.levels[0].width, source.levels[0].height)
        self._closed = threading.Event()
        self._resize: Resize = resized

    def __repr__(self) -> str:
        return one_line("Slide", repr(str(self.path)), *self._facts().values())

    def _repr_html_(self) -> str:
        facts = {"file": self.path, **self._facts()}
        try:
            picture = None if self._closed.is_set() else jpeg(self.thumbnail(THUMBNAIL_PX)[0])
        except (EosinError, OSError):  # a damaged image still has a size
            picture = None
        return html_table("Slide", facts, picture)

    def _facts(self) -> dict[str, str]:
        width_mm, height_mm = (side / 1000 for side in self.size_um)
        return {
            "size": f"{self.size_px[0]:,} x {self.size_px[1]:,} px",
            "extent": f"{width_mm:.3g} x {height_mm:.3g} mm",
            "scale": f"{self.mpp:.4g} µm/px",
            "state": "closed" if self._closed.is_set() else "",
        }

    @property
    def whole(self) -> bool:
        """Whether the image is decoded as one: then either all of its windows can be read, or none."""
        return isinstance(self._source, WholeImage)

    @property
    def library(self) -> str:
        """What decodes the file: OpenSlide, tiffslide, tifffile, zarr, pylibCZIrw or Pillow."""
        return self._source.library

    @property
    def scanned_px(self) -> tuple[int, int, int, int] | None:
        """The area that was scanned, where the file says one: left, top, width and height in pixels."""
        return getattr(self._source, "scanned_px", None)

    @property
    def size_um(self) -> tuple[float, float]:
        """Width and height, µm."""
        return self.size_px[0] * self.mpp, self.size_px[1] * self.mpp

    def read(self, centre_um: tuple[float, float] | np.ndarray, width_um: float, px: int) -> np.ndarray:
        """The square window of `width_um` around a point, as uint8 [px px 3]; white beyond the slide's edge.

        Parameters
        ----------
        centre_um
            (x, y) in µm from the top left corner.
        width_um
            Side of the window, µm: exact whatever the slide's scale.
        px
            Side of the output, pixels.

        Raises
        ------
        EosinError
            An empty window, or pixels that cannot be decoded.
        ValueError
            The slide was closed.
        """
        if self._closed.is_set():
            raise ValueError(f"{self.path} was closed")
        if px < 1 or not width_um > 0:
            raise EosinError(f"a window of {width_um} µm in {px} px is empty", fix="both must be positive")
        x, y = (float(c) / self.mpp for c in centre_um)
        half = width_um / self.mpp / 2
        return read_box(self._source, (x - half, y - half, x + half, y + half), (px, px), self._resize)

    def read_many(self, centres_um: np.ndarray, width_um: float, px: int) -> np.ndarray:
        """Windows around points [n 2] (µm), as uint8 [n px px 3] in the order of the points; several threads read.

        See `read`.
        """
        centres = np.asarray(centres_um, dtype=np.float64).reshape(-1, 2)
        windows = np.empty((len(centres), px, px, 3), np.uint8)

        def fill(i: int) -> None:
            windows[i] = self.read(centres[i], width_um, px)

        if len(centres) < 4:
            for i in range(len(centres)):
                fill(i)
            return windows
        with ThreadPoolExecutor(_THREADS) as pool:
            list(pool.map(fill, range(len(centres))))
        return windows

    def sharing(self, centres_um: np.ndarray, width_um: float, px: int, *, budget_bytes: int = 1 << 28) -> Slide:
        """This slide, prepared for reading windows of one kind around points; see `sharing_views`."""
        return self.sharing_views(centres_um, [(width_um, px)], budget_bytes=budget_bytes)[0]

    def sharing_views(
        self, centres_um: np.ndarray, views: Sequence[tuple[float, int]], *, budget_bytes: int = 1 << 28
    ) -> list[Slide]:
        """This slide, prepared for reading windows around these points: pixels of several windows are decoded once.

        The windows are the same, except where the downsample of a reduced level is not a whole number: slide libraries
        then place pixels to an eighth of a pixel, and the rounding may differ. Close the original, not the results; a
        result is this slide itself where its windows hardly overlap.

        Parameters
        ----------
        centres_um
            Centres of the windows [n 2], µm.
        views
            Side of each kind of window, µm and pixels, as for `read`. Kinds that are read from one level share pixels.
        budget_bytes
            Decoded pixels to keep for each kind, bytes.

        Returns
        -------
        list
            One slide for each kind of window.
        """
        centres = np.asarray(centres_um, np.float64).reshape(-1, 2)
        of_level: dict[int, list[int]] = {}
        for place, (width_um, px) in enumerate(views):
            of_level.setdefault(choose_level(self._source.levels, width_um / self.mpp / px), []).append(place)
        shared: list[Slide] = [self] * len(views)
        for level, places in of_level.items() if len(centres) and not self.whole else ():
            tile_px = self._source.tile_px(level) if isinstance(self._source, DirectTiles) else None
            downsample = self._source.levels[level].downsample
            widest = max(views[place][0] for place in places)
            corners, width_px = (centres - widest / 2) / self.mpp / downsample, widest / self.mpp / downsample
            if tile_px is None and not worth_sharing(corners, width_px):
                continue
            slide = Slide(self.path, Blocks(self._source, budget_bytes * len(places), tile_px), self.mpp)
            slide._closed = self._closed
            if len(centres) * len(places) >= _MANY:
                slide._resize = resize_of_many()
            for place in places:
                shared[place] = slide
        return shared

    def thumbnail(self, max_px: int = 1024) -> tuple[np.ndarray, float]:
        """The whole slide with its longer side at most `max_px` pixels, as uint8 [h w 3], and its µm per pixel.

        It is made block by block: memory holds no more than a block, even of a slide without reduced levels.
        """
        return self.overview(self.mpp * max(1.0, max(self.size_px) / max_px))

    def overview_cost(self, um_per_px: float) -> int:
        """Pixels that `overview` decodes; of an image that is decoded whole, none more than every window does."""
        level = self._source.levels[choose_level(self._source.levels, max(um_per_px / self.mpp, 1.0))]
        return 0 if self.whole else level.width * level.height

    def overview(self, um_per_px: float) -> tuple[np.ndarray, float]:
        """The whole slide at `um_per_px`, as uint8 [h w 3], and that scale (never finer than the slide's own)."""
        reduction = max(um_per_px / self.mpp, 1.0)
        width, height = (max(1, round(n / reduction)) for n in self.size_px)
        picture = np.empty((height, width, 3), np.uint8)
        level = self._source.levels[choose_level(self._source.levels, reduction)]
        block = max(1, int(_BLOCK_PX * level.downsample / reduction))
        for top in range(0, height, block):
            for left in range(0, width, block):
                right, bottom = min(left + block, width), min(top + block, height)
                box = (left * reduction, top * reduction, right * reduction, bottom * reduction)
                picture[top:bottom, left:right] = read_box(self._source, box, (right - left, bottom - top))
        return picture, self.mpp * reduction

    def close(self) -> None:
        """Close the file and release its memory; a later `read` is a ValueError."""
        self._closed.set()
        self._source.close()

    def __enter__(self) -> Slide:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
