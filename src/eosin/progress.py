"""Progress with rate and time left. The library is silent; the command line chooses how to show it."""

from __future__ import annotations

import contextlib
import importlib.util
import logging
import sys
import time
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Protocol

from eosin.plurals import counted

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

    def say(self, line: str) -> None:
        """Write a line of its own, above the bars where there are any."""
        ...


class Silent:
    """Shows nothing: the default inside the library."""

    @contextlib.contextmanager
    def task(self, label: str, total: int, unit: str) -> Iterator[Tick]:
        """A task whose ticks do nothing."""
        yield lambda n=1, note="": None

    def say(self, line: str) -> None:
        """Write nothing."""


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
                self.say(f"{label}: {done}/{total} {unit}, {rate:.3g}/s, {left:.0f} s left {note}".rstrip())

        yield tick
        self.say(f"{label}: {counted(done, unit.removesuffix('s'))} in {time.monotonic() - start:.1f} s")

    def say(self, line: str) -> None:
        """Write a line."""
        sys.stderr.write(line + "\n")
        sys.stderr.flush()


class Bars:
    """Rich bars on a terminal or in a notebook; several tasks may be open at once."""

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

    def say(self, line: str) -> None:
        """Write a line above the bars, as it is: brackets are no markup."""
        self._bars.console.print(line, markup=False, highlight=False, soft_wrap=True)


class Notes(logging.Handler):
    """Writes what is logged where progress is shown, so that a line never breaks a bar.

    Parameters
    ----------
    show
        Where to write; may be replaced.
    only
        Whose notes to write, by the first part of the logger's name; empty for those of all libraries.
    """

    def __init__(self, show: Show, only: str = ""):
        super().__init__()
        self.show, self.only = show, only

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record, if it is of those that are to be written."""
        if self.only and record.name.partition(".")[0] != self.only:
            return
        try:
            self.show.say(self.format(record))
        except (OSError, ValueError):  # the error stream is closed
            self.handleError(record)


_SILENT = Silent()
_show: ContextVar[Show | None] = ContextVar("progress", default=None)
_of_notebook: list[Show] = []
"""The one `Bars` of a notebook, made when it is first needed."""


def show_with(show: Show) -> None:
    """Choose how all progress of this context is shown (`Silent`, `Lines`, `Bars`)."""
    _show.set(show)


def task(label: str, total: int, unit: str) -> contextlib.AbstractContextManager[Tick]:
    """Open a task of `total` units, shown as `show_with` chose; by default as a bar in a notebook, else silent.

    Use as `with task("encode C2", 190, "tiles") as tick: tick(64)`.
    """
    return (_show.get() or _default()).task(label, total, unit)


def _default() -> Show:
    """Bars in a notebook, where rich can draw them; silence elsewhere."""
    if not _in_notebook() or importlib.util.find_spec("ipywidgets") is None:  # without it rich only warns
        return _SILENT
    if not _of_notebook:
        _of_notebook.append(Bars())
    return _of_notebook[0]


def _in_notebook() -> bool:
    """Whether the code runs in a Jupyter kernel."""
    ipython = sys.modules.get("IPython")
    return ipython is not None and type(ipython.get_ipython()).__name__ == "ZMQInteractiveShell"
