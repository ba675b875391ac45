"""Jobs in this process, one after another."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass

from eosin.execution.job import Execution, Job, Outcome, R, kept_outcome, outcome_of, shown


@dataclass(frozen=True)
class Here(Execution):
    """Runs each job in this process, in order: an error is an outcome, a crash ends everything."""

    def map(
        self, jobs: Sequence[Job[R]], *, label: str = "", unit: str = "jobs"
    ) -> Generator[tuple[int, Outcome[R]], None, None]:
        """See `Execution.map`; a job starts only when the outcome of the one before has been taken."""
        with shown(label, len(jobs), unit) as tick:
            for index, job in enumerate(jobs):
                tick(0, note=job.name)
                outcome = kept_outcome(job) or outcome_of(job)
                tick(1)
                yield index, outcome
