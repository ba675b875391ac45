"""What a grid will cost, before it is run: cells, parameters, and time and memory from a short calibration."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from eosin.benchmark.cell import Cell
from eosin.benchmark.plan import Plan
from eosin.engine import Trained, TrainSettings, device_for, predict, resolve, train
from eosin.errors import EosinError
from eosin.execution.memory import Peak
from eosin.genes import choose_panel
from eosin.models import Solved
from eosin.progress import task
from eosin.types import GenePanel, Section

log = logging.getLogger("eosin")

MAX_SPOTS = 300
"""Spots of one training section that the calibration trains on and predicts: seconds, whatever the slide."""
DRAWS = 2


@dataclass(frozen=True)
class Calibration:
    """What a short run of one model on one encoder's features took.

    Attributes
    ----------
    n_parameters
        Of the model.
    n_spots
        Spots of the short run; the seconds below are for so many.
    epochs
        Of a whole run, counted twice where the model is trained again on all sections.
    seconds_fixed, seconds_per_epoch, seconds_per_draw
        What training takes however long it is, what an epoch adds, and what a draw takes.
    mib
        The rise of memory; None where the system does not say.
    """

    n_parameters: int
    n_spots: int
    epochs: int
    seconds_fixed: float
    seconds_per_epoch: float
    seconds_per_draw: float
    mib: float | None

    def seconds(self, n_train: int, n_test: int, n_draws: int) -> float:
        """Seconds to train on `n_train` spots and predict `n_test` of them, `n_draws` times."""
        learning = self.seconds_fixed + self.epochs * self.seconds_per_epoch
        return (learning * n_train + self.seconds_per_draw * n_draws * n_test) / self.n_spots


def estimate(plan: Plan) -> list[dict[str, Any]]:
    """One line for each cell: parameters, and about how many seconds and MiB it takes at most. Nothing is written.

    The calibration trains each model for an epoch or two on part of a section, and takes cost to grow with spots,
    epochs and draws. Early stopping makes the true time shorter.
    """
    calibrations: dict[tuple[str, str], Calibration | str] = {}
    models = list(dict.fromkeys((cell.model, cell.encoder) for cell in plan.cells))
    with task("calibrate", len(models), "models") as tick:
        for key in models:
            first = next(cell for cell in plan.cells if (cell.model, cell.encoder) == key)
            try:
                calibrations[key] = _calibrate(first, plan)
            except (EosinError, RuntimeError, ValueError, MemoryError) as error:
                calibrations[key] = " ".join(str(error).split()) or type(error).__name__
            tick(1)
    return [_line(cell, plan, calibrations[cell.model, cell.encoder]) for cell in plan.cells]


def _line(cell: Cell, plan: Plan, calibration: Calibration | str) -> dict[str, Any]:
    sections = plan.sections[cell.encoder]
    n_train, n_test = (sum(len(sections[n]) for n in side) for side in (cell.split.train, cell.split.test))
    line: dict[str, Any] = {
        "model": cell.model,
        "encoder": cell.encoder,
        "split": cell.split.name,
        "seed": cell.seed,
        "training spots": n_train,
        "test spots": n_test,
    }
    if plan.job(cell).kept() is not None:
        return line | {"state": "done, not run again", "parameters": None, "seconds": 0.0, "MiB": None}
    if isinstance(calibration, str):
        return line | {"state": f"cannot be told: {calibration}", "parameters": None, "seconds": None, "MiB": None}
    seconds = calibration.seconds(n_train, n_test, plan.settings.draws)
    mib = None if calibration.mib is None else round(calibration.mib * max(n_train, n_test) / calibration.n_spots, 1)
    return line | {"state": "to run", "parameters": calibration.n_parameters, "seconds": round(seconds, 2), "MiB": mib}


def _calibrate(cell: Cell, plan: Plan) -> Calibration:
    sections = plan.sections[cell.encoder]
    training = [sections[name] for name in cell.split.train]
    panel = plan.settings.genes
    if not isinstance(panel, GenePanel):
        panel = choose_panel(panel, training, transform=plan.settings.transform)
    part = training[0].take(np.arange(min(len(training[0]), MAX_SPOTS)))
    tables = plan.tables.get(cell.model)
    peak = Peak()
    first, once = _timed(cell, tables, part, panel, 1)
    twice = once if isinstance(first.model, Solved) else _timed(cell, tables, part, panel, 2)[1]
    started = time.monotonic()
    n_draws = min(plan.settings.draws, DRAWS)
    predict(first, part, draws=n_draws, seed=cell.seed)
    seconds_per_draw = (time.monotonic() - started) / n_draws
    per_epoch = max(0.0, twice - once)
    on_gpu = device_for(first.model).type == "cuda"
    epochs = 0 if isinstance(first.model, Solved) else _epochs(cell, plan)
    return Calibration(
        first.model.n_parameters, len(part), epochs, once - per_epoch, per_epoch, seconds_per_draw, peak.mib(gpu=on_gpu)
    )


def _timed(
    cell: Cell, tables: Mapping[str, Mapping[str, Any]] | None, part: Section, panel: GenePanel, epochs: int
) -> tuple[Trained, float]:
    short = {"epochs": epochs, "early_stopping": False}
    settings = {**(tables or {}), "train": {**(tables or {}).get("train", {}), **short}}
    started = time.monotonic()
    trained = train([part], model=cell.model, settings=settings, panel=panel, seed=cell.seed)
    return trained, time.monotonic() - started


def _epochs(cell: Cell, plan: Plan) -> int:
    """The most epochs that a run of the cell may take."""
    settings = TrainSettings.of(resolve(cell.model, plan.tables.get(cell.model))[1]["train"])
    outside = plan.settings.selection.on != "inner"
    return settings.epochs * (2 if settings.early_stopping and settings.refit and not outside else 1)
