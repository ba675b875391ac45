"""Measure one cell of a grid: train on the one side, predict and score the other, and note what it cost."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch

from eosin.benchmark.cell import Cell, GridSettings, Keeping, Tables
from eosin.engine import Trained, Validation, device_for, predict, train
from eosin.execution import Failed, Job, NotKnownHere
from eosin.execution.memory import Peak
from eosin.genes import target
from eosin.metrics import pcc_counted
from eosin.models import MODELS, Solved
from eosin.scores.scoring import score
from eosin.storage.files import read_json
from eosin.types import Prediction, Section

WARM_UP = 16
"""Spots that are predicted before time and memory are measured."""
_ADVICE = "lower --draws, train.regions_per_step or the model's width, or leave the cell out"


@dataclass(frozen=True)
class CellJob(Job[dict[str, Any]]):
    """A cell with all that it needs: what is handed to a process.

    Attributes
    ----------
    sections
        By name; those of the cell's split.
    tables
        Settings of the model.
    settings
        What every cell of the grid is asked.
    keeping
        How and where predictions are kept.
    file, key
        Where the cell's record lies once it is done, and the key that it has if it answers this question.
    """

    # Scoring loads the first, for 2 s; accelerate the second, for 1 s; STFlow's kernels the third.
    ahead: ClassVar[tuple[str, ...]] = ("sklearn.metrics", "torch.distributed.tensor", "numba")

    cell: Cell
    sections: Mapping[str, Section]
    tables: Tables | None
    settings: GridSettings
    keeping: Keeping
    file: Path
    key: str

    @property
    def name(self) -> str:
        """The cell's name."""
        return self.cell.name

    def kept(self) -> dict[str, Any] | None:
        """The record in the cell's file, if it answers this question, is done, and its predictions are there."""
        if not self.file.is_file() or not self.keeping.complete():
            return None
        record = read_json(self.file)
        return record if record.get("key") == self.key and record.get("status") == "done" else None

    def run(self) -> dict[str, Any]:
        """The cell's numbers, see `measure`."""
        if self.cell.model.partition(":")[0] not in MODELS:
            raise NotKnownHere(f"model '{self.cell.model}' is registered in one process only")
        return measure(self)


def failure(outcome: Failed) -> dict[str, Any]:
    """What is recorded of a cell or a measurement that failed."""
    reason = f"{outcome.reason}; {_ADVICE}" if outcome.out_of_memory else outcome.reason
    return {"status": "failed", "metrics": {}, "error": reason}


def measure(job: CellJob) -> dict[str, Any]:
    """Train, predict, score: the numbers of a cell.

    `inference` is per 1,000 spots at the asked number of draws: seconds, and MiB that memory rose by above what it held
    before (of the accelerator where there is one); None where the system does not say.
    """
    started = time.monotonic()
    trained, chosen = _trained(job)
    seconds_train = time.monotonic() - started
    judged = [job.sections[name] for name in job.cell.split.test]
    few = judged[0].take(np.arange(min(len(judged[0]), WARM_UP)))
    few_are_no_slide = replace(trained, distance=None)
    predict(few_are_no_slide, few, draws=1, seed=job.cell.seed)  # what only the first call costs is not the model's
    on_gpu = device_for(trained.model).type == "cuda"
    peak, begun = Peak(), time.monotonic()
    predictions = [predict(trained, section, draws=job.settings.draws, seed=job.cell.seed) for section in judged]
    seconds, mib = time.monotonic() - begun, peak.mib(gpu=on_gpu)
    _keep(predictions, job.keeping)
    lists = job.settings.lists
    per_thousand = 1000 / sum(len(section) for section in judged)
    return {
        "metrics": score(predictions, judged, biomarkers=lists.biomarkers, pathways=lists.pathways),
        "pcc_genes": {p.section: _per_gene(p, section) for p, section in zip(predictions, judged)},
        "n_parameters": trained.model.n_parameters,
        "panel": list(trained.panel.names),
        "training": {key: value for key, value in trained.metrics.items() if key != "history"} | chosen,
        "seconds_train": round(seconds_train, 3),
        "inference": {
            "seconds_per_1000": round(seconds * per_thousand, 4),
            "mib_per_1000": None if mib is None else round(mib * per_thousand, 2),
            "device": "gpu" if on_gpu else "cpu",
            "threads": torch.get_num_threads(),
        },
    }


def _keep(predictions: list[Prediction], keeping: Keeping) -> None:
    if keeping.save is None:
        return
    for prediction, path in zip(predictions, keeping.files):
        stamped = {**prediction.provenance, "benchmark": dict(keeping.stamps)}
        keeping.save(replace(prediction, provenance=stamped), path)


def _per_gene(prediction: Prediction, section: Section) -> list[float | None]:
    """Each gene's correlation over the section's spots, in the order of the panel; None where the truth is constant."""
    correlations = pcc_counted(target(section, prediction.panel), prediction.mean)
    return [float(value) if np.isfinite(value) else None for value in correlations]


def _trained(job: CellJob) -> tuple[Trained, dict[str, Any]]:
    """The model, and which epoch was chosen on what where the protocol chooses it outside training."""
    split, selection = job.cell.split, job.settings.selection
    judges = {"inner": (), "validation": split.validation, "test": split.test}[selection.on]
    outside = [job.sections[name] for name in judges]
    trained = train(
        [job.sections[name] for name in split.train],
        model=job.cell.model,
        settings=job.tables,
        panel=job.settings.genes,
        transform=job.settings.transform,
        seed=job.cell.seed,
        validate=Validation(outside, selection.candidates, job.settings.draws, job.cell.seed) if outside else None,
    )
    if not outside or isinstance(trained.model, Solved):
        return trained, {}  # without epochs there is nothing to choose
    judged = {str(entry["epoch"]): entry.get("pcc_held_out") for entry in trained.metrics["history"]}
    scores = {epoch: round(pcc, 6) for epoch, pcc in judged.items() if pcc is not None}
    return trained, {
        "epochs_chosen": trained.metrics["epochs"],
        "chosen_on": selection.on,
        "pcc_of_epochs": scores,
    }
