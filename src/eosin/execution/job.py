"""What is run (`Job`), what comes of it (`Done`, `Failed`) and what runs it (`Execution`)."""

from __future__ import annotations

import contextlib
import logging
import time
from abc import ABC, abstractmethod
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Generic, TypeAlias, TypeVar

import torch

from eosin.errors import EosinError
from eosin.progress import Silent, Tick, task

_LOG = logging.getLogger("eosin")

R = TypeVar("R")


class Job(ABC, Generic[R]):
    """A piece of work with a result. To run in another process it must be an object that can be sent there."""

    ahead: ClassVar[tuple[str, ...]] = ()
    """Modules that such a job imports late: what starts processes imports them once, for all jobs."""

    @property
    @abstractmethod
    def name(self) -> str:
        """What the job is called in logs and beside the progress bar."""

    def kept(self) -> R | None:
        """The result if an earlier run has left it, else None; asked just before the job would start.

        Raises
        ------
        EosinError
            What was left cannot be read. This ends `map`: to compute again over a damaged file would hide the damage.
        """
        return None

    @abstractmethod
    def run(self) -> R:
        """Compute the result. Any error is an outcome of this job only."""


class NotKnownHere(EosinError):
    """Raised by `Job.run` where this process lacks what the job names, such as a model registered in a notebook.

    The job is then run in the process that gave it.
    """


@dataclass(frozen=True)
class Done(Generic[R]):
    """A job that has its result.

    Attributes
    ----------
    result
        What `Job.run` returned, or what `Job.kept` did.
    seconds
        Time by the clock, with the start of a process; 0 for a kept result.
    kept
        Whether the result was there before and nothing was run.
    """

    result: R
    seconds: float = 0.0
    kept: bool = False


@dataclass(frozen=True)
class Failed:
    """A job without a result.

    Attributes
    ----------
    reason
        Why, in one line.
    seconds
        Time by the clock until it failed.
    out_of_memory
        Whether memory ran out, as far as one can tell.
    error
        The exception itself, where the job ran in this process.
    died
        Whether its process ended without an answer: another try may go well.
    """

    reason: str
    seconds: float = 0.0
    out_of_memory: bool = False
    error: Exception | None = field(default=None, compare=False)
    died: bool = False


Outcome: TypeAlias = Done[R] | Failed


class Execution(ABC):
    """A place where jobs run."""

    @abstractmethod
    def map(
        self, jobs: Sequence[Job[R]], *, label: str = "", unit: str = "jobs"
    ) -> Generator[tuple[int, Outcome[R]], None, None]:
        """Run the jobs whose result is not kept; yield one outcome for each job, as they finish.

        Parameters
        ----------
        jobs
            Started in this order.
        label, unit
            Of the progress shown; none is shown without a label.

        Yields
        ------
        tuple of int and Outcome
            The place of the job in `jobs`, and what came of it. Jobs may finish in another order than they were given.
            Use `contextlib.closing`, so that nothing runs on when the caller stops early.

        Raises
        ------
        KeyboardInterrupt
            Ctrl-C; what was running has been ended.
        EosinError
            From `Job.kept`.
        """


def shown(label: str, total: int, unit: str) -> contextlib.AbstractContextManager[Tick]:
    """The progress of `total` jobs; silent without a label."""
    return task(label, total, unit) if label else Silent().task(label, total, unit)


def kept_outcome(job: Job[R]) -> Done[R] | None:
    """The outcome of a job whose result is there already, else None."""
    result = job.kept()
    return None if result is None else Done(result, kept=True)


def outcome_of(job: Job[R]) -> Outcome[R]:
    """Run a job in this process; every error becomes an outcome, only Ctrl-C and the like go through."""
    started = time.monotonic()
    try:
        return Done(job.run(), time.monotonic() - started)
    except Exception as error:  # a fault of one job must not cost the others' results
        _LOG.debug("%s", job.name, exc_info=True)
        reason, full = reason_of(error)
        return Failed(reason, time.monotonic() - started, full, error)


def reason_of(error: Exception) -> tuple[str, bool]:
    """An error as one line, and whether it says that memory ran out."""
    if isinstance(error, EosinError):
        return str(error), False
    text = " ".join(str(error).split())[:300]
    by_name = isinstance(error, (MemoryError, torch.cuda.OutOfMemoryError))
    # PyTorch on the CPU, NumPy and LAPACK wrappers say it in words only.
    if by_name or ("memory" in text.lower() and ("alloc" in text.lower() or "enough" in text.lower())):
        return out_of_memory(text), True
    return (f"{type(error).__name__}: {text}" if text else type(error).__name__), False


def out_of_memory(detail: str = "") -> str:
    """The reason of a job for which memory did not suffice."""
    return f"out of memory ({detail[:120]})" if detail else "out of memory"
