"""Which epoch is kept: rules that score draws against the truth, and the spots that they are asked about."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from eosin.errors import EosinError
from eosin.genes import target
from eosin.geometry.patches import patches
from eosin.metrics import crps, mean_defined, pcc_counted
from eosin.models import Learned, Training
from eosin.types import Batch, GenePanel, Section


@dataclass(frozen=True)
class Rule:
    """One way to choose among epochs.

    Attributes
    ----------
    name
        As `train.select` gives it.
    measure
        (truth [s g], draws [k s g]) -> a number in its own unit.
    sign
        1 where larger is better, -1 where smaller is.
    least_draws
        Fewer draws cannot tell.
    """

    name: str
    measure: Callable[[np.ndarray, np.ndarray], float]
    sign: int
    least_draws: int = 1

    def score(self, measured: float) -> float:
        """Higher is better, whatever the measure."""
        return self.sign * measured


def correlation(truth: np.ndarray, draws: np.ndarray) -> float:
    """Mean correlation of the mean of the draws, as the headline `pcc.mean`; 0 where nothing varies."""
    mean = draws.mean(0, dtype=np.float64).astype(np.float32)
    return float(np.nan_to_num(mean_defined(pcc_counted(truth, mean))))


RULES: Mapping[str, Rule] = {
    rule.name: rule
    for rule in (
        Rule("pcc", correlation, 1),
        Rule("crps", crps, -1, least_draws=16),  # two draws make the narrowest distribution look best
    )
}
"""All that `train.select` may name."""
_MOST_SPOTS = 20_000
"""Of a held-out group that are predicted after every epoch."""
MEASURED = "pcc"
"""What is measured in any case, whatever chooses."""


@dataclass(frozen=True)
class Validation:
    """Measured sections outside the training sections, on which one run chooses its epoch.

    Attributes
    ----------
    sections
        Encoded as the training sections are; each counts alike.
    candidates
        Numbers of epochs to choose from, evenly up to the setting's; None for every epoch.
    draws, seed
        How each section is predicted.
    """

    sections: Sequence[Section]
    candidates: int | None = None
    draws: int = 16
    seed: int = 0

    def epochs(self, most: int) -> frozenset[int] | None:
        """The candidates among epochs 1 to `most`; None for all of them."""
        if self.candidates is None:
            return None
        if self.candidates < 1:
            raise EosinError(f"{self.candidates} candidates to choose the epoch from", fix="give 1 or more")
        return frozenset(max(1, round(most * k / self.candidates)) for k in range(1, self.candidates + 1))


@dataclass(frozen=True)
class HeldOut:
    """Measured spots that no step sees.

    Attributes
    ----------
    parts
        What is predicted together and scored together: positions and features, and their truth [s g].
    rule
        What chooses among epochs.
    draws, seed
        How each part is predicted; more draws where the rule needs them.
    epochs
        After which epochs it is asked; None for all.
    """

    parts: tuple[tuple[Batch, np.ndarray], ...]
    rule: Rule
    draws: int
    seed: int = 0
    epochs: frozenset[int] | None = None

    @classmethod
    def group(cls, held: Training, rule: Rule, draws: int) -> HeldOut:
        """A group of the training spots, or connected pieces of a very large one; its features come into memory."""
        held = held.take(patches(held.batch.xy_um, _MOST_SPOTS, starts=held.batch.starts))
        return cls(((replace(held.batch, training_rows=None).in_memory(), held.target),), rule, draws)

    @classmethod
    def outside(cls, validation: Validation, rule: Rule, panel: GenePanel, most: int) -> HeldOut:
        """Sections that are not trained on; `most` is the setting's number of epochs."""
        parts = tuple((Batch.of([section]), target(section, panel)) for section in validation.sections)
        return cls(parts, rule, validation.draws, validation.seed, validation.epochs(most))

    def asked_after(self, epoch: int) -> bool:
        """Whether the spots are predicted after this epoch; 0 is the untrained model."""
        return self.epochs is None or epoch in self.epochs or epoch == 0

    @torch.no_grad()
    def scale_of_misses(self, model: Learned) -> list[float]:
        """Per gene (g), sd of truth less predicted mean within parts; the level of a part does not count."""
        model.eval()
        squares, n_free = 0.0, 0
        for batch, truth in self.parts:
            drawn = model.draw(model.prepare(batch), self.draws, torch.Generator().manual_seed(self.seed))
            misses = truth - drawn.float().cpu().numpy().mean(0)
            squares, n_free = squares + np.square(misses - misses.mean(0)).sum(0), n_free + len(truth) - 1
        return [float(x) for x in np.sqrt(squares / max(n_free, 1))]

    @torch.no_grad()
    def measure(self, model: Learned) -> dict[str, float]:
        """The rule's measure and the correlation, mean over parts, by name; leaves the model in evaluation mode."""
        model.eval()
        rules = {rule.name: rule for rule in (RULES[MEASURED], self.rule)}
        per_part: list[list[float]] = []
        for batch, truth in self.parts:
            rng = torch.Generator().manual_seed(self.seed)
            drawn = model.draw(model.prepare(batch), max(self.draws, self.rule.least_draws), rng)
            values = drawn.float().cpu().numpy()
            per_part.append([rule.measure(truth, values) for rule in rules.values()])
        return {name: float(value) for name, value in zip(rules, np.mean(per_part, axis=0))}
