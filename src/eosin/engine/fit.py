"""Gradient training of one `Learned` model: epochs, averaging, early stopping, and a state to continue from.

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

from eosin.engine.augment import Turning
from eosin.engine.checkpoint import read_arrays, write_arrays
from eosin.engine.epochs import REFIT, SELECT, VALIDATE, Progress
from eosin.engine.regions import Regions
from eosin.engine.selection import RULES, HeldOut
from eosin.engine.train_settings import TrainSettings
from eosin.errors import EosinError
from eosin.models import Learned, Training
from eosin.progress import task

log = logging.getLogger("eosin")

STATE = "training.safetensors"
Keep = Callable[[Learned, Mapping[str, Any]], Any]


class Fitting:
    """One run: its data, its settings, its folder."""

    def __init__(
        self,
        build: Callable[[], Learned],
        training: Training,
        settings: TrainSettings,
        seed: int,
        folder: Path | None,
        key: str,
        validate: HeldOut | None = None,
    ):
        self.build, self.training, self.settings, self.seed = build, training, settings, seed
        self.folder, self.key, self.validate = folder, key, validate
        self.rule = RULES[settings.select]
        self.accelerator = Accelerator(
            mixed_precision=settings.precision, cpu=settings.device == "cpu" or not torch.cuda.is_available()
        )

    def run(self, *, resume: bool, keep: Keep) -> tuple[Learned, dict[str, Any]]:
        """Train to the end; returns the model on the CPU and what was measured."""
        progress, arrays = self._open(resume=resume)
        s = self.settings
        if progress.phase == SELECT:
            held, inside = self._hold_out()
            judge = HeldOut.group(self.training.take(held), self.rule, s.validation_draws)
            machine = self._phase(progress, arrays, self.training.take(inside), judge, keep)
            if not s.refit:
                return machine, self._metrics(progress)
            progress = replace(progress, phase=REFIT, epochs=progress.best_epoch, epoch=0, step=0)
            arrays = None
        return self._phase(progress, arrays, self.training, self.validate, keep), self._metrics(progress)

    def _open(self, *, resume: bool) -> tuple[Progress, dict[str, Tensor] | None]:
        many = len(np.unique(self.training.groups)) > 1
        inner = SELECT if self.settings.early_stopping and many else REFIT
        first = Progress(inner if self.validate is None else VALIDATE, self.settings.epochs)
        if not resume:
            return first, None
        if self.folder is None or not (self.folder / STATE).is_file():
            log.info("nothing to resume from; starting at the first epoch")
            return first, None
        arrays, header = read_arrays(self.folder / STATE)
        if header["key"] != self.key:
            raise EosinError(
                "holds a run with other data or settings",
                file=self.folder,
                fix="resume with the same ones, or choose another -o",
            )
        return Progress(**json.loads(header["progress"])), arrays

    def _hold_out(self) -> tuple[np.ndarray, np.ndarray]:
        """Rows of the held-out group (it changes with the seed) and of the others."""
        labels = np.unique(self.training.groups)
        held = self.training.groups == labels[self.seed % len(labels)]
        return np.flatnonzero(held), np.flatnonzero(~held)

    def _phase(
        self,
        progress: Progress,
        arrays: dict[str, Tensor] | None,
        training: Training,
        judge: HeldOut | None,
        keep: Keep,
    ) -> Learned:
        """Train one model from scratch, or from a saved state, to the end of its phase."""
        run = _Run(self, training, progress)
        if arrays is not None:
            run.restore(arrays)
        elif judge is not None and run.machine.starts_from_base:
            self._judge(run, progress, judge, {"phase": progress.phase, "epoch": 0, "loss": None})
        settings = self.settings
        n_steps = run.regions.n_steps(settings.regions_per_section, settings.regions_per_step)
        with task(f"train ({progress.phase})", progress.epochs * n_steps, "steps") as tick:
            tick(progress.epoch * n_steps)
            while progress.epoch < progress.epochs and not self._stalled(progress):
                started = time.monotonic()
                loss = run.epoch(tick)
                progress.epoch += 1
                record = {"phase": progress.phase, "epoch": progress.epoch, "loss": loss}
                self._judge(run, progress, judge, record)
                record["seconds"] = round(time.monotonic() - started, 3)
                self._save(run, progress, keep)
        run.load(run.best if judge is not None and run.best else run.averaged())
        return run.finished()

    def _judge(self, run: _Run, progress: Progress, judge: HeldOut | None, record: dict[str, Any]) -> None:
        """Add an epoch to the history, with what the held-out spots say of it."""
        if judge is not None and judge.asked_after(progress.epoch):
            found = run.measure(judge)
            record |= {f"{name}_held_out": value for name, value in found.items()}
            if progress.note(self.rule.score(found[self.rule.name])):
                run.best = run.averaged()
        progress.history.append(record)

    def _stalled(self, progress: Progress) -> bool:
        return progress.phase == SELECT and progress.epoch - progress.gain_epoch >= self.settings.patience

    def _save(self, run: _Run, progress: Progress, keep: Keep) -> None:
        if self.folder is None or not self.accelerator.is_main_process:
            return
        header = {"key": self.key, "progress": json.dumps(asdict(progress))}
        write_arrays(self.folder / STATE, run.state(), header)
        own = run.averaged(raw=True)
        run.load(run.best or run.averaged())
        keep(run.machine, {**self._metrics(progress), "finished": False})
        run.load(own)

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


class _Run:
    """The moving parts of one phase: weights, their average, optimiser, random states."""

    def __init__(self, fitting: Fitting, training: Training, progress: Progress):
        s = fitting.settings
        self.settings, self.accelerator, self.progress = s, fitting.accelerator, progress
        self.training = training
        self.turning = Turning(training.batch, s.augment, fitting.seed)
        self.machine = fitting.build()
        self.machine.observe(training)
        optimiser = torch.optim.AdamW(self.machine.parameters(), lr=s.lr, weight_decay=s.weight_decay)
        self.wrapped, self.optimiser = self.accelerator.prepare(self.machine, optimiser)
        self.average = self._weights() if s.ema else None
        self.best: dict[str, Tensor] = {}
        self.regions = Regions(training.batch, np.arange(len(training.batch)), s.min_region)
        self.choice = np.random.default_rng([fitting.seed, 1])
        self.noise = torch.Generator().manual_seed(fitting.seed + 2)
        torch.manual_seed(fitting.seed + 3)  # dropout draws from torch's global state

    def epoch(self, tick: Callable[..., None]) -> float:
        """One pass over random regions; returns the mean loss."""
        s, losses = self.settings, []
        self.wrapped.train()
        world, rank = self.accelerator.num_processes, self.accelerator.process_index
        for rows in self.regions.epoch(s.regions_per_section, s.regions_per_step * world, self.choice):
            rows = rows[rank::world] or rows[:1]
            context = self.machine.prepare(self.turning.regions(rows))
            goal = torch.from_numpy(self.training.target[np.concatenate(rows)]).to(self.accelerator.device)
            with self.accelerator.autocast():
                loss = self.wrapped(context, goal, self.noise)
            self.accelerator.backward(loss)
            self.accelerator.clip_grad_norm_(self.machine.parameters(), s.clip)
            self.optimiser.step()
            self.optimiser.zero_grad(set_to_none=True)
            self.progress.step += 1
            self._update_average()
            losses.append(loss.detach())
            best = "" if self.progress.best_score is None else f", best {abs(self.progress.best_score):.3f}"
            tick(1, note=f"epoch {self.progress.epoch + 1}{best}")
        mean = float(torch.stack(losses).mean())
        if not np.isfinite(mean):
            raise EosinError("the training loss is not a finite number", fix="use a smaller --train.lr")
        return mean

    def measure(self, judge: HeldOut) -> dict[str, float]:
        """What the held-out spots say of the averaged weights."""
        own = self.averaged(raw=True)
        self.load(self.averaged())
        found = judge.measure(self.machine)
        self.load(own)
        return found

    def _weights(self) -> dict[str, Tensor]:
        return {name: p.detach().clone() for name, p in self.machine.named_parameters()}

    def averaged(self, *, raw: bool = False) -> dict[str, Tensor]:
        """The weights that are used: the moving average, or the last ones where there is none (or `raw`)."""
        return self._weights() if raw or self.average is None else {k: v.clone() for k, v in self.average.items()}

    def load(self, weights: Mapping[str, Tensor]) -> None:
        with torch.no_grad():
            for name, parameter in self.machine.named_parameters():
                parameter.copy_(weights[name])

    def _update_average(self) -> None:
        if self.average is None:
            return
        step = self.progress.step
        decay = min(self.settings.ema, (1 + step) / (10 + step))  # the first weights are soon forgotten
        with torch.no_grad():
            for name, parameter in self.machine.named_parameters():
                self.average[name].lerp_(parameter, 1 - decay)

    def state(self) -> dict[str, Tensor]:
        """All that the next epoch depends on."""
        arrays = {f"weights.{k}": v for k, v in self._weights().items()}
        arrays |= {f"average.{k}": v for k, v in (self.average or {}).items()}
        arrays |= {f"best.{k}": v for k, v in self.best.items()}
        for number, slots in self.optimiser.state_dict()["state"].items():
            arrays |= {f"optimiser.{number}.{slot}": torch.as_tensor(value) for slot, value in slots.items()}
        choice = json.dumps(self.choice.bit_generator.state).encode()
        arrays["random.choice"] = torch.frombuffer(bytearray(choice), dtype=torch.uint8)
        arrays["random.turning"] = self.turning.state()
        arrays["random.noise"] = self.noise.get_state()
        arrays["random.torch"] = torch.get_rng_state()
        if torch.cuda.is_available():
            arrays["random.cuda"] = torch.cuda.get_rng_state()
        return {name: value.detach().cpu().contiguous() for name, value in arrays.items()}

    def restore(self, arrays: Mapping[str, Tensor]) -> None:
        self.load({k.removeprefix("weights."): v for k, v in arrays.items() if k.startswith("weights.")})
        device = self.accelerator.device
        for kind in ("average", "best"):
            found = {k.removeprefix(f"{kind}."): v.to(device) for k, v in arrays.items() if k.startswith(f"{kind}.")}
            if found:
                setattr(self, kind, found)
        state = self.optimiser.state_dict()
        state["state"] = {}
        for name, value in arrays.items():
            if name.startswith("optimiser."):
                _, number, slot = name.split(".")
                state["state"].setdefault(int(number), {})[slot] = value
        self.optimiser.load_state_dict(state)
        self.choice.bit_generator.state = json.loads(arrays["random.choice"].numpy().tobytes())
        self.turning.restore(arrays["random.turning"])
        self.noise.set_state(arrays["random.noise"])
        torch.set_rng_state(arrays["random.torch"])
        if "random.cuda" in arrays and torch.cuda.is_available():
            torch.cuda.set_rng_state(arrays["random.cuda"])

    def finished(self) -> Learned:
        return self.machine.cpu().eval()
