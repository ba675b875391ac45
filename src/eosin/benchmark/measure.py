"""One cell of a grid: train on the one side, predict and score the other, and note what it cost."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from eosin.benchmark.memory import Peak
from eosin.benchmark.protocol import SelectionTable
from eosin.data.splits import Split
from eosin.engine import Trained, TrainSettings, predict, resolve, train
from eosin.errors import EosinError
from eosin.files import fingerprint
from eosin.genes import target
from eosin.metrics import mean_defined, pcc_counted
from eosin.models import Solved
from eosin.scoring import score
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
            job.save(prediction, path)
    per_thousand = 1000 / sum(len(section) for section in judged)
    return {
        "metrics": score(predictions, judged),
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
    if job.selection.on == "inner":
        return _train(job, job.settings), {}
    split = job.cell.split
    judges = [job.sections[name] for name in (split.test if job.selection.on == "test" else split.validation)]
    _, tables = resolve(job.cell.model, job.settings)
    most, n = TrainSettings.of(tables["train"]).epochs, job.selection.candidates
    best, scores = None, {}
    for epochs in sorted({max(1, round(most * k / n)) for k in range(1, n + 1)}, reverse=True):
        fixed = {"epochs": epochs, "early_stopping": False}
        trained = _train(job, {**(job.settings or {}), "train": {**(job.settings or {}).get("train", {}), **fixed}})
        if isinstance(trained.model, Solved):
            return trained, {}  # without epochs there is nothing to choose
        scores[epochs] = _mean_pcc(trained, judges, job)
        if best is None or scores[epochs] > scores[best[0]]:
            best = epochs, trained
    if best is None:
        raise EosinError("no number of epochs to choose from", fix="raise candidates under [selection]")
    return best[1], {"epochs_chosen": best[0], "chosen_on": job.selection.on, "pcc_of_epochs": _text_keys(scores)}


def _text_keys(scores: Mapping[int, float]) -> dict[str, float]:
    return {str(epochs): round(value, 6) for epochs, value in scores.items()}


def _train(job: Job, settings: Tables | None) -> Trained:
    return train(
        [job.sections[name] for name in job.cell.split.train],
        model=job.cell.model,
        settings=settings,
        panel=job.panel,
        transform=job.transform,
        seed=job.cell.seed,
    )


def _mean_pcc(trained: Trained, judges: Sequence[Section], job: Job) -> float:
    """Mean correlation over genes and sections; what cannot be told counts as 0."""
    each = []
    for section in judges:
        predicted = predict(trained, section, draws=job.draws, seed=job.cell.seed)
        each.append(mean_defined(pcc_counted(target(section, trained.panel), predicted.mean)))
    return float(np.mean(np.nan_to_num(each)))
