"""Where an encoder computes: one copy of it on each device, fed in turn, with results in order."""

from __future__ import annotations

import copy
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import torch

from eosin.encoders.base import Encoder
from eosin.errors import EosinError

T = TypeVar("T")
R = TypeVar("R")

_IN_FLIGHT = 2
"""Batches that wait at each device, so that it need not wait for the next."""


def devices_of(asked: str, encoder: Encoder) -> list[torch.device]:
    """The devices that are meant.

    Parameters
    ----------
    asked
        `auto` (all GPUs of the machine for encoders with weights, else the CPU), or devices by commas: `cuda:0,cuda:1`,
        `cuda`, `mps`, `cpu`.

    Raises
    ------
    EosinError
        No such device, or it is not there.
    """
    if asked == "auto":
        n = torch.cuda.device_count() if encoder.card.parameters else 0  # statistics are the same on every machine
        return [torch.device("cuda", i) for i in range(n)] or [torch.device("cpu")]
    return [_device(name.strip()) for name in asked.split(",")]


def _device(name: str) -> torch.device:
    fix = "give auto, cpu, cuda, or several by commas, as cuda:0,cuda:1"
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise EosinError(f"no device is called '{name}'", fix=fix) from error
    n = {"cpu": 1, "cuda": torch.cuda.device_count(), "mps": int(torch.backends.mps.is_available())}
    if (device.index or 0) >= n.get(device.type, 0):
        raise EosinError(f"device '{name}' is not there ({n.get(device.type, 0)} of its kind)", fix=fix)
    return device


def replicas(encoder: Encoder, devices: Sequence[torch.device]) -> list[Encoder]:
    """The encoder on the first device and a copy of it on each other."""
    copies = [copy.deepcopy(encoder).to(device) for device in devices[1:]]
    return [encoder.to(devices[0]), *copies]


def in_order(work: Iterable[T], workers: Sequence[Callable[[T], R]]) -> Iterator[R]:
    """Each piece of work by the next worker in turn, each in a thread of its own; results in the order of the work.

    At most two pieces wait at a worker, so that `work` is not drawn faster than it is done.
    """
    pools = [ThreadPoolExecutor(1, thread_name_prefix="device") for _ in workers]
    ahead: deque[Future[R]] = deque()
    try:
        for i, piece in enumerate(work):
            ahead.append(pools[i % len(workers)].submit(workers[i % len(workers)], piece))
            if len(ahead) >= _IN_FLIGHT * len(workers):
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()
    finally:
        for pool in pools:
            pool.shutdown(wait=True, cancel_futures=True)
