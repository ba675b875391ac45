"""One process at a time makes a file: a lock beside it, which no dead process holds for ever."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import platform
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

from eosin.storage.files import explained

_LOG = logging.getLogger("eosin")
_BEAT_S = 10.0
_SILENT_S = 120.0
"""A lock from another machine that was not touched for so long is left over. Watched by the waiting process's own
clock, since the clocks of two machines differ."""


@contextlib.contextmanager
def held(path: Path, *, poll_s: float = 0.2) -> Iterator[None]:
    """Hold `{path}.lock` while the block makes `path`; wait where another process does.

    The lock names its process. It is taken over where that process is gone: at once on this machine, and after two
    minutes without a sign of life on another. Should two processes ever believe that they hold it, each still writes
    `path` whole.

    Raises
    ------
    EosinError
        The folder cannot be written.
    """
    lock = path.with_name(f"{path.name}.lock")
    mine = json.dumps({**_process(), "token": uuid.uuid4().hex})
    with explained(path):
        lock.parent.mkdir(parents=True, exist_ok=True)
        _take(lock, mine, path, poll_s)
    stop = threading.Event()
    beat = threading.Thread(target=_beat, args=(lock, stop), name="lock", daemon=True)
    beat.start()
    try:
        yield
    finally:
        stop.set()
        beat.join()
        if _text(lock) == mine:
            lock.unlink(missing_ok=True)


def _take(lock: Path, mine: str, path: Path, poll_s: float) -> None:
    told, seen, since = False, None, 0.0
    while not _create(lock, mine):
        found = _text(lock), _touched(lock)
        if found[0] is None:
            continue  # given back just now
        if found != seen:
            seen, since = found, time.monotonic()
        if _is_gone(found[0]) or time.monotonic() - since > _SILENT_S:
            _LOG.warning("%s: its process is gone; taken over", lock)
            _break(lock, found[0])
            continue
        if not told:
            _LOG.info("%s: another process (%s) is making it; waiting", path, _who(found[0]))
            told = True
        time.sleep(poll_s)


def _create(lock: Path, mine: str) -> bool:
    try:
        handle = os.open(lock, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
    except FileExistsError:
        return False
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(mine)
    return True


def _break(lock: Path, stale: str) -> None:
    """Remove a lock that is left over. Moved aside first: a rival may have done so, and have made its own since."""
    aside = lock.with_name(f".{lock.name}-{uuid.uuid4().hex[:8]}")
    try:
        lock.rename(aside)
    except FileNotFoundError:
        return
    if _text(aside) != stale:
        with contextlib.suppress(OSError):  # its owner loses the lock then, which costs work and no data
            os.link(aside, lock)
    aside.unlink(missing_ok=True)


def _beat(lock: Path, stop: threading.Event) -> None:
    while not stop.wait(_BEAT_S):
        with contextlib.suppress(OSError):
            os.utime(lock)


def _text(lock: Path) -> str | None:
    try:
        return lock.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return None


def _touched(lock: Path) -> int:
    try:
        return lock.stat().st_mtime_ns
    except FileNotFoundError:
        return 0


def _process() -> dict[str, str | int]:
    """This process, told apart from a later one of the same number, and from one in another container."""
    return {"pid": os.getpid(), "born": _born(os.getpid()), "host": _host()}


def _host() -> str:
    try:
        return f"{platform.node()} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return platform.node()


def _born(pid: int) -> str:
    """When a process began, in ticks since the machine did; empty where the system does not say."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""


def _is_gone(text: str) -> bool:
    """Whether a lock's process ran on this machine and does no longer."""
    try:
        holder = json.loads(text)
        pid, born, host = int(holder["pid"]), str(holder["born"]), holder["host"]
    except (ValueError, TypeError, KeyError):
        return False  # just being written, or not ours
    if host != _host() or os.name != "posix":
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return born != _born(pid)


def _who(text: str) -> str:
    try:
        holder = json.loads(text)
        return f"{holder['pid']} on {str(holder['host']).split()[0]}"
    except (ValueError, TypeError, KeyError, IndexError):
        return "unknown"
