"""Devices of an encoder: a copy of it on each, given batches in turn, with results in order."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

from eosin.device import device_of
from eosin.encoders.base import Encoder
from eosin.in_order import results_in_order

T = TypeVar("T")
R = TypeVar("R")

_IN_FLIGHT = 2
"""Batches in progress or waiting at each device, so that it never waits for the next batch."""


def devices_of(names: str, encoder: Encoder) -> list[torch.device]:
    """Devices by name.

    Parameters
    ----------
    names
        `auto` (all GPUs of the machine for encoders with weights, else the CPU), or names separated by commas:
        `cuda:0,cuda:1`, `cuda`, `mps`, `cpu`.
    encoder
        What will compute there.

    Raises
    ------
    EosinError
        No device has that name, or the machine does not have it.
    """
    if names == "auto":
        n = torch.cuda.device_count() if encoder.card.parameters else 0  # statistics are the same on every machine
        return [torch.device("cuda", i) for i in range(n)] or [torch.device("cpu")]
    return [device_of(name.strip()) for name in names.split(",")]


def replicas(encoder: Encoder, devices: Sequence[torch.device]) -> list[Encoder]:
    """The encoder, moved to the first device, and a copy of it on each of the others."""
    copies = [copy.deepcopy(encoder).to(device) for device in devices[1:]]
    return [encoder.to(devices[0]), *copies]


def in_order(work: Iterable[T], workers: Sequence[Callable[[T], R]]) -> Iterator[R]:
    """Results of work that workers do in turn, each in a thread of its own; in the order of the work.

    Parameters
    ----------
    work
        Pieces of work, taken no faster than they are done: at most two are in progress or waiting at a worker.
    workers
        Piece `i` is done by worker `i % len(workers)`.
    """
    pools = [ThreadPoolExecutor(1, thread_name_prefix="device") for _ in workers]
    turns = itertools.cycle(zip(pools, workers))
    try:
        submitted = (pool.submit(worker, piece) for piece, (pool, worker) in zip(work, turns))
        yield from results_in_order(submitted, _IN_FLIGHT * len(workers))
    finally:
        for pool in pools:
            pool.shutdown(wait=True, cancel_futures=True)
