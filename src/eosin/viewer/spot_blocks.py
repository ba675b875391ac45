"""The order in which spots are sent: block by block of the tissue, at random within a block.

A page then draws the blocks that it shows, and of each as many spots as it has pixels for: the first ones of a block
are a fair sample of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

_PER_BLOCK = 2048
_MOST_PER_BLOCK = 8192
_MOST_SIDE = 32


@dataclass(frozen=True)
class SpotBlocks:
    """Spots in blocks.

    Attributes
    ----------
    order
        [s] rows of the prediction, block by block.
    starts
        [b+1] first place of each block in `order`.
    boxes_um
        [b 4] left, top, right and bottom of the spots' centres in a block.
    """

    order: np.ndarray
    starts: np.ndarray
    boxes_um: np.ndarray

    def __len__(self) -> int:
        return len(self.starts) - 1

    def rows(self, block: int) -> np.ndarray:
        """Rows of the prediction in one block."""
        return self.order[self.starts[block] : self.starts[block + 1]]


def block_spots(xy_um: np.ndarray) -> SpotBlocks:
    """Blocks of about 2,000 spots [s 2], 1,024 of them in the plane at most; none has more than 8,192 spots."""
    n = len(xy_um)
    side = int(np.clip(np.ceil(np.sqrt(n / _PER_BLOCK)), 1, _MOST_SIDE))
    low, extent = xy_um.min(0), np.maximum(np.ptp(xy_um, axis=0), 1e-9)
    column, row = np.minimum((xy_um - low) / extent * side, side - 1).astype(np.int64).T
    block = row * side + column
    order = np.lexsort((np.random.default_rng(0).random(n), block))
    ends = np.concatenate([[0], np.cumsum(np.bincount(block, minlength=side * side))])
    pieces = [np.arange(a, b, _MOST_PER_BLOCK) for a, b in pairwise(ends)]
    starts = np.append(np.concatenate(pieces), n)
    placed = xy_um[order]
    low_high = [np.minimum.reduceat(placed, starts[:-1]), np.maximum.reduceat(placed, starts[:-1])]
    return SpotBlocks(order, starts, np.concatenate(low_high, axis=1))
