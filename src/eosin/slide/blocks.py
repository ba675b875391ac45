"""Windows that overlap: what they share is decoded once.

A spot's field of view is often wider than the distance of the spots, so that most pixels are asked for several times,
and libraries of slides spend more time on painting a window than on decoding it. So the pixels are fetched in square
blocks, which are kept for a while, and windows are cut out of them.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from concurrent.futures import Future

import numpy as np

from eosin.errors import EosinError
from eosin.slide.source import Source

BLOCK_PX = 1024
"""Side of a block, pixels of its level: a multiple of the tiles of most scanners."""
_STRIP_BLOCKS = 8
"""Blocks that a row of spots crosses before the next row begins: the blocks of a few rows fit in memory."""

Key = tuple[int, int, int]


class Blocks:
    """A source read in blocks, the last of which are kept. `region` may be called by several threads at once.

    Parameters
    ----------
    source
        What the blocks are read from; not closed with this.
    budget_bytes
        How much to keep.
    """

    def __init__(self, source: Source, budget_bytes: int):
        self.levels = source.levels
        self._source, self._most = source, max(1, budget_bytes // (3 * BLOCK_PX**2))
        self._kept: OrderedDict[Key, Future[np.ndarray]] = OrderedDict()
        self._lock = threading.Lock()

    def region(self, level: int, x: int, y: int, width: int, height: int) -> np.ndarray:
        pixels = np.empty((height, width, 3), np.uint8)
        try:
            for row in range(y // BLOCK_PX, (y + height - 1) // BLOCK_PX + 1):
                for column in range(x // BLOCK_PX, (x + width - 1) // BLOCK_PX + 1):
                    left, top = column * BLOCK_PX, row * BLOCK_PX
                    block = self._block((level, row, column))
                    u0, v0 = max(x, left), max(y, top)
                    u1, v1 = min(x + width, left + block.shape[1]), min(y + height, top + block.shape[0])
                    pixels[v0 - y : v1 - y, u0 - x : u1 - x] = block[v0 - top : v1 - top, u0 - left : u1 - left]
        except EosinError:  # a damaged place in a block need not be in this window
            return self._source.region(level, x, y, width, height)
        return pixels

    def close(self) -> None:
        """Forget the pixels."""
        with self._lock:
            self._kept.clear()

    def _block(self, key: Key) -> np.ndarray:
        """Pixels of a block, by the thread that asks first; others wait for it."""
        with self._lock:
            found = self._kept.get(key)
            block = self._kept[key] = found or Future()
            self._kept.move_to_end(key)
            while len(self._kept) > self._most:
                self._kept.popitem(last=False)
        if found is None:
            try:
                block.set_result(self._read(*key))
            except BaseException as error:
                block.set_exception(error)
        return block.result()

    def _read(self, level: int, row: int, column: int) -> np.ndarray:
        x, y, size = column * BLOCK_PX, row * BLOCK_PX, self.levels[level]
        return self._source.region(level, x, y, min(BLOCK_PX, size.width - x), min(BLOCK_PX, size.height - y))


def worth_sharing(corners_px: np.ndarray, width_px: float) -> bool:
    """Whether blocks hold fewer pixels than the windows that are cut out of them.

    Parameters
    ----------
    corners_px
        Top left of each window [n 2], pixels of the level that is read.
    width_px
        Side of the windows, pixels of that level.
    """
    first, last = corners_px // BLOCK_PX, (corners_px + width_px) // BLOCK_PX
    reach = int((last - first).max(initial=0)) + 1
    steps = np.stack(np.meshgrid(np.arange(reach), np.arange(reach)), -1).reshape(-1, 1, 2)
    touched = np.minimum(first + steps, last).reshape(-1, 2)
    return len(np.unique(touched, axis=0)) * BLOCK_PX**2 < len(corners_px) * width_px**2


def reading_order(xy_um: np.ndarray, mpp: float) -> np.ndarray:
    """Order [s] in which to read windows, so that those that share pixels follow one another.

    In strips from left to right, each from top to bottom, and each row of a strip from left to right. The same for the
    same positions, in whatever order they are given.
    """
    x, y = xy_um.T
    strip = x // (_STRIP_BLOCKS * BLOCK_PX * mpp)
    return np.lexsort((x, y, strip))
