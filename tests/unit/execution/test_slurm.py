"""The script of an array of jobs: bash takes it, every share is run once, and quotes hold."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from eosin.cli.cluster import SHARED_OUT, words_of
from eosin.data.slide_entries import SlideEntry, of_shard
from eosin.errors import EosinError
from eosin.execution.slurm import SlurmArray

COMMAND = ["predict", "my run", "cohort.csv", "-o", "o'ut $HOME"]


def said_by_jobs(script: Path, folder: Path, n: int) -> list[list[str]]:
    """Words that each job gives to an `eosin` that only tells them."""
    eosin = folder / "eosin"
    eosin.write_text('#!/bin/bash\nprintf "%s\\n" "$@" "threads $OMP_NUM_THREADS"\n')
    eosin.chmod(0o755)
    said = []
    for job in range(1, n + 1):
        given = {"PATH": f"{folder}:{os.environ['PATH']}", "SLURM_ARRAY_TASK_ID": str(job), "SLURM_CPUS_PER_TASK": "3"}
        ended = subprocess.run(["bash", script], capture_output=True, text=True, check=True, env=os.environ | given)
        said.append(ended.stdout.splitlines())
    return said


def test_jobs_do_all_shares(tmp_path: Path) -> None:
    script = tmp_path / "job.sh"
    script.write_text(SlurmArray(jobs=5, cores=3).script(COMMAND))
    said = said_by_jobs(script, tmp_path, 5)
    assert all(words[:5] == COMMAND and words[5] == "--shard" and words[7] == "threads 3" for words in said)
    entries = [SlideEntry(str(i), Path(str(i))) for i in range(12)]
    done = [entry.id for words in said for entry in of_shard(entries, words[6])]
    assert sorted(done) == sorted(entry.id for entry in entries)


def test_what_is_asked_of_slurm() -> None:
    script = SlurmArray(7, 4, 24, 1.5, 1, "gpu").script(COMMAND)
    asked = dict(re.findall(r"^#SBATCH --([\w-]+)=(.*)$", script, re.MULTILINE))
    assert asked["array"] == "1-7" and asked["cpus-per-task"] == "4" and asked["mem"] == "24G"
    assert asked["time"] == "1:30:00" and asked["gpus-per-task"] == "1" and asked["partition"] == "gpu"
    assert "partition" not in SlurmArray().script(COMMAND) and "gpus" not in SlurmArray().script(COMMAND)
    assert script.splitlines()[0] == "#!/bin/bash" and "#SBATCH --requeue" in script


@pytest.mark.parametrize("wrong", [{"jobs": 0}, {"cores": 0}, {"gib": 1}, {"hours": 0}, {"gpus": -1}])
def test_impossible_wishes(wrong: dict[str, int]) -> None:
    with pytest.raises(EosinError, match=f"--{next(iter(wrong))} is"):
        SlurmArray(**wrong)


def test_words_of_a_command() -> None:
    assert words_of("eosin predict 'my run' c.csv -o out") == ["predict", "my run", "c.csv", "-o", "out"]
    for command, says in {
        "train DATA -o run": "no command that can be shared out",
        "": "no command that can be shared out",
        "predict 'run": "cannot be read",
        "predict r c -o o --shard 1/2": "--shard or --on",
        "predict r c -o o --on=here": "--shard or --on",
        "predict r c": "no folder to write",
    }.items():
        with pytest.raises(EosinError, match=says):
            words_of(command)


def test_every_verb_that_takes_a_shard_can_be_shared_out() -> None:
    from eosin.cli import app

    def takes(verb: str) -> bool:
        return "--shard" in {name for argument in app[verb].assemble_argument_collection() for name in argument.names}

    assert {verb for verb in app if not verb.startswith("-") and verb != "cluster" and takes(verb)} == set(SHARED_OUT)
