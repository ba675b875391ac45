"""One cell of a grid: train on the one side, predict and score the other, and note what it cost."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from eosin.benchmark.memory import Peak
from eosin.benchmark.protocol import SelectionTable
from eosin.data.splits import Split
from eosin.engine import Trained, Validation, predict, train
from eosin.errors import EosinError
from eosin.genes import target
from eosin.metrics import pcc_counted
from eosin.metrics.gene_lists import USUAL, GeneLists
from eosin.models import Solved
from eosin.scores.scoring import score
from eosin.storage.files import fingerprint
from eosin.types import GenePanel, Prediction, Section

log = logging.getLogger("eosin")

Save = Callable[[Prediction, Path], None]
"""Writes one prediction to a file."""
Tables = Mapping[str, Mapping[str, Any]]
WARM_UP = 16
"""Spots that are predicted before time and memory are measured."""


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
class Job:
    """A cell with all that it needs: what is handed to a process.

    Attributes
    ----------
    sections
        By name; those of the cell's split.
    panel, transform
        As `train` takes them.
    selection
        What chooses the epoch.
    save, files
        How and where each test section's prediction is kept; not at all if `save` is None.
    lists
        Biomarkers and pathways to score by name.
    stamps
        Split, leaks and protocol: what a kept prediction says of where it comes from.
    """

    cell: Cell
    sections: Mapping[str, Section]
    settings: Tables | None
    panel: str | GenePanel
    transform: str
    draws: int
    selection: SelectionTable
    save: Save | None = None
    files: tuple[Path, ...] = ()
    lists: GeneLists = USUAL
    stamps: Mapping[str, Any] = field(default_factory=dict)


def outcome(job: Job) -> dict[str, Any]:
    """What is recorded of a cell: its numbers, or why there are none. Only Ctrl-C and the like go through."""
    try:
        return {"status": "done", **measure(job)}
    except EosinError as error:
        return failure(str(error))
    except (MemoryError, torch.cuda.OutOfMemoryError) as error:
        return failure(out_of_memory(str(error)))
    except Exception as error:  # a fault of one model must not cost the others' results
        log.debug("%s", job.cell.name, exc_info=True)
        short = " ".join(str(error).split())[:300]
        if "memory" in short.lower() and ("alloc" in short.lower() or "enough" in short.lower()):
            return failure(out_of_memory(short))
        return failure(f"{type(error).__name__}: {short}" if short else type(error).__name__)


def failure(reason: str) -> dict[str, Any]:
    return {"status": "failed", "metrics": {}, "error": reason}


def out_of_memory(said: str = "") -> str:
    detail = f" ({' '.join(said.split())[:120]})" if said else ""
    return f"out of memory{detail}; lower --draws, train.regions_per_step or the model's width, or leave the cell out"


def measure(job: Job) -> dict[str, Any]:
    """Train, predict, score: the numbers of a cell.

    `inference` is per 1,000 spots at the asked number of draws: seconds, and MiB that memory rose by above what it held
    before (of the accelerator where there is one); None where the system does not say.
    """
    started = time.monotonic()
    trained, chosen = _trained(job)
    seconds_train = time.monotonic() - started
    judged = [job.sections[name] for name in job.cell.split.test]
    few = judged[0].take(np.arange(min(len(judged[0]), WARM_UP)))
    predict(trained, few, draws=1, seed=job.cell.seed)  # what only the first call costs is not the model's
    peak, begun = Peak(), time.monotonic()
    predictions = [predict(trained, section, draws=job.draws, seed=job.cell.seed) for section in judged]
    seconds, mib = time.monotonic() - begun, peak.mib()
    if job.save is not None:
        for prediction, path in zip(predictions, job.files):
            job.save(replace(prediction, provenance={**prediction.provenance, "benchmark": dict(job.stamps)}), path)
    per_thousand = 1000 / sum(len(section) for section in judged)
    return {
        "metrics": score(predictions, judged, biomarkers=job.lists.biomarkers, pathways=job.lists.pathways),
        "pcc_genes": {p.section: _per_gene(p, section) for p, section in zip(predictions, judged)},
        "n_parameters": trained.model.n_parameters,
        "panel": list(trained.panel.names),
        "training": {key: value for key, value in trained.metrics.items() if key != "history"} | chosen,
        "seconds_train": round(seconds_train, 3),
        "inference": {
            "seconds_per_1000": round(seconds * per_thousand, 4),
            "mib_per_1000": None if mib is None else round(mib * per_thousand, 2),
            "device": "gpu" if torch.cuda.is_available() else "cpu",
            "threads": torch.get_num_threads(),
        },
    }


def _per_gene(prediction: Prediction, section: Section) -> list[float | None]:
    """Each gene's correlation over the section's spots, in the order of the panel; None where the truth is constant."""
    found = pcc_counted(target(section, prediction.panel), prediction.mean)
    return [float(value) if np.isfinite(value) else None for value in found]


def _trained(job: Job) -> tuple[Trained, dict[str, Any]]:
    """The model, and which epoch was chosen on what where the protocol chooses it outside training."""
    split = job.cell.split
    judges = {"inner": (), "validation": split.validation, "test": split.test}[job.selection.on]
    outside = [job.sections[name] for name in judges]
    trained = train(
        [job.sections[name] for name in split.train],
        model=job.cell.model,
        settings=job.settings,
        panel=job.panel,
        transform=job.transform,
        seed=job.cell.seed,
        validate=Validation(outside, job.selection.candidates, job.draws, job.cell.seed) if outside else None,
    )
    if not outside or isinstance(trained.model, Solved):
        return trained, {}  # without epochs there is nothing to choose
    judged = {str(one["epoch"]): one.get("pcc_held_out") for one in trained.metrics["history"]}
    scores = {epoch: round(pcc, 6) for epoch, pcc in judged.items() if pcc is not None}
    return trained, {
        "epochs_chosen": trained.metrics["epochs"],
        "chosen_on": job.selection.on,
        "pcc_of_epochs": scores,
    }
