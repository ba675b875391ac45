"""A grid before it is run: its cells, what each is asked, and where each is kept."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from eosin.benchmark.cell import Cell, GridSettings, Keeping, Save, Tables
from eosin.benchmark.leak import Known, Leak, find_leaks, given_panel, refuse, shared_patient
from eosin.benchmark.measure import CellJob, failure
from eosin.data.splits import SAME_PATIENT, Split
from eosin.engine import TrainSettings, resolve, versions
from eosin.errors import EosinError
from eosin.execution import Done, Outcome
from eosin.models import MODELS
from eosin.storage.files import fingerprint
from eosin.types import GenePanel, Section

log = logging.getLogger("eosin")

SCHEMA = 1
REFERENCE = "ridge"
"""The tuned ridge: what every model is compared with."""


@dataclass(frozen=True)
class Plan:
    """What all cells of a grid share.

    Attributes
    ----------
    cells
        In the order of the results.
    sections
        Per encoder, by name.
    tables
        Per model as named in the grid: tables `model` and `train`.
    settings
        What every cell is asked.
    out
        Folder of the results.
    save
        How predictions are kept; they are not if it is None.
    leaks
        By the name of the split.
    """

    cells: tuple[Cell, ...]
    sections: Mapping[str, Mapping[str, Section]]
    tables: Mapping[str, Tables]
    settings: GridSettings
    out: Path
    save: Save | None
    leaks: Mapping[str, Sequence[Leak]]

    def file(self, cell: Cell) -> Path:
        """Where the cell's record is kept."""
        return self.out / "cells" / f"{cell.stem}.json"

    def job(self, cell: Cell) -> CellJob:
        """The cell with its sections and no others."""
        split = cell.split
        names = {*split.train, *split.validation, *split.test}
        return CellJob(
            cell,
            {name: section for name, section in self.sections[cell.encoder].items() if name in names},
            self.tables.get(cell.model),
            self.settings,
            Keeping(
                self.save,
                tuple(self.out / "predictions" / cell.stem / f"{name}.h5ad" for name in split.test),
                {"split": split.name, "note": split.note, **self.stamps(split)},
            ),
            self.file(cell),
            fingerprint(self.describe(cell)),
        )

    def record(self, cell: Cell, outcome: Outcome[dict[str, Any]]) -> dict[str, Any]:
        """The record of a cell that has ended: as it lies in its file, or made of its outcome."""
        if isinstance(outcome, Done) and outcome.kept:
            return outcome.result
        asked = self.describe(cell)
        answer = {"status": "done", **outcome.result} if isinstance(outcome, Done) else failure(outcome)
        if answer["status"] == "failed":
            log.warning("%s failed: %s", cell.name, answer["error"])
        return asked | answer | {"seconds": round(outcome.seconds, 3), "key": fingerprint(asked)}

    def scores(self, records: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """What `scores.json` says of some cells."""
        scores: dict[str, Any] = {"schema": SCHEMA, "cells": list(records)}
        if self.settings.protocol is not None:
            scores["protocol"] = self.settings.protocol.stamp()
        return scores

    def stamps(self, split: Split) -> dict[str, Any]:
        """What a result of this split carries, where there is such: validation sections, the protocol, leaks."""
        stamps: dict[str, Any] = {}
        if split.validation:
            stamps["validation"] = list(split.validation)
        if self.settings.protocol is not None:
            stamps["protocol"] = self.settings.protocol.stamp()
        if leaks := self.leaks.get(split.name):
            stamps["leak"] = [str(leak) for leak in leaks]
        return stamps

    def describe(self, cell: Cell) -> dict[str, Any]:
        """All that determines a cell's numbers."""
        split = cell.split
        return {
            "model": cell.model,
            "encoder": cell.encoder,
            "split": split.name,
            "note": split.note,
            "train": list(split.train),
            "test": list(split.test),
            "seed": cell.seed,
            "settings": self._resolved(cell),
            "fingerprints": {
                name: self._fingerprints[cell.encoder][name] for name in (*split.train, *split.validation, *split.test)
            },
            "versions": versions(),
            **self.stamps(split),
            **self.settings.lists.asked(),
        }

    def _resolved(self, cell: Cell) -> dict[str, Any]:
        """Every setting of the model and of its training, defaults among them, with panel, scale and draws."""
        name, tables = resolve(cell.model, self.tables.get(cell.model))
        genes = self.settings.genes
        given = genes if isinstance(genes, GenePanel) else None
        resolved: dict[str, Any] = {
            "model": MODELS[name].settings.of(tables["model"]).model_dump(mode="json"),
            "train": TrainSettings.of(tables["train"]).model_dump(mode="json"),
            "genes": genes if given is None else given.rule,
            "transform": self.settings.transform if given is None else given.transform,
            "draws": self.settings.draws,
        }
        if given is not None:
            resolved["panel_given"] = fingerprint(list(given.names))
        return resolved

    @cached_property
    def _fingerprints(self) -> dict[str, dict[str, str]]:
        """Per encoder and section; hashed once for all cells."""
        used = {name for c in self.cells for name in (*c.split.train, *c.split.validation, *c.split.test)}
        return {
            encoder: {name: section.fingerprint() for name, section in by_name.items() if name in used}
            for encoder, by_name in self.sections.items()
        }


def prepare(
    sections: Mapping[str, Sequence[Section]],
    models: Sequence[str],
    splits: Sequence[Split],
    settings: GridSettings,
    tables: Mapping[str, Tables] | None,
    out: Path,
    save: Save | None,
) -> Plan:
    """The plan of a grid; arguments are those of `bench`. What can be refused without training is refused here.

    Raises
    ------
    EosinError
        An unknown model or setting, settings for a model that is not in the grid, no seeds or draws, or a leak.
    """
    for name, n in (("seeds", settings.seeds), ("draws", settings.draws)):
        if n < 1:
            raise EosinError(f"{n} {name} are asked for", fix=f"give --{name} 1 or more")
    tables = dict(tables or {})
    for model in models:
        resolve(model, tables.get(model))  # an unknown model or setting is refused before any work
    for unknown in set(tables) - set(models):
        raise EosinError(f"there are settings for '{unknown}', which is not in the grid", fix="name it in --models")
    by_name = {encoder: {section.name: section for section in encoded} for encoder, encoded in sections.items()}
    known = Known(list(sections.values()))
    panel = given_panel(settings.genes, list(known.patient))
    leaks = {split.name: _checked(split, known, panel, settings) for split in splits}
    noted = [replace(s, note=s.note or (SAME_PATIENT if shared_patient(s, known.patient) else "")) for s in splits]
    cells = tuple(
        Cell(model, encoder, split, seed)
        for encoder in sections
        for split in noted
        for model in dict.fromkeys(models)
        for seed in range(settings.seeds)
    )
    return Plan(cells, by_name, tables, settings, out, save, leaks)


def _checked(split: Split, known: Known, panel: GenePanel | None, settings: GridSettings) -> list[Leak]:
    """The leaks of a split, refused unless they are allowed."""
    leaks = find_leaks(
        split,
        known,
        panel=panel,
        selection=settings.selection.on,
        unseen_patients=settings.protocol is not None and settings.protocol.claims.unseen_patients,
    )
    refuse(split, leaks, allow_leak=settings.allow_leak)
    return leaks
