"""Whole pieces of tensor work on several cores: one thread per piece, instead of every operation split over all.

torch splits each single operation over its threads and waits for the slowest. With hundreds of operations of 50 µs that
is slow, and on a busy machine ruinous (measured on two cores with other work: 4 against 110 windows per second for the
encoder `stain`). Whole pieces per thread need no waiting, and a piece can be so small that it stays in a core's cache.
"""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from typing import Any, TypeVar

import torch
from threadpoolctl import ThreadpoolController

T = TypeVar("T")
R = TypeVar("R")


def each(function: Callable[[T], R], pieces: Iterable[T]) -> list[R]:
    """Apply `function` to every piece on as many threads as torch may use: results in order.

    For inference on the CPU: no gradients flow. `eosin.row_blocks` cuts arrays into pieces.
    """
    pieces = list(pieces)
    n_threads = torch.get_num_threads()
    if n_threads == 1 or len(pieces) == 1:
        return [function(piece) for piece in pieces]

    inference = torch.is_inference_mode_enabled()  # of the caller's thread; every thread has its own

    def work(piece: T) -> R:
        with torch.inference_mode(inference), torch.no_grad():
            return function(piece)

    return list(_pool(n_threads, os.getpid()).map(work, pieces))


@functools.cache
def _pool(n_threads: int, process: int) -> ThreadPoolExecutor:
    """Threads that live as long as the process (a fork has none of its parent's, hence `process`)."""
    del process
    pool = ThreadPoolExecutor(n_threads, "eosin", initializer=_use_one_thread)
    barrier = threading.Barrier(n_threads)
    try:
        # A worker's setting is also the default of threads made later. So all workers start before it is put back:
        # each waits for the others, else the pool would give all calls to one and start the rest when first needed.
        list(pool.map(lambda _: barrier.wait(), range(n_threads)))
    finally:
        torch.set_num_threads(n_threads)
    return pool


def _use_one_thread() -> None:
    """Let torch use only this thread for what this thread computes."""
    torch.get_num_threads()  # the first call in a thread sets it to the common number: it must come before our own
    torch.set_num_threads(1)


def one_blas_thread() -> AbstractContextManager[Any]:
    """Let products of arrays take one thread each meanwhile, since pieces are shared out already.

    A library that splits them lets its threads wait for the next product at full speed, on cores that `each` needs.
    Libraries that were not loaded at the first call are not limited.
    """
    return _blas().limit(limits=1, user_api="blas")


@functools.cache
def _blas() -> ThreadpoolController:
    return ThreadpoolController()
