"""Where jobs run: here (`Here`), in processes of their own (`Processes`) or on a cluster (`Ray`), by one `map(jobs)`.

A `Job` has a name, says whether its result is there already (`kept`), and makes it (`run`). `map` gives one outcome for
each job, `Done(result)` or `Failed(reason)`; what one job meets never touches the others. Nothing here knows what a job
computes: encoding a section, a cell of a benchmark and a measurement of time and memory are three kinds of job.

Another place (a queue of a cluster) is another subclass of `Execution` with the same `map`. It needs `outcome_of`
for the far side, which turns every error into an outcome, and `kept_outcome` for this one; no caller changes.
"""

from eosin.execution.here import Here
from eosin.execution.job import Done, Execution, Failed, Job, NotKnownHere, Outcome, kept_outcome, outcome_of
from eosin.execution.processes import Processes
from eosin.execution.worker import Limits, begin_phase

__all__ = [
    "Done",
    "Execution",
    "Failed",
    "Here",
    "Job",
    "Limits",
    "NotKnownHere",
    "Outcome",
    "Processes",
    "begin_phase",
    "kept_outcome",
    "outcome_of",
]
