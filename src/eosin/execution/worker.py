"""One job in a process of its own, watched from this one.

Processes are forked from a server that has imported torch and done nothing with it (`forkserver`), so that a job starts
in milliseconds instead of the seconds that an import takes, and yet inherits neither threads nor a used accelerator, as
it would from a plain fork. Where there is no such server, they are spawned.
"""

from __future__ import annotations

import contextlib
import gc
import multiprocessing
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from types import ModuleType
from typing import Any, Generic

import torch

from eosin.execution.job import Done, Failed, Job, NotKnownHere, Outcome, R, out_of_memory, outcome_of, reason_of
from eosin.execution.memory import cpu_seconds, resident_mib

_GRACE_S = 5.0
"""What a process that is told to end may take before it is killed, seconds."""
_PATIENCE = 20
"""Seconds of the clock for one of the processor: how busy a machine may be."""


@dataclass(frozen=True)
class Limits:
    """What a job may use before its process is ended.

    Attributes
    ----------
    seconds
        Of the processor, all threads together, where the system tells; else of the clock. Counted anew in each phase.
    gib
        Memory that the process holds.
    phase
        What the job does until it calls `begin_phase`; named in the reason of a failure.
    """

    seconds: float
    gib: float
    phase: str = ""


_tell_phase: ContextVar[Callable[[str], None] | None] = ContextVar("tell_phase", default=None)


def begin_phase(name: str) -> None:
    """Called by a job that begins another part of its work: limits of time count from here, where there are any.

    Parameters
    ----------
    name
        As "predicting": the end of "over 300 s predicting".
    """
    tell = _tell_phase.get()
    if tell is not None:
        tell(name)


@dataclass(frozen=True)
class StaysHere:
    """A process's answer: the job cannot be done there (`NotKnownHere`)."""

    reason: str


@dataclass(frozen=True)
class _Phase:
    """A process's message: the job has begun another phase."""

    name: str


class Worker(Generic[R]):
    """A running process with one job.

    Raises
    ------
    OSError, MemoryError
        No process could be started.
    Exception
        The job cannot be sent to another process; the type depends on what it holds.
    """

    def __init__(self, job: Job[R], n_threads: int, limits: Limits | None = None):
        self.job, self._limits, self._answered = job, limits, False
        context = _context(type(job))
        self._receive, send = context.Pipe(duplex=False)
        self._process = context.Process(target=_work, args=(send, job, n_threads), name=f"eosin {job.name}")
        self._started = time.monotonic()
        try:
            with _without_main():
                self._process.start()
        except BaseException:
            self._receive.close()
            raise
        finally:
            send.close()  # so that the pipe ends when the process does
        self._enter("" if limits is None else limits.phase)

    @property
    def sources(self) -> tuple[Any, ...]:
        """What `multiprocessing.connection.wait` can wait for: a message, or the end of the process."""
        return self._receive, self._process.sentinel

    def look(self) -> Outcome[R] | StaysHere | None:
        """What came of the job, or why there will be nothing; None while it runs within its limits."""
        alive = self._process.is_alive()  # asked first: what a process sends before it ends must not be missed
        while self._receive.poll():
            try:
                message = self._receive.recv()
            except (EOFError, OSError):
                alive = False
                break
            if not isinstance(message, _Phase):
                self._answered = True
                return message if isinstance(message, StaysHere) else replace(message, seconds=self._seconds())
            self._enter(message.name)
        return self._exceeded() if alive else self._died()

    def terminate(self) -> None:
        """Tell the process to end, without waiting for it."""
        if self._process.is_alive():
            self._process.terminate()

    def end(self) -> None:
        """No process outlives its job: one that has answered may leave, any other is ended."""
        if self._answered:
            self._process.join(_GRACE_S)
        if self._process.is_alive():
            self._process.terminate()
            self._process.join(_GRACE_S)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        self._receive.close()

    def _seconds(self) -> float:
        return time.monotonic() - self._started

    def _enter(self, phase: str) -> None:
        self._phase, self._phase_began = phase, time.monotonic()
        self._cpu_before = None if self._limits is None else cpu_seconds(self._process.pid)

    def _exceeded(self) -> Failed | None:
        if self._limits is None:
            return None
        cpu, passed = cpu_seconds(self._process.pid), time.monotonic() - self._phase_began
        used = passed if cpu is None or self._cpu_before is None else cpu - self._cpu_before
        # The second catches a job that waits and does not compute.
        if used > self._limits.seconds or passed > _PATIENCE * self._limits.seconds:
            return Failed(f"over {self._limits.seconds:g} s {self._phase}".rstrip(), self._seconds())
        if (resident_mib(self._process.pid) or 0.0) > self._limits.gib * 1024:
            return Failed(f"over {self._limits.gib:g} GiB {self._phase}".rstrip(), self._seconds())
        return None

    def _died(self) -> Failed:
        self._process.join(_GRACE_S)
        reason, full = why_ended(self._process.exitcode)
        whole = f"{reason} while {self._phase}" if self._phase else reason
        return Failed(whole, self._seconds(), full, died=True)


def why_ended(code: int | None) -> tuple[str, bool]:
    """Why a process ended without an answer, by its exit code, and whether memory has probably run out."""
    if code is not None and code < 0:
        name = signal.Signals(-code).name if -code in signal.valid_signals() else f"signal {-code}"
        if name == "SIGKILL":
            return out_of_memory("its process was killed, as the system does when memory runs out"), True
        return f"its process crashed ({name})", False
    return f"its process ended with code {code} and no result", False


def _work(send: Connection, job: Job[Any], n_threads: int) -> None:
    """In the new process: run the job and send what came of it."""
    gc.freeze()  # a search for garbage among what the server loaded would copy all of its memory
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all; the one that waits ends this one
    torch.set_num_threads(n_threads)
    _tell_phase.set(lambda name: send.send(_Phase(name)))
    with contextlib.suppress(BrokenPipeError):  # nobody waits any more
        _send(send, answer_of(job))
    send.close()


def answer_of(job: Job[R]) -> Outcome[R] | StaysHere:
    """On the far side: what came of a job, as something that can be sent back."""
    outcome = outcome_of(job)
    if isinstance(outcome, Done):
        return outcome
    if isinstance(outcome.error, NotKnownHere):
        return StaysHere(outcome.reason)
    return replace(outcome, error=None)  # not every exception can be sent


def _send(send: Connection, answer: Outcome[Any] | StaysHere) -> None:
    try:
        send.send(answer)
    except OSError:
        raise
    except Exception as error:  # the several ways in which an object says that it cannot be sent
        send.send(Failed(f"its result cannot be sent to another process ({reason_of(error)[0]})"))


def _context(kind: type[Job[Any]]) -> Any:
    """How processes are started; the first one's server imports ahead what jobs of this kind of eosin's need."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    is_own = kind.__module__.startswith(f"{__name__.partition('.')[0]}.")
    context.set_forkserver_preload([__name__, *([kind.__module__, *kind.ahead] if is_own else [])])
    return context


@contextlib.contextmanager
def _without_main() -> Iterator[None]:
    """Hide the running script, which a new process would otherwise run again from its first line."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main
