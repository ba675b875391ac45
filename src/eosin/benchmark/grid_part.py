"""Part of a grid, run while other parts run elsewhere into the same folder."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from typing import Any

from eosin.benchmark.bootstrap import compare
from eosin.benchmark.measure import CellJob
from eosin.benchmark.plan import REFERENCE, Plan
from eosin.execution import Done, Execution
from eosin.shard import Shard
from eosin.storage.files import fingerprint, read_json, write_json
from eosin.storage.lock import held


def run_part(plan: Plan, execution: Execution, shard: Shard, remarks: Sequence[str]) -> dict[str, Any]:
    """Run the cells of one part; `OUT/scores.json` holds after each what all parts have done.

    The part that ends last finds every cell there and writes the scores of the whole grid, with the comparisons.

    Returns
    -------
    dict
        The content of `scores.json`; `missing` names the cells that are not there yet.
    """
    jobs = [plan.job(cell) for cell in plan.cells]
    own = part_of(plan, shard)
    with closing(execution.map([jobs[place] for place in own], label="bench", unit="cells")) as outcomes:
        for number, outcome in outcomes:
            cell = plan.cells[own[number]]
            record = plan.record(cell, outcome)
            if not (isinstance(outcome, Done) and outcome.kept):
                write_json(plan.file(cell), record)
            gather(plan, jobs, remarks)
    return gather(plan, jobs, remarks)


def part_of(plan: Plan, shard: Shard) -> list[int]:
    """Places of the cells of one part.

    Cells are shuffled, always alike: in the order of the plan models take turns, and with as many parts as models one
    part would get all cells of the slowest.
    """
    return sorted(shard.part(sorted(range(len(plan.cells)), key=lambda place: fingerprint(plan.cells[place].stem))))


def gather(plan: Plan, jobs: Sequence[CellJob], remarks: Sequence[str]) -> dict[str, Any]:
    """Write `OUT/scores.json` of all cells whose records are there, whoever ran them.

    One process at a time: each has put its own records there before, so that the last one sees all.
    """
    place = plan.out / "scores.json"
    with held(place):
        records = [_record(job) for job in jobs]
        there = [record for record in records if record is not None]
        missing = [job.name for job, record in zip(jobs, records) if record is None]
        scores = plan.scores(there) | {"comparisons": [] if missing else compare(there, REFERENCE)}
        scores["remarks"] = list(remarks)
        if missing:
            scores["missing"] = missing
            scores["remarks"].append(
                f"{len(missing)} of {len(jobs)} cells are not there yet: other parts (--shard) have them"
            )
        write_json(place, scores)
    return scores


def _record(job: CellJob) -> dict[str, Any] | None:
    """The record of a cell that has ended, also of one that failed."""
    if (found := job.kept()) is not None or not job.file.is_file():
        return found
    record = read_json(job.file)
    return record if record.get("key") == job.key and record.get("status") == "failed" else None
