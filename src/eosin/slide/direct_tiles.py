"""JPEG tiles decoded directly; OpenSlide would draw them onto a canvas first. The same pixels in a third of the time.

OpenSlide still opens the file, knows its levels, and reads whatever is not such a tile: levels whose downsample is no
whole number, tiles that were left out, damaged ones. The first window of each level is read both ways and compared.
"""

from __future__ import annotations

import logging
import threading
from pathlib import Path

import numpy as np

from eosin.errors import EosinError
from eosin.slide.source import Source
from eosin.slide.tiff import TiffFacts
from eosin.slide.tiff_tiles import TiffTiles
from eosin.slide.vendor import OpenSlideSource

_LOG = logging.getLogger("eosin")
_VENDORS = ("generic-tiff", "aperio")
"""Formats whose levels are plain grids of tiles; those of others overlap, or are padded."""


def with_direct_tiles(source: OpenSlideSource, path: Path, facts: TiffFacts, vendor: str) -> Source:
    """The source, with its JPEG tiles decoded directly where it has any."""
    fits = facts.codec == "JPEG" and facts.tiled and not (facts.grey or facts.planar or facts.n_planes > 1)
    return DirectTiles(source, path, facts) if fits and vendor in _VENDORS else source


class DirectTiles:
    """A source of pixels by OpenSlide whose JPEG tiles are decoded directly; several threads may read at once.

    Parameters
    ----------
    source
        The file by OpenSlide; closed with this.
    path, facts
        The file, and what `read_facts` said of it.
    """

    def __init__(self, source: OpenSlideSource, path: Path, facts: TiffFacts):
        self.levels, self.library = source.levels, source.library
        self.scale_xy, self.power = source.scale_xy, source.power
        self.n_stored, self.scanned_px = source.n_stored, source.scanned_px
        self._slide, self._path, self._facts = source, path, facts
        self._lock, self._is_open = threading.Lock(), False
        self._tiles: TiffTiles | None = None
        self._direct: dict[int, int] = {}
        self._compared: set[int] = set()

    def region(self, level: int, x: int, y: int, width: int, height: int) -> np.ndarray:
        """RGB uint8 [height width 3] of a rectangle inside the level, as OpenSlide gives it."""
        tiles, place = self._open(), self._direct.get(level)
        if tiles is None or place is None:
            return self._slide.region(level, x, y, width, height)
        try:
            pixels = tiles.region(place, x, y, width, height)
        except EosinError:
            return self._slide.region(level, x, y, width, height)
        if level not in self._compared:
            known = self._slide.region(level, x, y, width, height)
            self._compared.add(level)
            if not np.array_equal(pixels, known):
                self._direct.pop(level, None)
                _LOG.info("%s: OpenSlide reads level %d, whose tiles look otherwise by themselves", self._path, level)
                return known
        return pixels

    def tile_px(self, level: int) -> int | None:
        """Side of the tiles of a level that are decoded directly; None where they are not, or not square."""
        tiles, place = self._open(), self._direct.get(level)
        return None if tiles is None or place is None else tiles.tile_px(place)

    def close(self) -> None:
        """Close the file."""
        self._slide.close()
        with self._lock:
            if self._tiles is not None:
                self._tiles.close()

    def _open(self) -> TiffTiles | None:
        """The tiles, found when pixels are first asked for."""
        if not self._is_open:
            with self._lock:
                if not self._is_open:
                    self._find_tiles()
                    self._is_open = True
        return self._tiles

    def _find_tiles(self) -> None:
        try:
            tiles = TiffTiles(self._path, self._facts, all_stored=True)
        except EosinError:
            return
        places = {(level.width, level.height): place for place, level in enumerate(tiles.levels)}
        for index, level in enumerate(self.levels):
            place = places.get((level.width, level.height))
            if place is not None and self._slide.downsample(index).is_integer():
                self._direct[index] = place
        self._tiles = tiles
