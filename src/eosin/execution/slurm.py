"""The script of an array of Slurm jobs that share out a cohort, a grid or a study by `--shard`."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from eosin.errors import EosinError


@dataclass(frozen=True)
class SlurmArray:
    """What is asked of Slurm.

    Attributes
    ----------
    jobs
        Jobs of the array, each a share of the slides or cells.
    cores, gib, hours, gpus
        Of each job: cores, memory in GiB, most hours, GPUs.
    partition
        Where they run; None: where Slurm chooses.
    """

    jobs: int = 16
    cores: int = 2
    gib: int = 8
    hours: float = 4.0
    gpus: int = 0
    partition: str | None = None

    def __post_init__(self) -> None:
        for name, least in (("jobs", 1), ("cores", 1), ("gib", 2), ("gpus", 0)):
            if getattr(self, name) < least:
                raise EosinError(f"--{name} is {getattr(self, name)}", fix=f"give {least} or more")
        if not 1 / 60 <= self.hours < 10_000:
            raise EosinError(f"--hours is {self.hours:g}", fix="give the longest time of a job, as 4")

    def script(self, command: Sequence[str]) -> str:
        """A script for `sbatch`: each job does its share of `eosin COMMAND`.

        Parameters
        ----------
        command
            A verb that takes `--shard`, with all else that it takes.
        """
        minutes = max(1, round(self.hours * 60))
        asked = {
            "job-name": f"eosin-{command[0]}",
            "array": f"1-{self.jobs}",
            "cpus-per-task": self.cores,
            "mem": f"{self.gib}G",
            "time": f"{minutes // 60}:{minutes % 60:02d}:00",
            "output": f"eosin-{command[0]}-%A_%a.log",
        }
        if self.gpus:
            asked["gpus-per-task"] = self.gpus
        if self.partition is not None:
            asked["partition"] = self.partition
        return "\n".join(
            [
                "#!/bin/bash",
                *(f"#SBATCH --{name}={value}" for name, value in asked.items()),
                "#SBATCH --requeue",
                "# sbatch FILE. A job that is stopped goes on where it was when it is submitted again; what is done is",
                "# skipped. Of a cohort, exit code 3 says that slides failed: see the summary for the reasons.",
                "set -euo pipefail",
                f'export OMP_NUM_THREADS="${{SLURM_CPUS_PER_TASK:-{self.cores}}}"',
                f'exec eosin {shlex.join(command)} --shard "${{SLURM_ARRAY_TASK_ID}}/{self.jobs}"',
                "",
            ]
        )
