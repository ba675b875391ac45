"""Jobs that go well and wrong, as classes that another process can import."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from eosin.errors import EosinError
from eosin.execution import Job, NotKnownHere, begin_phase


@dataclass(frozen=True)
class Does(Job[Any]):
    """Calls a function with its argument."""

    what: Callable[[Any], Any]
    given: Any = None
    called: str = "a job"

    @property
    def name(self) -> str:
        return self.called

    def run(self) -> Any:
        return self.what(self.given)


@dataclass(frozen=True)
class Writes(Job[str]):
    """Leaves its process's number in a file, which is its result."""

    file: Path

    @property
    def name(self) -> str:
        return self.file.name

    def kept(self) -> str | None:
        return self.file.read_text() if self.file.is_file() else None

    def run(self) -> str:
        self.file.write_text(str(os.getpid()))
        return self.file.read_text()


def square(x: int) -> int:
    return x * x


def pid(_: Any) -> int:
    return os.getpid()


def threads(_: Any) -> int:
    return torch.get_num_threads()


def refused(_: Any) -> None:
    raise EosinError("not today", fix="try tomorrow")


def faulty(_: Any) -> None:
    raise ValueError("a fault\nof the job")


def full(_: Any) -> None:
    raise MemoryError


def killed(_: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def crashed(_: Any) -> None:
    os.kill(os.getpid(), signal.SIGABRT)


def left(_: Any) -> None:
    os._exit(3)


def unsendable(_: Any) -> Any:
    return lambda: None


def known_in(home: int) -> int:
    if os.getpid() != home:
        raise NotKnownHere("registered elsewhere")
    return os.getpid()


def waits_for(path: Path) -> str:
    """Until a file is there."""
    deadline = time.monotonic() + 50
    while not path.exists():
        if time.monotonic() > deadline:
            raise TimeoutError(path.name)
        time.sleep(0.01)
    return path.name


def meets(paths: tuple[Path, Path]) -> str:
    """Leaves its own file and waits for the other's: ends only if both run at once."""
    mine, other = paths
    mine.touch()
    return waits_for(other)


def sleeps(path: Path) -> None:
    path.write_text(str(os.getpid()))
    time.sleep(60)


def idles(_: Any) -> None:
    time.sleep(60)


def idles_after_training(_: Any) -> None:
    begin_phase("predicting")
    time.sleep(60)


def dies_after_training(_: Any) -> None:
    begin_phase("predicting")
    os._exit(3)


def phases(_: Any) -> str:
    begin_phase("predicting")
    return "done"
