"""Overlapping windows of a slide: pixels that several windows share are decoded once.

A spot's field of view is often wider than the distance between spots, so that most pixels lie in several windows, and
slide libraries spend more time on assembling a window than on decoding it. So pixels are read in square blocks, the
latest blocks are kept in memory, and windows are cut out of them.
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
    """A source that is read in blocks and keeps the latest ones. `region` may be called by several threads at once.

    Parameters
    ----------
    source
        What the blocks are read from; closing this does not close it.
    budget_bytes
        Decoded pixels to keep, bytes; at least one block is kept.
    side_px
        Side of a block, pixels of its level; `BLOCK_PX` unless given.
    """

    def __init__(self, source: Source, budget_bytes: int, side_px: int | None = None):
        self.levels, self.library = source.levels, source.library
        self._source, self._side = source, side_px or BLOCK_PX
        self._most = max(1, budget_bytes // (3 * self._side**2))
        self._kept: OrderedDict[Key, Future[np.ndarray]] = OrderedDict()
        self._lock = threading.Lock()

    def region(self, level: int, x: int, y: int, width: int, height: int) -> np.ndarray:
        """RGB uint8 [height width 3] of a rectangle inside the level, cut out of blocks."""
        pixels, side = np.empty((height, width, 3), np.uint8), self._side
        try:
            for row in range(y // side, (y + height - 1) // side + 1):
                for column in range(x // side, (x + width - 1) // side + 1):
                    left, top = column * side, row * side
                    block = self._block((level, row, column))
                    u0, v0 = max(x, left), max(y, top)
                    u1, v1 = min(x + width, left + block.shape[1]), min(y + height, top + block.shape[0])
                    pixels[v0 - y : v1 - y, u0 - x : u1 - x] = block[v0 - top : v1 - top, u0 - left : u1 - left]
        except EosinError:  # a damaged place in a block need not be in this window
            return self._source.region(level, x, y, width, height)
        return pixels

    def close(self) -> None:
        """Release the blocks; the source stays open."""
        with self._lock:
            self._kept.clear()

    def _block(self, key: Key) -> np.ndarray:
        """Pixels of a block, read by the first thread that needs it; other threads wait for that one."""
        with self._lock:
            kept = self._kept.get(key)
            block = self._kept[key] = kept or Future()
            self._kept.move_to_end(key)
            while len(self._kept) > self._most:
                self._kept.popitem(last=False)
        if kept is None:
            try:
                block.set_result(self._read(*key))
            except BaseException as error:
                block.set_exception(error)
        return block.result()

    def _read(self, level: int, row: int, column: int) -> np.ndarray:
        side, size = self._side, self.levels[level]
        x, y = column * side, row * side
        return self._source.region(level, x, y, min(side, size.width - x), min(side, size.height - y))


def worth_sharing(corners_px: np.ndarray, width_px: float) -> bool:
    """Whether the blocks that windows touch hold fewer pixels than the windows together.

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
    """Order in which to read windows, so that those that share pixels follow one another.

    Strips from left to right, the rows of a strip from top to bottom, and the spots of a row from left to right. The
    sequence of positions does not depend on the order in which they are given.

    Parameters
    ----------
    xy_um
        Centres of the windows [s 2], µm.
    mpp
        µm per pixel of the slide at full resolution.

    Returns
    -------
    np.ndarray
        Rows of `xy_um`, int64 [s].
    """
    x, y = xy_um.T
    strip = x // (_STRIP_BLOCKS * BLOCK_PX * mpp)
    return np.lexsort((x, y, strip))
