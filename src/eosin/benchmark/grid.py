"""A grid of models x encoders x splits x seeds: trained, drawn, scored; resumable per cell."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from eosin.benchmark.bootstrap import compare
from eosin.benchmark.leak import Known, Leak, find_leaks, given_panel, refuse, shared_patient
from eosin.benchmark.measure import Cell, Job, Save, Tables, outcome
from eosin.benchmark.process import outcome_apart
from eosin.benchmark.protocol import Protocol, SelectionTable
from eosin.data.splits import SAME_PATIENT, Split
from eosin.engine import TrainSettings, resolve, versions
from eosin.errors import EosinError
from eosin.metrics.gene_lists import USUAL, GeneLists
from eosin.models import MODELS
from eosin.progress import task
from eosin.storage.files import fingerprint, read_json, write_json
from eosin.types import GenePanel, Section

log = logging.getLogger("eosin")
SCHEMA = 1
REFERENCE = "ridge"
"""The tuned ridge: what every model is compared with."""


@dataclass(frozen=True)
class Plan:
    """What all cells of a grid share."""

    cells: tuple[Cell, ...]
    sections: Mapping[str, Mapping[str, Section]]
    """Per encoder, by name."""
    settings: Mapping[str, Tables]
    genes: str | GenePanel
    transform: str
    draws: int
    out: Path
    save: Save | None
    protocol: Protocol | None
    leaks: Mapping[str, Sequence[Leak]]
    """By the name of the split."""
    lists: GeneLists = USUAL

    def predictions(self, cell: Cell) -> tuple[Path, ...]:
        """Where the cell's predictions are kept, one file per test section."""
        return tuple(self.out / "predictions" / cell.stem / f"{name}.h5ad" for name in cell.split.test)

    def file(self, cell: Cell) -> Path:
        return self.out / "cells" / f"{cell.stem}.json"

    def job(self, cell: Cell) -> Job:
        """The cell with its sections and no others."""
        names = {*cell.split.train, *cell.split.validation, *cell.split.test}
        return Job(
            cell,
            {name: section for name, section in self.sections[cell.encoder].items() if name in names},
            self.settings.get(cell.model),
            self.genes,
            self.transform,
            self.draws,
            SelectionTable.of({}) if self.protocol is None else self.protocol.selection,
            self.save,
            self.predictions(cell),
            self.lists,
            {"split": cell.split.name, "note": cell.split.note, **self.stamps(cell.split)},
        )

    def stamps(self, split: Split) -> dict[str, Any]:
        """What a result of this split carries, where there is such: validation sections, the protocol, leaks."""
        stamps: dict[str, Any] = {}
        if split.validation:
            stamps["validation"] = list(split.validation)
        if self.protocol is not None:
            stamps["protocol"] = self.protocol.stamp()
        if leaks := self.leaks.get(split.name):
            stamps["leak"] = [str(leak) for leak in leaks]
        return stamps

    def finished(self, cell: Cell, record: Mapping[str, Any]) -> dict[str, Any] | None:
        """What lies in the cell's file, if it answers the same question and is done."""
        path = self.file(cell)
        if not path.is_file() or (self.save is not None and not all(p.is_file() for p in self.predictions(cell))):
            return None
        old = read_json(path)
        return old if old.get("key") == fingerprint(record) and old.get("status") == "done" else None


