"""`eosin cluster slurm`: printed, written, refused."""

from __future__ import annotations

from pathlib import Path

from cli.conftest import Run


def test_a_script_is_printed_or_written(eosin: Run) -> None:
    printed = eosin("cluster", "slurm", "predict run cohort -o out", "--jobs", "3", "--print")
    assert (
        printed.code == 0 and 'exec eosin predict run cohort -o out --shard "${SLURM_ARRAY_TASK_ID}/3"' in printed.out
    )
    written = eosin("cluster", "slurm", "predict run cohort -o out", "--jobs", "3", "-o", "job.sh")
    assert written.out.strip() == "submit it: sbatch job.sh"
    assert Path("job.sh").read_text().splitlines() == printed.out.splitlines()
    assert not Path("out").exists()


def test_what_cannot_be_shared_out_is_one_line(eosin: Run) -> None:
    assert "no command that can be shared out" in eosin("cluster", "slurm", "train data -o run").complaint
    assert "give 1 or more" in eosin("cluster", "slurm", "predict run cohort -o out", "--jobs", "0").complaint


def test_settings_in_the_command_stay_in_it(eosin: Run) -> None:
    said = eosin("cluster", "slurm", "predict run cohort -o out --model.n-steps 3 -q")
    assert "--model.n-steps 3 -q --shard" in said.out


def test_grids_and_studies_can_be_shared_out(eosin: Run) -> None:
    said = eosin("cluster", "slurm", "bench data --features features --models ridge,stflow -o grid", "--jobs", "5")
    assert 'exec eosin bench data --features features --models ridge,stflow -o grid --shard "${SL' in said.out
    assert said.code == 0 and '/5"' in said.out
    assert eosin("cluster", "slurm", "study priors data -o study").code == 0
