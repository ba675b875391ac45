"""How much memory a piece of work took at most, beyond what the process held before it."""

from __future__ import annotations

import contextlib
import ctypes
import gc
from pathlib import Path

import torch

_STATUS, _RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")
_MIB = 2**20


class Peak:
    """Memory from now on: of the accelerator where there is one, else of the process (Linux only)."""

    def __init__(self) -> None:
        self.gpu = torch.cuda.is_available()
        self.before: float | None
        if self.gpu:
            torch.cuda.reset_peak_memory_stats()
            self.before = torch.cuda.memory_allocated() / _MIB
        else:
            self.before = _reset_and_read()

    def mib(self) -> float | None:
        """MiB above the start at the highest point so far; None where the system does not say."""
        if self.before is None:
            return None
        now = torch.cuda.max_memory_allocated() / _MIB if self.gpu else _field("VmHWM")
        return None if now is None else max(0.0, now - self.before)


def _reset_and_read() -> float | None:
    try:
        _RESET.write_text("5")  # forgets the peak so far
    except OSError:
        return None
    return _field("VmRSS")


def return_freed_memory() -> None:
    """Hand back to the system what this process has freed; does nothing where that cannot be asked for."""
    gc.collect()
    with contextlib.suppress(OSError, AttributeError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)


def _field(name: str) -> float | None:
    """A line of the process's status, MiB."""
    try:
        lines = _STATUS.read_text().splitlines()
    except OSError:
        return None
    for line in lines:
        if line.startswith(name + ":"):
            return float(line.split()[1]) / 1024
    return None
