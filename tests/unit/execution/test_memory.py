from __future__ import annotations

import contextlib
import mmap
import os
import subprocess
import sys
import time
from collections.abc import Iterator

import numpy as np
import pytest
import torch

from eosin.execution.memory import Peak, cpu_seconds, resident_mib

HERE = os.getpid()


@contextlib.contextmanager
def pages(mib: int) -> Iterator[None]:
    """Hold memory, each page touched; pages of its own, where an array may lie in what was freed before."""
    with mmap.mmap(-1, mib * 2**20) as block:
        for _ in range(mib):
            block.write(b"1" * 2**20)
        yield


def test_memory_that_was_freed_before_does_not_hide_what_is_used_now() -> None:
    few = [
        np.ones(2**12) for _ in range(2**11)
    ]  # 64 MiB in small pieces, which the allocator keeps when they are freed
    last = np.ones(2**12)  # behind them, so that they are not the end of the heap
    few.clear()
    peak = Peak()
    if peak.mib() is None:
        pytest.skip("the system does not say")
    few.extend(np.ones(2**12) for _ in range(2**11))
    assert len(last) and peak.mib() > 50


def test_a_process_is_seen_from_outside() -> None:
    before = cpu_seconds(HERE)
    assert before is not None
    started = time.process_time()
    while time.process_time() - started < 0.1:
        pass
    assert 0.05 < cpu_seconds(HERE) - before < 5
    held = resident_mib(HERE)
    with pages(64):
        assert held is not None and 50 < resident_mib(HERE) - held < 200


def test_a_process_that_is_gone_tells_nothing() -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    assert resident_mib(gone.pid) is None and cpu_seconds(gone.pid) is None


def test_the_peak_counts_what_was_given_back_and_forgets_what_was_before() -> None:
    with pages(128):
        pass
    peak = Peak()
    if peak.mib() is None:
        pytest.skip("the system does not say")
    with pages(64):
        pass
    assert 50 < peak.mib() < 110


def test_work_on_the_cpu_is_not_read_from_the_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", lambda: None)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda: 100 * 2**20)
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda: 107 * 2**20)
    peak = Peak()
    assert peak.mib(gpu=True) == pytest.approx(7)
    if peak.mib() is None:
        pytest.skip("the system does not say")
    with pages(64):
        pass
    assert 50 < peak.mib() < 110
