"""Progress with rate and time left. The library is silent; the command line chooses how to show it."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Protocol

Tick = Callable[..., None]
"""`tick(n=1, note="")`: n more units are done; the note (a loss, a file) stands beside the bar."""


class Show(Protocol):
    """How progress is shown."""

    def task(self, label: str, total: int, unit: str) -> contextlib.AbstractContextManager[Tick]:
        """Open a task.

        Parameters
        ----------
        label
            What is done, as "encode C2".
        total, unit
            How much there is to do, and of what, as 190 "tiles".

        Returns
        -------
        context manager
            Gives the task's `Tick`; the task ends with the block.
        """
        ...


class Silent:
    """Shows nothing: the default inside the library."""

    @contextlib.contextmanager
    def task(self, label: str, total: int, unit: str) -> Iterator[Tick]:
        """A task whose ticks do nothing."""
        yield lambda n=1, note="": None


class Lines:
    """Plain lines on the error stream: for logs and pipes.

    Parameters
    ----------
    every_s
        Time between two lines of a task, seconds; its end always has one.
    """

    def __init__(self, every_s: float = 10.0):
        self.every_s = every_s

    @contextlib.contextmanager
    def task(self, label: str, total: int, unit: str) -> Iterator[Tick]:
        """A task that writes lines with the rate and the time left."""
        start = last = time.monotonic()
        done = 0

        def tick(n: int = 1, note: str = "") -> None:
            nonlocal done, last
            done += n
            now = time.monotonic()
            if now - last >= self.every_s:
                last = now
                rate = done / max(now - start, 1e-9)
                left = max(total - done, 0) / max(rate, 1e-9)
                self._say(f"{label}: {done}/{total} {unit}, {rate:.3g}/s, {left:.0f} s left {note}".rstrip())

        yield tick
        self._say(f"{label}: {_counted(done, unit)} in {time.monotonic() - start:.1f} s")

    def _say(self, line: str) -> None:
        sys.stderr.write(line + "\n")
        sys.stderr.flush()


def _counted(n: int, unit: str) -> str:
    """`2 draws`, `1 draw`: units are given in the plural."""
    return f"{n} {unit.removesuffix('s') if n == 1 else unit}"


class Bars:
    """Rich bars on a terminal; several tasks may be open at once."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        self._bars = Progress(
            TextColumn("{task.description}", markup=False),  # a path with brackets is no markup
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[unit]}  {task.fields[rate]}", markup=False),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}", markup=False),
            console=Console(stderr=True),
            transient=True,
        )
        self._open = 0

    @contextlib.contextmanager
    def task(self, label: str, total: int, unit: str) -> Iterator[Tick]:
        """A task with a bar, which goes with the end of the block."""
        if self._open == 0:
            self._bars.start()
        self._open += 1
        start, done = time.monotonic(), 0
        bar = self._bars.add_task(label, total=total, unit=unit, rate="", note="")

        def tick(n: int = 1, note: str = "") -> None:
            nonlocal done
            done += n
            rate = done / max(time.monotonic() - start, 1e-9)
            self._bars.update(bar, completed=done, rate=f"{rate:.3g}/s", note=note)

        try:
            yield tick
        finally:
            self._bars.remove_task(bar)
            self._open -= 1
            if self._open == 0:
                self._bars.stop()


_SILENT = Silent()
_show: ContextVar[Show] = ContextVar("progress")


def show_with(show: Show) -> None:
    """Choose how all progress of this context is shown (`Silent`, `Lines`, `Bars`)."""
    _show.set(show)


def task(label: str, total: int, unit: str) -> contextlib.AbstractContextManager[Tick]:
    """Open a task of `total` units, shown as `show_with` chose; silent by default.

    Use as `with task("encode C2", 190, "tiles") as tick: tick(64)`.
    """
    return _show.get(_SILENT).task(label, total, unit)
