"""Read tiles ahead of the encoder: on threads, a bounded number of batches, always in the same order.

Threads and not processes: decoding and resizing release the interpreter lock, an image that is decoded whole is decoded
once, and no tile is copied between processes (measured in benchmarks/encode_slide.py).
"""

from __future__ import annotations

import os
from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from eosin.encoders.base import View
from eosin.errors import EosinError
from eosin.in_order import results_in_order
from eosin.slide import Slide

READERS = min(8, os.cpu_count() or 1)
"""Number of threads that read, by default."""

_KEPT_BYTES, _KEPT_PER_READER = 96 << 20, 48 << 20
"""Decoded pixels to keep for each view, so that overlapping windows share them: a few rows of spots."""


@dataclass(frozen=True)
class Tiles:
    """The windows of successive spots.

    Attributes
    ----------
    start
        Row of the first spot, in the order in which spots are read.
    windows
        uint8 [b px px 3], one per view; blank where a tile cannot be read.
    readable
        bool [b].
    problem
        Why the first unreadable tile cannot be read; None where all can.
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
    """Batches of tiles in the order of their spots, with at most `readers` + 1 further batches in memory.

    Parameters
    ----------
    slide
        The slide.
    centres_um
        Centres of the spots [s 2], µm.
    views
        The windows to read around each spot.
    batch
        Spots per batch.
    start
        First row to read; a multiple of `batch`, so that batches are the same wherever reading begins.
    pinned
        Whether to use page-locked memory, from which a GPU copies without the CPU.
    readers
        Number of threads.

    Raises
    ------
    EosinError
        The image is decoded whole and cannot be decoded.
    """
    budget_bytes = _KEPT_BYTES + readers * _KEPT_PER_READER
    wanted = [(view.width_um, view.px) for view in views]
    slides = slide.sharing_views(centres_um[start:], wanted, budget_bytes=budget_bytes)

    def read(first: int) -> Tiles:
        return _read(slides, centres_um[first : first + batch], views, first, pinned=pinned)

    pool = ThreadPoolExecutor(readers, thread_name_prefix="tiles")
    try:
        submitted = (pool.submit(read, first) for first in range(start, len(centres_um), batch))
        yield from results_in_order(submitted, readers + 1)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _read(slides: Sequence[Slide], centres_um: np.ndarray, views: Sequence[View], start: int, *, pinned: bool) -> Tiles:
    windows_of = {view: np.full((len(centres_um), view.px, view.px, 3), 255, np.uint8) for view in views}
    of_view = dict(zip(views, slides))  # a view that several encoders have is read once
    readable = np.ones(len(centres_um), bool)
    problem = None
    for row, centre in enumerate(centres_um):
        try:
            for view, window in windows_of.items():
                window[row] = of_view[view].read(centre, view.width_um, view.px)
        except EosinError as error:
            if slides[0].whole:  # decoded as one: no tile can be read
                raise
            readable[row], problem = False, problem or error
    tensors = {view: torch.from_numpy(window) for view, window in windows_of.items()}
    windows = {view: t.pin_memory() if pinned else t for view, t in tensors.items()}
    return Tiles(start, [windows[view] for view in views], readable, problem)