def bench(
    sections: Mapping[str, Sequence[Section]],
    *,
    models: Sequence[str],
    splits: Sequence[Split],
    genes: str | GenePanel = "var:50",
    transform: str = "log1p",
    seeds: int = 1,
    draws: int = 16,
    settings: Mapping[str, Tables] | None = None,
    out: str | Path,
    save: Save | None = None,
    protocol: Protocol | None = None,
    allow_leak: bool = False,
    isolate: bool = False,
    dry_run: bool = False,
    remarks: Sequence[str] = (),
    lists: GeneLists = USUAL,
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
    genes
        A rule, applied to each split's training sections, or a panel.
    settings
        Per model as named in `models`: tables `model` and `train`.
    out
        Folder of the results; a cell that lies there with the same settings and data is not run again.
    save
        How to keep every prediction, in `OUT/predictions/CELL/SECTION.h5ad`; not kept by default.
    protocol
        What stands behind `splits` and `genes`; stamped into every cell, and its selection rule and claims hold.
    allow_leak
        Go on where test data is known before the test, and stamp every result with it.
    isolate
        Each cell in a process of its own, one after another: a crash or a lack of memory costs that cell only.
    dry_run
        Train nothing and write nothing; `estimate` every cell instead, under `plan` of the answer.
    remarks
        Lines that stand under the tables.
    lists
        Biomarkers and pathways to score by name.

    Returns
    -------
    dict
        The content of `scores.json`. A cell that fails is recorded with its error, and the others go on.

    Raises
    ------
    EosinError
        An unknown model or setting, or a leak, before anything is trained.
    """
    plan = prepare(
        sections, models, splits, genes, transform, seeds, draws, settings, Path(out), save, protocol, allow_leak, lists
    )
    if dry_run:
        from eosin.benchmark.estimate import estimate  # which builds on this file

        return {"schema": SCHEMA, "cells": [], "plan": estimate(plan), "remarks": list(remarks)}
    run = outcome_apart if isolate else outcome
    done: list[dict[str, Any]] = []
    with task("bench", len(plan.cells), "cells") as tick:
        for cell in plan.cells:
            tick(0, note=cell.name)
            done.append(_run(cell, plan, run))
            tick(1)
            write_json(plan.out / "scores.json", _scores(done, plan))
    scores = _scores(done, plan) | {"comparisons": compare(done, REFERENCE), "remarks": list(remarks)}
    write_json(plan.out / "scores.json", scores)
    return scores


def _scores(done: Sequence[dict[str, Any]], plan: Plan) -> dict[str, Any]:
    known: dict[str, Any] = {"schema": SCHEMA, "cells": list(done)}
    if plan.protocol is not None:
        known["protocol"] = plan.protocol.stamp()
    return known


def prepare(
    sections: Mapping[str, Sequence[Section]],
    models: Sequence[str],
    splits: Sequence[Split],
    genes: str | GenePanel,
    transform: str,
    seeds: int,
    draws: int,
    settings: Mapping[str, Tables] | None,
    out: Path,
    save: Save | None,
    protocol: Protocol | None,
    allow_leak: bool,  # noqa: FBT001 - internal
    lists: GeneLists,
) -> Plan:
    """Everything that can be refused without training is refused here."""
    for name, n in (("seeds", seeds), ("draws", draws)):
        if n < 1:
            raise EosinError(f"{n} {name} are asked for", fix=f"give --{name} 1 or more")
    known = dict(settings or {})
    for model in models:
        resolve(model, known.get(model))  # an unknown model or setting is refused before any work
    for unknown in set(known) - set(models):
        raise EosinError(f"there are settings for '{unknown}', which is not in the grid", fix="name it in --models")
    by_name = {encoder: {one.name: one for one in encoded} for encoder, encoded in sections.items()}
    hashes = Known(list(sections.values()))
    panel = given_panel(genes, list(hashes.patient))
    leaks = {}
    for split in splits:
        leaks[split.name] = find_leaks(
            split,
            hashes,
            panel=panel,
            selection="inner" if protocol is None else protocol.selection.on,
            unseen_patients=protocol is not None and protocol.claims.unseen_patients,
        )
        refuse(split, leaks[split.name], allow_leak=allow_leak)
    noted = [replace(s, note=s.note or (SAME_PATIENT if shared_patient(s, hashes.patient) else "")) for s in splits]
    cells = tuple(
        Cell(model, encoder, split, seed)
        for encoder in sections
        for split in noted
        for model in dict.fromkeys(models)
        for seed in range(seeds)
    )
    return Plan(cells, by_name, known, genes, transform, draws, out, save, protocol, leaks, lists)


def _run(cell: Cell, plan: Plan, run: Any) -> dict[str, Any]:
    """The cell's record: as it lies in its file, or made anew."""
    record = describe(cell, plan)
    old = plan.finished(cell, record)
    if old is not None:
        return old
    key, started = fingerprint(record), time.monotonic()
    record |= run(plan.job(cell))
    if record["status"] == "failed":
        log.warning("%s failed: %s", cell.name, record["error"])
    record |= {"seconds": round(time.monotonic() - started, 3), "key": key}
    write_json(plan.file(cell), record)
    return record


def describe(cell: Cell, plan: Plan) -> dict[str, Any]:
    """All that determines a cell's numbers."""
    name, tables = resolve(cell.model, plan.settings.get(cell.model))
    given = plan.genes if isinstance(plan.genes, GenePanel) else None
    resolved: dict[str, Any] = {
        "model": MODELS[name].settings.of(tables["model"]).model_dump(mode="json"),
        "train": TrainSettings.of(tables["train"]).model_dump(mode="json"),
        "genes": plan.genes if given is None else given.rule,
        "transform": plan.transform if given is None else given.transform,
        "draws": plan.draws,
    }
    if given is not None:
        resolved["panel_given"] = fingerprint(list(given.names))
    split = cell.split
    used = [plan.sections[cell.encoder][one] for one in (*split.train, *split.validation, *split.test)]
    return {
        "model": cell.model,
        "encoder": cell.encoder,
        "split": split.name,
        "note": split.note,
        "train": list(split.train),
        "test": list(split.test),
        "seed": cell.seed,
        "settings": resolved,
        "fingerprints": {section.name: section.fingerprint() for section in used},
        "versions": versions(),
        **plan.stamps(split),
        **plan.lists.asked(),
    }
