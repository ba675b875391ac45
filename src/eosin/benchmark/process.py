"""A cell in a process of its own: what kills one cell leaves the others and this process alone.

Processes are forked from a server that has imported torch and done nothing with it (`forkserver`), so that a cell
starts in milliseconds instead of the seconds that an import takes, and yet inherits neither threads nor a used
accelerator, as it would from a plain fork. Where there is no such server, they are spawned.
"""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import multiprocessing.connection
import signal
import sys
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from types import ModuleType
from typing import Any

import torch

from eosin.benchmark.measure import Job, failure, out_of_memory, outcome
from eosin.models import MODELS

log = logging.getLogger("eosin")

_HOME = __name__
_GRACE_S = 5.0
"""What a process that is told to end may take before it is killed, seconds."""


def outcome_apart(job: Job) -> dict[str, Any]:
    """`outcome` of a job in a process of its own; a process that dies is a failed cell with the reason.

    A model or a way of saving that only this process knows (registered or defined in a script or a notebook) cannot be
    had elsewhere; such a cell is run here.

    Raises
    ------
    KeyboardInterrupt
        Ctrl-C; the process has been ended.
    """
    if not _can_travel(job):
        return outcome(job)
    with apart(_work, job, torch.get_num_threads(), name=job.cell.name) as (process, receive):
        reply = _await(receive)
        process.join(_GRACE_S)
    if reply is None:
        return failure(why_ended(process.exitcode))
    if reply.get("unknown"):
        log.info("%s: its model is known to this process only and is run in it", job.cell.name)
        return outcome(job)
    return reply


@contextlib.contextmanager
def apart(work: Callable[..., None], *given: Any, name: str) -> Iterator[tuple[Any, Connection]]:
    """A process of its own that does `work(send, *given)`, and the end of the pipe on which it answers.

    `work` is a function of a module. The process is ended with the block.
    """
    context = _context()
    receive, send = context.Pipe(duplex=False)
    process = context.Process(target=work, args=(send, *given), name=f"eosin {name}")
    try:
        with _without_main():
            process.start()
        send.close()  # so that the pipe ends when the process does
        yield process, receive
    finally:
        _end(process)
        receive.close()


def _context() -> Any:
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([_HOME])
    return context


def _work(send: Connection, job: Job, n_threads: int) -> None:
    """In the new process: run the job and send what came of it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all; the one that waits ends this one
    torch.set_num_threads(n_threads)
    known = job.cell.model.partition(":")[0] in MODELS
    with contextlib.suppress(BrokenPipeError):  # nobody waits any more
        send.send(outcome(job) if known else {"unknown": True})
    send.close()


def _await(receive: Connection) -> dict[str, Any] | None:
    """The process's message; None if it ended without one."""
    try:
        return receive.recv()
    except (EOFError, ConnectionResetError):
        return None


def _end(process: Any) -> None:
    """No process outlives its cell."""
    if process.pid is None:
        return
    if process.is_alive():
        process.terminate()
        process.join(_GRACE_S)
    if process.is_alive():
        process.kill()
        process.join()


def why_ended(code: int | None) -> str:
    """Why a process ended without an answer, by its exit code."""
    if code is not None and code < 0:
        name = signal.Signals(-code).name if -code in signal.valid_signals() else f"signal {-code}"
        if name == "SIGKILL":
            return out_of_memory("its process was killed, as the system does when memory runs out")
        return f"its process crashed ({name})"
    return f"its process ended with code {code} and no result"


def _can_travel(job: Job) -> bool:
    """Functions of a script, or inside functions, are not found by another process."""
    if job.save is None:
        return True
    return job.save.__module__ != "__main__" and "<locals>" not in job.save.__qualname__


@contextlib.contextmanager
def _without_main() -> Iterator[None]:
    """Hide the running script, which a new process would otherwise run again from its first line."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main
