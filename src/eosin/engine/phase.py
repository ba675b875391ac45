"""One phase of a training run: one model with its averaged weights, optimiser and random states."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from torch import Tensor

from eosin.engine.adamw import AdamW
from eosin.engine.augment import Turning
from eosin.engine.epochs import Progress
from eosin.engine.regions import Regions
from eosin.engine.selection import HeldOut
from eosin.engine.together import Together
from eosin.engine.train_settings import TrainSettings
from eosin.engine.weight_average import WeightAverage, copy_weights, load_weights
from eosin.errors import EosinError
from eosin.in_order import results_in_order
from eosin.models import Learned, Training
from eosin.models.parts.named_arrays import below, json_array, json_of, under
from eosin.storage.lazy_rows import LazyRows
from eosin.types import Batch


@dataclass(frozen=True)
class OwnBatch:
    """One of the batches whose gradients are added up for a step.

    Attributes
    ----------
    number
        Which of them.
    share
        Of the step's spots.
    rows
        Its spots among all training spots.
    batch
        Their positions and features.
    """

    number: int
    share: float
    rows: np.ndarray
    batch: Batch


class Phase:
    """What a phase changes from step to step, and how it is saved and restored.

    Parameters
    ----------
    build
        Makes the untrained model.
    training
        The spots that this phase trains on.
    settings
        How to train.
    seed
        Of the run.
    accelerator
        Places model and batches on the device, in the precision of the settings.
    progress
        Where the run stands; steps are counted in it.
    """

    def __init__(
        self,
        build: Callable[[], Learned],
        training: Training,
        settings: TrainSettings,
        seed: int,
        accelerator: Accelerator,
        progress: Progress,
    ):
        self.settings, self.accelerator, self.progress = settings, accelerator, progress
        self.training, self.seed, self.together = training, seed, Together(accelerator)
        self.turning = Turning(training.batch, settings.augment, seed)
        self.model = build()
        self.model.observe(training)
        optimiser = AdamW(self.model.parameters(), lr=settings.lr, weight_decay=settings.weight_decay)
        self.wrapped = accelerator.prepare_model(self.model, evaluation_mode=True)  # gradients are added up here
        self.optimiser = accelerator.prepare_optimizer(optimiser)
        self.together.take_weights_of_first(self.model.state_dict().values())
        self.average = WeightAverage(self.model, settings.ema) if settings.ema else None
        self.best: dict[str, Tensor] = {}
        every = np.arange(len(training.batch))
        self.regions = Regions(training.batch, every, settings.min_region, settings.largest_region)
        self.choice = np.random.default_rng([seed, 1])
        self.noise = torch.Generator().manual_seed(seed + 2)
        torch.manual_seed(seed + 3)  # dropout draws from torch's global state

    @property
    def n_steps(self) -> int:
        """Gradient steps in one epoch."""
        return self.regions.n_steps(self.settings.regions_per_section, self._regions_per_step)

    @property
    def n_batches(self) -> int:
        """Batches of one step: as many as the settings say, or more so that each process has as many."""
        each = -(-self.settings.accumulate // self.together.n_processes)
        return each * self.together.n_processes

    @property
    def _regions_per_step(self) -> int:
        return self.settings.regions_per_step * self.n_batches

    def epoch(self, advance: Callable[..., None]) -> float:
        """One pass over random regions; calls `advance(1, note=...)` after every step and returns the mean loss."""
        losses = []
        self.wrapped.train()
        steps = self.regions.epoch(self.settings.regions_per_section, self._regions_per_step, self.choice)
        for batches in self._with_features(steps):
            losses.append(self._step(batches))
            best = "" if self.progress.best_score is None else f", best {abs(self.progress.best_score):.3f}"
            advance(1, note=f"epoch {self.progress.epoch + 1}{best}")
        mean = float(torch.stack(losses).mean())
        if not np.isfinite(mean):
            raise EosinError("the training loss is not a finite number", fix="use a smaller --train.lr")
        return mean

    def _with_features(self, steps: Iterable[list[np.ndarray]]) -> Iterator[list[OwnBatch]]:
        """This process's batches of each step, in memory; features on disk are read one step ahead, on a thread."""

        def read(regions: list[np.ndarray]) -> list[OwnBatch]:
            n_spots, own = sum(len(rows) for rows in regions), []
            for number in range(min(self.n_batches, len(regions))):
                rows = regions[number :: self.n_batches]
                if self.together.owns(number):
                    share = sum(len(r) for r in rows) / n_spots
                    own.append(OwnBatch(number, share, np.concatenate(rows), self.turning.regions(rows)))
                else:
                    self.turning.pass_over(sum(len(r) for r in rows))
            return own

        if not isinstance(self.training.batch.features, LazyRows):
            yield from map(read, steps)
            return
        with ThreadPoolExecutor(1, thread_name_prefix="regions") as pool:  # one: turns are drawn in the order of steps
            yield from results_in_order((pool.submit(read, regions) for regions in steps), 2)

    def _step(self, batches: list[OwnBatch]) -> Tensor:
        """One gradient step; returns the loss, the mean over the spots of all batches of all processes."""
        total = torch.zeros((), device=self.accelerator.device)
        for batch in batches:
            loss = self._loss(batch)
            loss = loss if batch.share == 1 else loss * batch.share
            self.accelerator.backward(loss)
            total = total + loss.detach()
        total = self.together.add_up(self.model.parameters(), total)
        self.accelerator.clip_grad_norm_(self.model.parameters(), self.settings.clip)
        self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)
        self.progress.step += 1
        if self.average is not None:
            self.average.update(self.model, self.progress.step)
        return total

    def _loss(self, batch: OwnBatch) -> Tensor:
        """The loss of one batch; its noise is the same whichever process draws it."""
        context = self.model.prepare(batch.batch)
        target = torch.from_numpy(self.training.target[batch.rows]).to(self.accelerator.device)
        if batch.number == 0:
            with self.accelerator.autocast():
                return self.wrapped(context, target, self.noise)
        numbers = np.random.SeedSequence([self.seed, 5, self.progress.step, batch.number]).generate_state(1)
        devices = [self.accelerator.device] if self.accelerator.device.type == "cuda" else []
        with torch.random.fork_rng(devices), self.accelerator.autocast():
            torch.manual_seed(int(numbers[0]))  # dropout draws from torch's global state
            return self.wrapped(context, target, torch.Generator().manual_seed(int(numbers[0])))

    def measure(self, held_out: HeldOut) -> dict[str, float]:
        """What held-out spots say of the averaged weights; the first process looks, for all."""
        measured: dict[str, float] = {}
        if self.together.owns(0):
            last = copy_weights(self.model)
            load_weights(self.model, self.averaged())
            measured = held_out.measure(self.model)
            load_weights(self.model, last)
        return self.together.told_by_first(measured)

    def averaged(self) -> dict[str, Tensor]:
        """A copy of the weights that predict: the moving average, or the last ones where nothing is averaged."""
        return copy_weights(self.model) if self.average is None else self.average.copy()

    def use(self, weights: Mapping[str, Tensor]) -> None:
        """Overwrite the model's weights."""
        load_weights(self.model, weights)

    def state(self) -> dict[str, Tensor]:
        """All that the next epoch depends on, on the CPU; `restore` takes it back."""
        average = {} if self.average is None else self.average.weights
        arrays = under("weights.", copy_weights(self.model)) | under("average.", average) | under("best.", self.best)
        for number, slots in self.optimiser.state_dict()["state"].items():
            arrays |= {f"optimiser.{number}.{slot}": torch.as_tensor(value) for slot, value in slots.items()}
        arrays["random.choice"] = json_array(self.choice.bit_generator.state)
        arrays["random.turning"] = self.turning.state()
        arrays["random.noise"] = self.noise.get_state()
        arrays["random.torch"] = torch.get_rng_state()
        if torch.cuda.is_available():
            arrays["random.cuda"] = torch.cuda.get_rng_state()
        return {name: value.detach().cpu().contiguous() for name, value in arrays.items()}

    def restore(self, arrays: Mapping[str, Tensor]) -> None:
        """Continue from a `state`."""
        device = self.accelerator.device
        load_weights(self.model, below("weights.", arrays))
        self.best = {name: value.to(device) for name, value in below("best.", arrays).items()}
        if self.average is not None:
            self.average.weights = {name: value.to(device) for name, value in below("average.", arrays).items()}
        optimiser: dict[str, Any] = {**self.optimiser.state_dict(), "state": {}}
        for name, value in below("optimiser.", arrays).items():
            number, slot = name.split(".")
            optimiser["state"].setdefault(int(number), {})[slot] = value
        self.optimiser.load_state_dict(optimiser)
        self.choice.bit_generator.state = json_of(arrays["random.choice"])
        self.turning.restore(arrays["random.turning"])
        self.noise.set_state(arrays["random.noise"])
        torch.set_rng_state(arrays["random.torch"])
        if "random.cuda" in arrays and torch.cuda.is_available():
            torch.cuda.set_rng_state(arrays["random.cuda"])

    def finished(self) -> Learned:
        """The model on the CPU, in evaluation mode."""
        return self.model.cpu().eval()
