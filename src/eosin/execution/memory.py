"""What a process uses: memory now, memory at most, time of the processor."""

from __future__ import annotations

import gc
from pathlib import Path

import psutil
import torch

from eosin.storage.scratch import hand_back_freed

_STATUS, _RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")
_MIB = 2**20


class Peak:
    """The most memory that is held from now on: of the process (Linux), and of the GPU where there is one.

    What the process has freed before is handed back first: work that used it again would seem to need none.
    """

    def __init__(self) -> None:
        return_freed_memory()
        self._process_before = psutil.Process().memory_info().rss / _MIB if _forget_peak() else None
        self._gpu_before: float | None = None
        if torch.cuda.is_available():
            torch.cuda.reset_peak_memory_stats()
            self._gpu_before = torch.cuda.memory_allocated() / _MIB

    def mib(self, *, gpu: bool = False) -> float | None:
        """MiB above the start at the highest point so far; None where the system does not say.

        Parameters
        ----------
        gpu
            Of the GPU, for work that ran there; else of the process.
        """
        before = self._gpu_before if gpu else self._process_before
        if before is None:
            return None
        most = torch.cuda.max_memory_allocated() / _MIB if gpu else _peak_mib()
        return None if most is None else max(0.0, most - before)


def _forget_peak() -> bool:
    """Let the system forget the process's peak so far; whether it did."""
    try:
        _RESET.write_text("5")
    except OSError:
        return False
    return True


def _peak_mib() -> float | None:
    """The most that the process held since the peak was forgotten, MiB; psutil does not tell it on Linux."""
    try:
        lines = _STATUS.read_text().splitlines()
    except OSError:
        return None
    for line in lines:
        if line.startswith("VmHWM:"):
            return float(line.split()[1]) / 1024
    return None


def return_freed_memory() -> None:
    """Hand back to the system what this process has freed; does nothing where that cannot be asked for."""
    gc.collect()
    hand_back_freed()


def resident_mib(pid: int) -> float | None:
    """Memory that a process holds now, MiB; None where it is gone or the system does not say."""
    try:
        return psutil.Process(pid).memory_info().rss / _MIB
    except psutil.Error:
        return None


def cpu_seconds(pid: int) -> float | None:
    """Processor time of a process and all its threads, seconds; None where it is gone or the system does not say."""
    try:
        times = psutil.Process(pid).cpu_times()
    except psutil.Error:
        return None
    return times.user + times.system
