"""Jobs in processes of their own, several at a time: what kills one job leaves the others and this process alone."""

from __future__ import annotations

import logging
import multiprocessing.connection
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from eosin.errors import EosinError
from eosin.execution.job import Execution, Failed, Job, Outcome, R, kept_outcome, outcome_of, reason_of, shown
from eosin.execution.worker import Limits, StaysHere, Worker

_LOG = logging.getLogger("eosin")

_LOOK_S = 0.2
"""Time between two looks at processes that have limits, seconds."""


@dataclass(frozen=True)
class Processes(Execution):
    """Runs each job in a fresh process, at most `n` at a time.

    The threads that torch may use in this process are divided among them, at least one for each. A job that cannot be
    sent (it holds a function of the running script, or what its class needs is known here only) is run in this process.

    Parameters
    ----------
    n
        Processes at a time.
    limits
        What one job may use; unlimited by default.

    Raises
    ------
    EosinError
        `n` is less than 1.
    """

    n: int = 1
    limits: Limits | None = None

    def __post_init__(self) -> None:
        if self.n < 1:
            raise EosinError(f"{self.n} processes are asked for", fix="give 1 or more")

    def map(
        self, jobs: Sequence[Job[R]], *, label: str = "", unit: str = "jobs"
    ) -> Generator[tuple[int, Outcome[R]], None, None]:
        """See `Execution.map`; with one process the outcomes come in the order of the jobs."""
        waiting, running = deque(enumerate(jobs)), dict[int, Worker[Any]]()
        try:
            with shown(label, len(jobs), unit) as tick:
                while waiting or running:
                    if waiting and len(running) < self.n:
                        index, job = waiting.popleft()
                        tick(0, note=job.name)
                        outcome = kept_outcome(job) or self._start(index, job, running)
                        ended = [] if outcome is None else [(index, outcome)]
                    else:
                        ended = list(self._ended(running))
                    for index, outcome in ended:
                        tick(1)
                        yield index, outcome
        finally:
            for worker in running.values():
                worker.terminate()  # all are told before one is waited for
            for worker in running.values():
                worker.end()

    def _start(self, index: int, job: Job[R], running: dict[int, Worker[Any]]) -> Outcome[R] | None:
        """Start a worker for the job; its outcome where there can be none."""
        n_threads = max(1, torch.get_num_threads() // self.n)
        try:
            running[index] = Worker(job, n_threads, self.limits)
        except (OSError, MemoryError) as error:
            return Failed(f"no process could be started for it ({reason_of(error)[0]})")
        except Exception as error:  # the several ways in which an object says that it cannot be sent
            _LOG.info("%s is run in this process: it cannot be sent to another (%s)", job.name, reason_of(error)[0])
            return outcome_of(job)
        return None

    def _ended(self, running: dict[int, Worker[Any]]) -> Iterator[tuple[int, Outcome[Any]]]:
        """Wait until a worker says something, and take out those that have ended."""
        heard = [source for worker in running.values() for source in worker.sources]
        multiprocessing.connection.wait(heard, None if self.limits is None else _LOOK_S)
        for index, worker in list(running.items()):
            outcome = worker.look()
            if outcome is None:
                continue
            worker.end()
            del running[index]
            if isinstance(outcome, StaysHere):
                _LOG.info("%s is run in this process: %s", worker.job.name, outcome.reason)
                outcome = outcome_of(worker.job)
            yield index, outcome
