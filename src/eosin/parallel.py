"""Whole pieces of tensor work on several cores: one thread per piece, instead of every operation split over all.

torch splits each single operation over its threads and waits for the slowest. With hundreds of operations of 50 µs that
is slow, and on a busy machine ruinous (measured on two cores with other work: 4 against 110 windows per second for the
encoder `stain`). Whole pieces per thread need no waiting, and a piece can be so small that it stays in a core's cache.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

T = TypeVar("T")
R = TypeVar("R")


def each(function: Callable[[T], R], pieces: Iterable[T]) -> list[R]:
    """`function` of every piece, in order, on as many threads as torch may use; inference only, on the CPU."""
    pieces = list(pieces)
    n_threads = torch.get_num_threads()
    if n_threads == 1 or len(pieces) == 1:
        return [function(piece) for piece in pieces]

    def work(piece: T) -> R:
        with torch.inference_mode(torch.is_inference_mode_enabled()), torch.no_grad():
            return function(piece)

    return list(_pool(n_threads, os.getpid()).map(work, pieces))


@functools.cache
def _pool(n_threads: int, process: int) -> ThreadPoolExecutor:
    """Threads that live as long as the process (a fork has none of its parent's, hence `process`)."""
    del process
    pool = ThreadPoolExecutor(n_threads, "eosin", initializer=torch.set_num_threads, initargs=(1,))
    try:
        list(pool.map(_settle, range(n_threads)))  # start all threads now
    finally:
        torch.set_num_threads(n_threads)  # a worker's setting is also the default of threads made later
    return pool


def _settle(_: int) -> None:
    """Busy for a moment, so that the pool makes a thread for each call."""
    torch.zeros(200_000).sum()
