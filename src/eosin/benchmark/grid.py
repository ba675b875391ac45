"""A grid of models x encoders x splits x seeds: trained, drawn, scored; resumable per cell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from eosin.benchmark.bootstrap import compare
from eosin.benchmark.cell import GridSettings, Save, Tables
from eosin.benchmark.estimate import estimate
from eosin.benchmark.plan import REFERENCE, SCHEMA, Plan, prepare
from eosin.data.splits import Split
from eosin.execution import Done, Execution, Here
from eosin.storage.files import write_json
from eosin.types import Section


def bench(
    sections: Mapping[str, Sequence[Section]],
    *,
    models: Sequence[str],
    splits: Sequence[Split],
    out: str | Path,
    settings: GridSettings | None = None,
    tables: Mapping[str, Tables] | None = None,
    save: Save | None = None,
    execution: Execution | None = None,
    dry_run: bool = False,
    remarks: Sequence[str] = (),
) -> dict[str, Any]:
    """Run every cell that is not yet done; write `OUT/scores.json` after each.

    Parameters
    ----------
    sections
        Per encoder, the encoded and measured sections.
    models
        Names with optional presets, as `ridge`, `stflow:paper`.
    splits
        Training and test sections; panels, scales and tuning see the training sections only.
    out
        Folder of the results; a cell that lies there with the same settings and data is not run again.
    settings
        What every cell is asked; `GridSettings()` by default.
    tables
        Per model as named in `models`: tables `model` and `train`.
    save
        How to keep every prediction, in `OUT/predictions/CELL/SECTION.h5ad`; not kept by default.
    execution
        Where cells run; in this process by default. With `Processes`, a crash or a lack of memory costs its own cell
        only. Cells that run at the same time share the machine: times in their records are then not comparable.
    dry_run
        Train nothing and write nothing; `estimate` every cell instead, under `plan` of the answer.
    remarks
        Lines that stand under the tables.

    Returns
    -------
    dict
        The content of `scores.json`. A cell that fails is recorded with its error, and the others go on.

    Raises
    ------
    EosinError
        An unknown model or setting, or a leak, before anything is trained; a damaged file of a cell.
    """
    plan = prepare(sections, models, splits, settings or GridSettings(), tables, Path(out), save)
    return estimated(plan, remarks) if dry_run else run(plan, execution or Here(), remarks)


def estimated(plan: Plan, remarks: Sequence[str] = ()) -> dict[str, Any]:
    """What the cells of a grid would take, under `plan`; nothing is run or written."""
    return {"schema": SCHEMA, "cells": [], "plan": estimate(plan), "remarks": list(remarks)}


def run(plan: Plan, execution: Execution, remarks: Sequence[str] = ()) -> dict[str, Any]:
    """Run the cells of a grid that are not done; the content of `scores.json`."""
    records = _run(plan, execution)
    scores = plan.scores(records) | {"comparisons": compare(records, REFERENCE), "remarks": list(remarks)}
    write_json(plan.out / "scores.json", scores)
    return scores


def _run(plan: Plan, execution: Execution) -> list[dict[str, Any]]:
    """The record of every cell; each is written when it ends, and with it the scores of all that have ended."""
    ended: dict[int, dict[str, Any]] = {}
    jobs = [plan.job(cell) for cell in plan.cells]
    with closing(execution.map(jobs, label="bench", unit="cells")) as outcomes:
        for place, outcome in outcomes:
            cell = plan.cells[place]
            ended[place] = plan.record(cell, outcome)
            if not (isinstance(outcome, Done) and outcome.kept):
                write_json(plan.file(cell), ended[place])
            write_json(plan.out / "scores.json", plan.scores([ended[i] for i in sorted(ended)]))
    return [ended[i] for i in sorted(ended)]
