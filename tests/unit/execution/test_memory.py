from __future__ import annotations

import mmap
import os
import subprocess
import sys
import time

import numpy as np
import pytest
import torch

from eosin.execution.memory import Peak, cpu_seconds, resident_mib

HERE = os.getpid()


def test_a_process_is_seen_from_outside() -> None:
    before = cpu_seconds(HERE)
    assert before is not None
    started = time.process_time()
    while time.process_time() - started < 0.1:
        pass
    assert 0.05 < cpu_seconds(HERE) - before < 5
    held = resident_mib(HERE)
    with mmap.mmap(-1, 64 * 2**20) as block:  # pages of its own: what was freed before is not used again
        block.write(b"1" * len(block))
        assert held is not None and 50 < resident_mib(HERE) - held < 200


def test_a_process_that_is_gone_tells_nothing() -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    assert resident_mib(gone.pid) is None and cpu_seconds(gone.pid) is None


def test_the_peak_counts_what_was_given_back_and_forgets_what_was_before() -> None:
    np.ones(2**24)  # 128 MiB, before the start
    peak = Peak()
    if peak.mib() is None:
        pytest.skip("the system does not say")
    np.ones(2**23)
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
    np.ones(2**23)  # 64 MiB, touched
    assert 50 < peak.mib() < 110
