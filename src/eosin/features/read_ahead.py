"""Tiles read ahead of the encoder: threads, a bounded number of batches, always in the same order.

Threads and not processes: decoding and resizing leave Python's lock, an image that is decoded whole is decoded once,
and no tile is copied between processes (measured in benchmarks/encode_slide.py).
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from eosin.encoders.base import View
from eosin.errors import EosinError
from eosin.slide import Slide

READERS = min(8, os.cpu_count() or 1)
"""Threads that read, where nothing else is said."""

_KEPT_BYTES, _KEPT_PER_READER = 96 << 20, 48 << 20
"""Decoded pixels to keep for each view, so that windows that overlap share them: a few rows of spots."""


@dataclass(frozen=True)
class Tiles:
    """The windows of successive spots.

    Attributes
    ----------
    start
        Row of the first spot.
    windows
        uint8 [b px px 3], one per view; blank where a tile cannot be read.
    readable
        bool [b].
    problem
        What was wrong with the first tile that cannot be read.
    """

    start: int
    windows: list[Tensor]
    readable: np.ndarray
    problem: EosinError | None


def read_ahead(
    slide: Slide,
    centres_um: np.ndarray,
    views: Sequence[View],
    batch: int,
    *,
    start: int = 0,
    pinned: bool = False,
    readers: int = READERS,
) -> Generator[Tiles, None, None]:
    """Batches of tiles in the order of their spots, at most `readers` + 1 of them in memory beside the one in use.

    Parameters
    ----------
    centres_um
        [s 2].
    start
        First row to read; a multiple of `batch`, so that batches are the same wherever one begins.
    pinned
        In memory from which a GPU copies by itself.
    """

    kept = _KEPT_BYTES + readers * _KEPT_PER_READER
    slides = [slide.sharing(centres_um[start:], view.width_um, view.px, budget_bytes=kept) for view in views]

    def read(first: int) -> Tiles:
        return _read(slides, centres_um[first : first + batch], views, first, pinned=pinned)

    pool = ThreadPoolExecutor(readers, thread_name_prefix="tiles")
    ahead: deque[Future[Tiles]] = deque()
    try:
        for first in range(start, len(centres_um), batch):
            ahead.append(pool.submit(read, first))
            if len(ahead) > readers:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _read(slides: Sequence[Slide], centres_um: np.ndarray, views: Sequence[View], start: int, *, pinned: bool) -> Tiles:
    windows = [np.full((len(centres_um), view.px, view.px, 3), 255, np.uint8) for view in views]
    readable = np.ones(len(centres_um), bool)
    problem = None
    for row, centre in enumerate(centres_um):
        try:
            for slide, view, window in zip(slides, views, windows):
                window[row] = slide.read(centre, view.width_um, view.px)
        except EosinError as error:
            if slides[0].whole:  # then no tile can be read
                raise
            readable[row], problem = False, problem or error
    tensors = [torch.from_numpy(window) for window in windows]
    return Tiles(start, [t.pin_memory() for t in tensors] if pinned else tensors, readable, problem)
