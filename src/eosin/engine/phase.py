"""One phase of a training run: one model with its averaged weights, optimiser and random states."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
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
from eosin.engine.train_settings import TrainSettings
from eosin.engine.weight_average import WeightAverage, copy_weights, load_weights
from eosin.errors import EosinError
from eosin.in_order import results_in_order
from eosin.models import Learned, Training
from eosin.models.parts.named_arrays import below, json_array, json_of, under
from eosin.storage.lazy_rows import LazyRows
from eosin.types import Batch


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
        self.training = training
        self.turning = Turning(training.batch, settings.augment, seed)
        self.model = build()
        self.model.observe(training)
        optimiser = AdamW(self.model.parameters(), lr=settings.lr, weight_decay=settings.weight_decay)
        self.wrapped, self.optimiser = accelerator.prepare(self.model, optimiser)
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
        return self.regions.n_steps(self.settings.regions_per_section, self.settings.regions_per_step)

    def epoch(self, advance: Callable[..., None]) -> float:
        """One pass over random regions; calls `advance(1, note=...)` after every step and returns the mean loss."""
        s, losses = self.settings, []
        self.wrapped.train()
        world, rank = self.accelerator.num_processes, self.accelerator.process_index
        steps = self.regions.epoch(s.regions_per_section, s.regions_per_step * world, self.choice)
        for rows, batch in self._with_features(rows[rank::world] or rows[:1] for rows in steps):
            losses.append(self._step(rows, batch))
            best = "" if self.progress.best_score is None else f", best {abs(self.progress.best_score):.3f}"
            advance(1, note=f"epoch {self.progress.epoch + 1}{best}")
        mean = float(torch.stack(losses).mean())
        if not np.isfinite(mean):
            raise EosinError("the training loss is not a finite number", fix="use a smaller --train.lr")
        return mean

    def _with_features(self, steps: Iterable[list[np.ndarray]]) -> Iterator[tuple[list[np.ndarray], Batch]]:
        """The regions of each step as a batch in memory; features on disk are read one step ahead, on a thread."""

        def read(rows: list[np.ndarray]) -> tuple[list[np.ndarray], Batch]:
            return rows, self.turning.regions(rows)

        if not isinstance(self.training.batch.features, LazyRows):
            yield from map(read, steps)
            return
        with ThreadPoolExecutor(1, thread_name_prefix="regions") as pool:  # one: turns are drawn in the order of steps
            yield from results_in_order((pool.submit(read, rows) for rows in steps), 2)

    def _step(self, rows: list[np.ndarray], batch: Batch) -> Tensor:
        """One gradient step on some regions, given as rows of all spots and as a batch; returns the loss."""
        context = self.model.prepare(batch)
        target = torch.from_numpy(self.training.target[np.concatenate(rows)]).to(self.accelerator.device)
        with self.accelerator.autocast():
            loss = self.wrapped(context, target, self.noise)
        self.accelerator.backward(loss)
        self.accelerator.clip_grad_norm_(self.model.parameters(), self.settings.clip)
        self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)
        self.progress.step += 1
        if self.average is not None:
            self.average.update(self.model, self.progress.step)
        return loss.detach()

    def measure(self, held_out: HeldOut) -> dict[str, float]:
        """What held-out spots say of the averaged weights."""
        last = copy_weights(self.model)
        load_weights(self.model, self.averaged())
        measured = held_out.measure(self.model)
        load_weights(self.model, last)
        return measured

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
