"""The other process that walks HDF5 files (`hdf5_walk.py`): one for all files, and a fresh one after a bad file.

Starting a process takes 0.3 s, walking a file a few milliseconds.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import subprocess
import sys
import threading
from pathlib import Path

SOUND = "sound"
"""The answer of `hdf5_walk.py` to a file that it could walk."""


class Child:
    """A process that walks one file after another.

    Parameters
    ----------
    program
        The program to run in it.
    """

    def __init__(self, program: Path):
        self.program, self.n_walked = program, 0
        self._process = subprocess.Popen(
            [sys.executable, "-I", str(program)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )

    def walk(self, path: Path, seconds: float) -> str | None:
        """What is wrong with a file, in words; `""` where nothing is, None where the process died of it.

        Raises
        ------
        TimeoutError
            There was no answer within `seconds`; the process is ended.
        """
        if self._process.stdin is None or self._process.stdout is None:
            raise ValueError("made with pipes")
        late = threading.Event()

        def end() -> None:
            late.set()
            self._process.kill()

        timer = threading.Timer(seconds, end)
        timer.daemon = True
        timer.start()
        try:
            self._process.stdin.write(json.dumps(os.fspath(path)).encode() + b"\n")
            self._process.stdin.flush()
            answer = self._process.stdout.readline().decode("utf-8", "replace").strip()
        except OSError:  # it had died before
            answer = ""
        finally:
            timer.cancel()
        self.n_walked += 1
        if late.is_set():
            raise TimeoutError
        return None if not answer else "" if answer == SOUND else answer

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):  # what was to be written has no reader any more
                    pipe.close()
        self._process.wait()


_one_at_a_time = threading.Lock()
_children: dict[int, Child] = {}
"""By process: a forked process must not use that of its parent."""


def walk(program: Path, path: Path, seconds: float) -> str | None:
    """As `Child.walk`, in the process that is there, else in a new one.

    A process that dies of a file after others is no proof against that file: a new one walks it again.
    """
    with _one_at_a_time:
        child = _children.get(os.getpid())
        if child is not None and child.program != program:
            close()
            child = None
        used = child is not None and child.n_walked > 0
        problem = _walked(child or _new(program), path, seconds)
        return _walked(_new(program), path, seconds) if problem is None and used else problem


def close() -> None:
    """End the process that walks for this one, if there is one."""
    if child := _children.pop(os.getpid(), None):
        child.close()


def _new(program: Path) -> Child:
    _children[os.getpid()] = child = Child(program)
    return child


def _walked(child: Child, path: Path, seconds: float) -> str | None:
    """As `Child.walk`; unless the file is sound the process is ended."""
    problem = None
    try:
        problem = child.walk(path, seconds)
    finally:
        if problem != "":
            close()
    return problem


def _after_fork() -> None:
    global _one_at_a_time
    _one_at_a_time = threading.Lock()  # a thread that held it is not in the new process


atexit.register(close)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
