"""One process at a time makes a file: a lock beside it, which no dead process holds for ever."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Iterator
from pathlib import Path

from filelock import LeaseSettingsMismatch, SoftFileLease, Timeout

from eosin.errors import EosinError
from eosin.storage.files import explained, remove_partial_files

_LOG = logging.getLogger("eosin")
_BEAT_S = 10.0
"""Time between two signs of life of the process that holds a lock, seconds."""
_SILENT_S = 120.0
"""A lock from another machine that was not touched for so long is left over. Watched by the waiting process's own
clock, since the clocks of two machines differ."""


@contextlib.contextmanager
def held(path: Path, *, poll_s: float = 0.2, wait: bool = True) -> Iterator[bool]:
    """Hold `{path}.lock` while the block makes `path`; wait where another process does.

    The lock is a file (`filelock.SoftFileLease`) rather than a lock of the system, which some network disks lack: it
    names its process, shows that it lives, and is removed at the end. It is taken over where that process is gone: at
    once on this machine, and after two minutes without a sign of life on another. Should two processes ever believe
    that they hold it, each still writes `path` whole.

    Parameters
    ----------
    path
        What the block makes; its folder is made if it is lacking.
    poll_s
        Time between two looks at a lock that another process holds, seconds.
    wait
        Until it is free; else the block runs without it where another process holds it.

    Yields
    ------
    bool
        Whether the lock is held.

    Raises
    ------
    EosinError
        The folder cannot be written.
    """
    with explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = SoftFileLease(
            path.with_name(f"{path.name}.lock"),
            lease_duration=_SILENT_S,
            heartbeat_interval=min(_BEAT_S, _SILENT_S / 3),
        )
        if wait:
            _take(lock, path, poll_s)
        ours = wait or _taken_now(lock)
    try:
        yield ours
    finally:
        if ours:
            lock.release()


def clear_left_over(path: Path, *others: Path) -> None:
    """Remove what a process that is gone left beside a whole file: its lock and its partial files.

    It may be killed after it put the file in place and before it let go of the lock. Does not wait, and leaves alone
    what a living process holds; a folder that cannot be written stays as it is.

    Parameters
    ----------
    path
        The whole file.
    others
        Files that its lock guards too and that are of no use beside the whole one.
    """
    if not path.with_name(f"{path.name}.lock").exists():
        return
    with contextlib.suppress(EosinError), held(path, wait=False) as ours:
        if ours:
            remove_partial_files(path)
            for other in others:
                other.unlink(missing_ok=True)


def _taken_now(lock: SoftFileLease) -> bool:
    """Take a lock that nobody holds; whether it was free."""
    try:
        lock.acquire(blocking=False)
    except (Timeout, LeaseSettingsMismatch):  # the second: of a version of eosin with another `_SILENT_S`
        return False
    return True


def _take(lock: SoftFileLease, path: Path, poll_s: float) -> None:
    """Wait until the lock is ours; say once who has it, and say if it had to be taken over."""
    empty_since: float | None = None
    told = False
    while True:
        holder = _holder(lock)
        if _taken_now(lock):
            if holder is not None:
                _LOG.warning("%s: its process is gone; taken over from %s", lock.lock_file, holder)
            return
        if holder is not None and not told:
            _LOG.info("%s: another process (%s) is making it; waiting", path, holder)
            told = True
        time.sleep(poll_s)
        empty_since = _broken_if_empty(lock, empty_since)


def _holder(lock: SoftFileLease) -> str | None:
    """Whose lock lies there, for the log; None where there is none."""
    owner = lock.owner
    if owner is not None:
        return f"{owner.pid} on {owner.hostname}"
    return "unknown" if Path(lock.lock_file).exists() else None


def _broken_if_empty(lock: SoftFileLease, since: float | None) -> float | None:
    """Since when the lock file is empty, by this process's clock; removed after `_SILENT_S`.

    A machine that loses power can leave such a file, and `SoftFileLease` never takes one for left over.
    """
    try:
        empty = Path(lock.lock_file).stat().st_size == 0
    except OSError:
        empty = False
    if not empty:
        return None
    now = time.monotonic()
    if since is not None and now - since > _SILENT_S:
        _LOG.warning("%s: empty, hence left over; removed", lock.lock_file)
        lock.force_break()
        return None
    return now if since is None else since
