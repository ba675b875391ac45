"""Jobs on a Ray cluster: one that is there, by its address, or one that is started on this machine and ended again."""

from __future__ import annotations

import logging
import os
from collections import deque
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eosin.errors import EosinError
from eosin.execution.job import Execution, Failed, Job, Outcome, R, kept_outcome, out_of_memory, outcome_of, shown
from eosin.execution.worker import StaysHere, answer_of

_LOG = logging.getLogger("eosin")


@dataclass(frozen=True)
class Ray(Execution):
    """Runs each job as a task of Ray, as many at a time as the cluster has room for.

    Files are named by the paths that this process knows: on a cluster of several machines they lie on a disk that all
    share, and eosin is installed on each. Ray gives each task as many threads as `cpus`, and shows it only its GPUs.
    What dies is an outcome, not tried again here.

    Attributes
    ----------
    address
        Of a cluster that is there: `auto` (this machine's) or `ray://HOST:PORT`. None: one is started here.
    cpus, gpus
        What each job takes of the cluster.
    """

    address: str | None = None
    cpus: float = 1.0
    gpus: float = 0.0

    def map(
        self, jobs: Sequence[Job[R]], *, label: str = "", unit: str = "jobs"
    ) -> Generator[tuple[int, Outcome[R]], None, None]:
        """See `Execution.map`."""
        ray = _library()
        own = not ray.is_initialized()
        if own:
            _connect(ray, self.address)
        waiting, running = deque(enumerate(jobs)), dict[Any, tuple[int, Job[Any]]]()
        try:
            most = self._at_once(ray)
            run = ray.remote(num_cpus=self.cpus, num_gpus=self.gpus, max_retries=0)(_run)
            with shown(label, len(jobs), unit) as tick:
                while waiting or running:
                    if waiting and len(running) < most:
                        index, job = waiting.popleft()
                        tick(0, note=job.name)
                        outcome = kept_outcome(job)
                        if outcome is None:
                            outcome = self._start(run, index, job, running)
                        ended = [] if outcome is None else [(index, outcome)]
                    else:
                        ended = self._ended(ray, running)
                    for index, outcome in ended:
                        tick(1)
                        yield index, outcome
        finally:
            for task in running:
                ray.cancel(task, force=True)
            if own:
                ray.shutdown()

    def _at_once(self, ray: Any) -> int:
        """Jobs that the cluster has room for, and one more that waits there.

        Raises
        ------
        EosinError
            It has no room for one.
        """
        there = ray.cluster_resources()
        wanted = {"CPU": self.cpus, "GPU": self.gpus}
        most = min(int(there.get(kind, 0.0) // each) for kind, each in wanted.items() if each > 0)
        if most < 1:
            found = ", ".join(f"{there.get(kind, 0.0):g} {kind}s" for kind in wanted)
            raise EosinError(f"the cluster has {found}: too few for one job", fix="ask for less by ?cpus= and ?gpus=")
        return most + 1

    def _start(self, run: Any, index: int, job: Job[R], running: dict[Any, tuple[int, Job[Any]]]) -> Outcome[R] | None:
        """Hand the job over; its outcome where it cannot be sent."""
        try:
            running[run.remote(job, os.getcwd())] = (index, job)
        except Exception as error:  # the several ways in which an object says that it cannot be sent
            _LOG.info("%s is run in this process: it cannot be sent to another (%s)", job.name, error)
            return outcome_of(job)
        return None

    def _ended(self, ray: Any, running: dict[Any, tuple[int, Job[Any]]]) -> list[tuple[int, Outcome[Any]]]:
        """Wait for a job that ends, and take it out."""
        (task, *_), _ = ray.wait(list(running), num_returns=1)
        index, job = running.pop(task)
        try:
            answer = ray.get(task)
        except ray.exceptions.OutOfMemoryError:
            return [(index, Failed(out_of_memory("a machine of the cluster was full"), out_of_memory=True, died=True))]
        except ray.exceptions.RayError as error:
            first = " ".join(str(error).split())[:200]
            return [(index, Failed(f"its process on the cluster ended ({type(error).__name__}: {first})", died=True))]
        if isinstance(answer, StaysHere):
            _LOG.info("%s is run in this process: %s", job.name, answer.reason)
            answer = outcome_of(job)
        return [(index, answer)]


def _run(job: Job[Any], folder: str) -> Any:
    """On the cluster: one job, in the folder that its paths are relative to."""
    if Path(folder).is_dir():
        os.chdir(folder)
    return answer_of(job)


def _library() -> Any:
    try:
        import ray
    except ImportError as error:
        raise EosinError("Ray is not installed", fix='pip install "eosin[cluster]"') from error
    return ray


def _connect(ray: Any, address: str | None) -> None:
    """Start a cluster on this machine, or connect to one."""
    os.environ.setdefault("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")
    quiet = {"log_to_driver": False, "logging_level": logging.ERROR}
    try:
        if address is None:
            ray.init(include_dashboard=False, _node_ip_address="127.0.0.1", **quiet)
        else:
            ray.init(address=address, **quiet)
    except Exception as error:  # of many kinds, with pages of text
        first = " ".join(str(error).split())[:200]
        where = "could be started here" if address is None else f"answers at {address}"
        raise EosinError(f"no Ray cluster {where} ({first})", fix="see: ray status") from error
