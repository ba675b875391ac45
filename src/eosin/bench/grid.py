"""A grid of models x encoders x splits x seeds: trained, drawn, scored; resumable per cell."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eosin.data.splits import Split, refuse_copies
from eosin.engine import predict, resolve, train
from eosin.errors import EosinError
from eosin.files import fingerprint, read_json, write_json
from eosin.models import MODELS
from eosin.progress import task
from eosin.score import score
from eosin.types import Section

log = logging.getLogger("eosin")
SCHEMA = 1


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
    def file(self) -> str:
        return re.sub(r"[^A-Za-z0-9._-]+", "-", self.name) + f"-{fingerprint(self.name)[:6]}.json"


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

    Returns
    -------
    dict
        The content of `scores.json`. A cell that fails is recorded with its error, and the others go on.
    """
    out = Path(out)
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
            done.append(_run(cell, by_name, known.get(cell.model), genes, transform, draws, out))
            tick(1)
            write_json(out / "scores.json", {"schema": SCHEMA, "cells": done})
    return {"schema": SCHEMA, "cells": done}


def _run(
    cell: Cell,
    sections: Mapping[str, Section],
    settings: Mapping[str, Mapping[str, Any]] | None,
    genes: str,
    transform: str,
    draws: int,
    out: Path,
) -> dict[str, Any]:
    fit_on = [sections[name] for name in cell.split.train]
    judge_on = [sections[name] for name in cell.split.test]
    name, tables = resolve(cell.model, settings)
    record: dict[str, Any] = {
        "model": cell.model,
        "encoder": cell.encoder,
        "split": cell.split.name,
        "note": cell.split.note,
        "train": list(cell.split.train),
        "test": list(cell.split.test),
        "seed": cell.seed,
        "settings": {
            **tables, "resolved": MODELS[name].settings.of(tables["model"]).model_dump(mode="json"),
            "genes": genes, "transform": transform, "draws": draws,
        },
        "fingerprints": {s.name: s.fingerprint() for s in [*fit_on, *judge_on]},
    }
    path = out / "cells" / cell.file
    key = fingerprint(record)
    if path.is_file():
        old = read_json(path)
        if old.get("key") == key and old.get("status") == "done":
            return old
    started = time.monotonic()
    try:
        trained = train(
            fit_on, model=cell.model, settings=settings, panel=genes, transform=transform, seed=cell.seed
        )
        seconds = time.monotonic() - started
        predictions = [predict(trained, section, draws=draws, seed=cell.seed) for section in judge_on]
        record |= {
            "status": "done",
            "metrics": score(predictions, judge_on),
            "n_parameters": trained.model.n_parameters,
            "panel": list(trained.panel.names),
            "training": {k: v for k, v in trained.metrics.items() if k != "history"},
            "seconds_train": round(seconds, 3),
        }
    except EosinError as error:
        log.warning("%s failed: %s", cell.name, error)
        record |= {"status": "failed", "metrics": {}, "error": str(error)}
    record |= {"seconds": round(time.monotonic() - started, 3), "key": key}
    write_json(path, record)
    return record
