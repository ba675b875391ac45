"""The command `eosin cluster`: scripts that share a cohort out over a cluster."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from eosin.cli.flags import Flag
from eosin.errors import EosinError

SHARED_OUT = ("encode", "predict", "score", "report", "export", "bench", "study")
"""Verbs that take --shard."""

cluster = App(name="cluster", help="Share a cohort out over a cluster.")


@cluster.command
def slurm(
    command: str,
    *,
    jobs: int = 16,
    cores: int = 2,
    gib: int = 8,
    hours: float = 4.0,
    gpus: int = 0,
    partition: str | None = None,
    out: Annotated[Path | None, Parameter(name=["--out", "-o"])] = None,
    print: Flag = False,
) -> None:
    """Write the script of an array of Slurm jobs, each of which does its share of slides or cells; it submits nothing.

    eosin cluster slurm "predict RUN cohort.csv -o OUT" --jobs 16 -o predict.sh, then sbatch predict.sh

    Parameters
    ----------
    command
        What to do, in quotes, without `eosin`: a command of a cohort (encode, predict, score, report, export), or
        bench or study.
    jobs
        Jobs of the array.
    cores
        Cores of each job.
    gib
        Memory of each job, GiB.
    hours
        Longest time of a job.
    gpus
        GPUs of each job.
    partition
        Where the jobs run; by default where Slurm chooses.
    out
        The script to write; by default it is printed.
    print
        Print the script, also where it is written.
    """
    from eosin.cli import show
    from eosin.execution.slurm import SlurmArray
    from eosin.storage.files import atomic_file

    words = words_of(command)
    script = SlurmArray(jobs, cores, gib, hours, gpus, partition).script(words)
    if out is not None:
        with atomic_file(out) as partial:
            partial.write_text(script, encoding="utf-8")
    show.lines(script.splitlines() if print or out is None else [f"submit it: sbatch {out}"])


def words_of(command: str) -> list[str]:
    """The words of a command that can be shared out.

    Raises
    ------
    EosinError
        Not such a command, or one that is shared out already.
    """
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise EosinError(f"the command cannot be read ({error})", fix="close its quotes") from error
    words = words[1:] if words[:1] == ["eosin"] else words
    if not words or words[0] not in SHARED_OUT:
        fix = f"give one of {', '.join(SHARED_OUT)} with its flags, in quotes"
        raise EosinError(f"'{' '.join(words[:1])}' is no command that can be shared out", fix=fix)
    if any(word.split("=")[0] in {"--shard", "--on"} for word in words):
        raise EosinError("the command says --shard or --on, which the script does", fix="leave it out")
    if not any(word.split("=")[0] in {"-o", "--out"} for word in words):
        raise EosinError("the command names no folder to write", fix="give it: -o OUT")
    return words
