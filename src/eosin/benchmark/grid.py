"""A grid of models x encoders x splits x seeds: trained, drawn, scored; resumable per cell."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eosin.data.splits import Split, refuse_copies
from eosin.engine import TrainSettings, predict, resolve, train, versions
from eosin.errors import EosinError
from eosin.files import fingerprint, read_json, write_json
from eosin.models import MODELS
from eosin.progress import task
from eosin.scoring import score
from eosin.types import Prediction, Section

log = logging.getLogger("eosin")
SCHEMA = 1

Save = Callable[[Prediction, Path], None]
"""Writes one prediction to a file."""


@dataclass(frozen=True)
class Cell:
    """One model, trained once and judged on the test sections of one split."""

    model: str
    encoder: str
    split: Split
    seed: int

    @property
    def name(self) -> str:
        return f"{self.model} {self.encoder} {self.split.name} seed {self.seed}"

    @property
    def stem(self) -> str:
        """Its name as a file name, unique also where two names differ in signs only."""
        return re.sub(r"[^A-Za-z0-9._-]+", "-", self.name) + f"-{fingerprint(self.name)[:6]}"


@dataclass(frozen=True)
class Plan:
    """What all cells of a grid share."""

    genes: str
    transform: str
    draws: int
    out: Path
    save: Save | None

    def predictions(self, cell: Cell) -> list[Path]:
        """Where the cell's predictions are kept, one file per test section."""
        return [self.out / "predictions" / cell.stem / f"{name}.h5ad" for name in cell.split.test]

    def record(self, cell: Cell) -> Path:
        return self.out / "cells" / f"{cell.stem}.json"


def bench(
    sections: Mapping[str, Sequence[Section]],
    *,
    models: Sequence[str],
    splits: Sequence[Split],
    genes: str = "var:50",
    transform: str = "log1p",
    seeds: int = 1,
    draws: int = 16,
    settings: Mapping[str, Mapping[str, Mapping[str, Any]]] | None = None,
    out: str | Path,
    save: Save | None = None,
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
    settings
        Per model as named in `models`: tables `model` and `train`.
    out
        Folder of the results; a cell that lies there with the same settings and data is not run again.
    save
        How to keep every prediction, in `OUT/predictions/CELL/SECTION.h5ad`; not kept by default.

    Returns
    -------
    dict
        The content of `scores.json`. A cell that fails is recorded with its error, and the others go on.
    """
    for name, n in (("seeds", seeds), ("draws", draws)):
        if n < 1:
            raise EosinError(f"{n} {name} are asked for", fix=f"give --{name} 1 or more")
    plan = Plan(genes, transform, draws, Path(out), save)
    known = dict(settings or {})
    for model in models:
        resolve(model, known.get(model))  # an unknown model or setting is refused before any work
    for unknown in set(known) - set(models):
        raise EosinError(f"there are settings for '{unknown}', which is not in the grid", fix="name it in --models")
    for encoded in sections.values():
        refuse_copies(splits, encoded)
    cells = [
        Cell(model, encoder, split, seed)
        for encoder in sections
        for split in splits
        for model in models
        for seed in range(seeds)
    ]
    done: list[dict[str, Any]] = []
    with task("bench", len(cells), "cells") as tick:
        for cell in cells:
            tick(0, note=cell.name)
            by_name = {section.name: section for section in sections[cell.encoder]}
            done.append(_run(cell, by_name, known.get(cell.model), plan))
            tick(1)
            write_json(plan.out / "scores.json", {"schema": SCHEMA, "cells": done})
    return {"schema": SCHEMA, "cells": done}


def _run(
    cell: Cell, sections: Mapping[str, Section], settings: Mapping[str, Mapping[str, Any]] | None, plan: Plan
) -> dict[str, Any]:
    """The cell's record: as it lies in its file, or made anew."""
    record = _describe(cell, sections, settings, plan)
    key = fingerprint(record)
    path = plan.record(cell)
    if path.is_file() and (plan.save is None or all(p.is_file() for p in plan.predictions(cell))):
        old = read_json(path)
        if old.get("key") == key and old.get("status") == "done":
            return old
    started = time.monotonic()
    try:
        record |= {"status": "done", **_measure(cell, sections, settings, plan)}
    except EosinError as error:
        log.warning("%s failed: %s", cell.name, error)
        record |= {"status": "failed", "metrics": {}, "error": str(error)}
    record |= {"seconds": round(time.monotonic() - started, 3), "key": key}
    write_json(path, record)
    return record


def _describe(
    cell: Cell, sections: Mapping[str, Section], settings: Mapping[str, Mapping[str, Any]] | None, plan: Plan
) -> dict[str, Any]:
    """All that determines a cell's numbers."""
    name, tables = resolve(cell.model, settings)
    resolved = {
        "model": MODELS[name].settings.of(tables["model"]).model_dump(mode="json"),
        "train": TrainSettings.of(tables["train"]).model_dump(mode="json"),
        "genes": plan.genes,
        "transform": plan.transform,
        "draws": plan.draws,
    }
    used = [sections[one] for one in (*cell.split.train, *cell.split.test)]
    return {
        "model": cell.model,
        "encoder": cell.encoder,
        "split": cell.split.name,
        "note": cell.split.note,
        "train": list(cell.split.train),
        "test": list(cell.split.test),
        "seed": cell.seed,
        "settings": resolved,
        "fingerprints": {section.name: section.fingerprint() for section in used},
        "versions": versions(),
    }


def _measure(
    cell: Cell, sections: Mapping[str, Section], settings: Mapping[str, Mapping[str, Any]] | None, plan: Plan
) -> dict[str, Any]:
    """Train on the one side, predict and score the other."""
    started = time.monotonic()
    trained = train(
        [sections[name] for name in cell.split.train],
        model=cell.model,
        settings=settings,
        panel=plan.genes,
        transform=plan.transform,
        seed=cell.seed,
    )
    seconds_train = time.monotonic() - started
    judged = [sections[name] for name in cell.split.test]
    predictions = [predict(trained, section, draws=plan.draws, seed=cell.seed) for section in judged]
    if plan.save is not None:
        for prediction, path in zip(predictions, plan.predictions(cell)):
            plan.save(prediction, path)
    return {
        "metrics": score(predictions, judged),
        "n_parameters": trained.model.n_parameters,
        "panel": list(trained.panel.names),
        "training": {key: value for key, value in trained.metrics.items() if key != "history"},
        "seconds_train": round(seconds_train, 3),
    }
