"""Gradient training of one `Learned` model: epochs, early stopping, and a state to continue from.

Two phases. *Select*: a group of the training sections (a patient, else a section, else a region) is held out, and
the epoch with the best score on it is noted. *Refit*: a fresh model is trained on all training sections for that many
epochs, since small cohorts cannot spare a section. The test sections are never seen.

Or one, *validate*: the sections that choose the epoch are given, and the weights of the best epoch are kept.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from torch import Tensor

from eosin.engine.checkpoint import read_arrays, write_arrays
from eosin.engine.epochs import REFIT, SELECT, VALIDATE, Progress
from eosin.engine.phase import Phase
from eosin.engine.selection import RULES, HeldOut
from eosin.engine.together import is_first
from eosin.engine.train_settings import TrainSettings
from eosin.engine.weight_average import copy_weights
from eosin.errors import EosinError
from eosin.models import Learned, Training
from eosin.progress import task

log = logging.getLogger("eosin")

STATE = "training.safetensors"
SaveModel = Callable[[Learned, Mapping[str, Any]], Any]
"""Writes the checkpoint of a model, given what training measured so far."""


class Fitting:
    """One run: its data, its settings, its folder.

    Parameters
    ----------
    build
        Makes the untrained model; called once for each phase.
    training
        All training spots.
    settings
        How to train.
    seed
        Of the run.
    folder
        Where the state is written after every epoch; None writes nothing.
    key
        Tells this run from others; a state with another key is not resumed.
    validation
        Spots outside the training sections that choose the epoch; None holds out a group of the training sections.
    """

    def __init__(
        self,
        build: Callable[[], Learned],
        training: Training,
        settings: TrainSettings,
        seed: int,
        folder: Path | None,
        key: str,
        validation: HeldOut | None = None,
    ):
        self.build, self.training, self.settings, self.seed = build, training, settings, seed
        self.folder, self.key, self.validation = folder, key, validation
        self.rule = RULES[settings.select]
        self.held_out_scale: np.ndarray | None = None  # [g], known after `run` where spots chose the epoch
        self.used = training  # the spots that the model of `run` saw
        self.accelerator = Accelerator(
            mixed_precision=settings.precision, cpu=settings.device == "cpu" or not torch.cuda.is_available()
        )

    def run(self, *, resume: bool, save_model: SaveModel) -> tuple[Learned, dict[str, Any]]:
        """Train to the end; returns the model on the CPU and what was measured."""
        progress, state = self._open(resume=resume)
        settings = self.settings
        if progress.phase == SELECT:
            selected = self._select(progress, state, save_model)
            if not settings.refit:
                return self._finished(selected, progress)
            del selected
            self.accelerator.free_memory()  # else it keeps the model, and with it tables of all its training spots
            progress = replace(progress, phase=REFIT, epochs=progress.best_epoch, epoch=0, step=0)
            state = None
        model = self._train(progress, state, self.training, self.validation, save_model)
        if self.validation is not None:
            progress.held_out_scale = self.validation.scale_of_misses(model)
        return self._finished(model, progress)

    def _select(self, progress: Progress, state: dict[str, Tensor] | None, save_model: SaveModel) -> Learned:
        """Train on all groups but one, which chooses the epoch."""
        held, inside = self._hold_out()
        held_out = HeldOut.group(self.training.take(held), self.rule, self.settings.validation_draws)
        used = self.training.take(inside)
        model = self._train(progress, state, used, held_out, save_model)
        progress.held_out_scale = held_out.scale_of_misses(model)
        if not self.settings.refit:
            self.used = used
        return model

    def _finished(self, model: Learned, progress: Progress) -> tuple[Learned, dict[str, Any]]:
        """The trained model and what was measured; keeps what it misses of the spots that chose the epoch."""
        if progress.held_out_scale is not None:
            self.held_out_scale = np.array(progress.held_out_scale)
        return model, self._metrics(progress)

    def _open(self, *, resume: bool) -> tuple[Progress, dict[str, Tensor] | None]:
        """Where the run stands, and the saved state to continue from; None at the beginning."""
        several_groups = len(np.unique(self.training.groups)) > 1
        inner = SELECT if self.settings.early_stopping and several_groups else REFIT
        start = Progress(inner if self.validation is None else VALIDATE, self.settings.epochs)
        if not resume:
            return start, None
        if self.folder is None or not (self.folder / STATE).is_file():
            log.info("nothing to resume from; starting at the first epoch")
            return start, None
        state, header = read_arrays(self.folder / STATE)
        if header["key"] != self.key:
            raise EosinError(
                "holds a run with other data or settings",
                file=self.folder,
                fix="resume with the same ones, or choose another -o",
            )
        return Progress(**json.loads(header["progress"])), state

    def _hold_out(self) -> tuple[np.ndarray, np.ndarray]:
        """Rows of the held-out group (it changes with the seed) and of the others."""
        labels = np.unique(self.training.groups)
        held = self.training.groups == labels[self.seed % len(labels)]
        return np.flatnonzero(held), np.flatnonzero(~held)

    def _train(
        self,
        progress: Progress,
        state: dict[str, Tensor] | None,
        training: Training,
        held_out: HeldOut | None,
        save_model: SaveModel,
    ) -> Learned:
        """Train one model from scratch, or from a saved state, to the end of its phase."""
        phase = Phase(self.build, training, self.settings, self.seed, self.accelerator, progress)
        if state is not None:
            phase.restore(state)
        elif held_out is not None and phase.model.starts_from_base:
            self._measure(phase, held_out, {"phase": progress.phase, "epoch": 0, "loss": None})
        with task(f"train ({progress.phase})", progress.epochs * phase.n_steps, "steps") as advance:
            advance(progress.epoch * phase.n_steps)
            while progress.epoch < progress.epochs and not self._stalled(progress):
                started = time.monotonic()
                loss = phase.epoch(advance)
                progress.epoch += 1
                record = {"phase": progress.phase, "epoch": progress.epoch, "loss": loss}
                self._measure(phase, held_out, record)
                record["seconds"] = round(time.monotonic() - started, 3)
                self._save(phase, save_model)
        phase.use(phase.best if held_out is not None and phase.best else phase.averaged())
        return phase.finished()

    def _measure(self, phase: Phase, held_out: HeldOut | None, record: dict[str, Any]) -> None:
        """Add an epoch's record to the history, with what the held-out spots say of it."""
        progress = phase.progress
        if held_out is not None and held_out.asked_after(progress.epoch):
            measured = phase.measure(held_out)
            record |= {f"{name}_held_out": value for name, value in measured.items()}
            least_gain = self.settings.least_gain if progress.phase == SELECT else 0.0
            if progress.note(self.rule.score(measured[self.rule.name]), least_gain):
                phase.best = phase.averaged()
        progress.history.append(record)

    def _stalled(self, progress: Progress) -> bool:
        return progress.phase == SELECT and progress.epoch - progress.gain_epoch >= self.settings.patience

    def _save(self, phase: Phase, save_model: SaveModel) -> None:
        """Write the state, and a checkpoint of the best weights so far."""
        if self.folder is None or not is_first():
            return
        header = {"key": self.key, "progress": json.dumps(asdict(phase.progress))}
        write_arrays(self.folder / STATE, phase.state(), header)
        last = copy_weights(phase.model)
        phase.use(phase.best or phase.averaged())
        save_model(phase.model, {**self._metrics(phase.progress), "finished": False})
        phase.use(last)

    def _metrics(self, progress: Progress) -> dict[str, Any]:
        chosen = progress.chosen()
        return {
            "finished": True,
            "epochs": progress.epoch if progress.phase == REFIT else progress.best_epoch,
            "selected_by": self.rule.name if chosen else None,
            "pcc_held_out": None,
            **{name: value for name, value in chosen.items() if name.endswith("_held_out")},
            "history": progress.history,
        }
