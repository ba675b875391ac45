"""Tuned ridge regression: the baseline that every other model must beat.

Standardise, PCA, ridge; the penalty, and how far each prediction is mixed with its neighbours', are chosen by inner
cross-validation that keeps groups (patients, sections or regions) whole. The linear probe of HEST-bench is this
without the choosing, with a penalty far below the optimum (see docs/models/ridge.md).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import DTypeLike
from pydantic import Field
from torch import Tensor

from eosin.config import Settings
from eosin.geometry import Neighbours, neighbours
from eosin.models.base import MODELS, ModelEntry, Solved, Training
from eosin.models.parts.choose import best, can_hold_out, folds, mean_correlation, middle, predict_held_out
from eosin.models.parts.named_arrays import below, tensors, under
from eosin.models.parts.patients import Levels, SpotOrigins, within_sections
from eosin.models.parts.principal import Fit
from eosin.types import Batch, GenePanel


class RidgeSettings(Settings):
    """Components, and what penalty and smoothing are chosen from."""

    n_components: int = Field(128, ge=1, description="principal components of the standardised features to keep")
    penalties: tuple[float, ...] = Field(
        tuple(float(x) for x in np.logspace(-3, 3, 19)),
        description="penalties to choose from, per training spot and unit variance; a single one is used as it is",
    )
    smoothing: tuple[float, ...] = Field(
        (0.0, 0.25, 0.5, 0.75),
        description="shares of the neighbours' mean prediction to choose from; (0,) switches smoothing off",
    )
    n_neighbours: int = Field(8, ge=1, description="spots that smoothing averages over")
    reach_um: float | None = Field(
        None, gt=0, description="a spot further away than this, µm, is no neighbour; without it however far"
    )
    centre_sections: bool = Field(
        True,
        description="learn from each value less its section's mean, and predict a patient of training at the "
        "patient's own level",
    )


@dataclass(frozen=True)
class RidgeHead:
    """The linear map [f g] for patients of a kind, and the penalty and the smoothing that it was made with."""

    weight: np.ndarray
    penalty: float
    mix: float


class Ridge(Solved):
    """Features -> expression, linear in principal components, smoothed over neighbours; one draw."""

    def __init__(self, settings: RidgeSettings, n_features: int, panel: GenePanel):
        self.settings = settings
        empty = RidgeHead(np.zeros((n_features, len(panel))), settings.penalties[0], settings.smoothing[0])
        self.new = self.known = empty
        self.mean = np.zeros(n_features)
        self.intercept = np.zeros(len(panel))
        self.levels: Levels | None = None  # also in models of before there were levels

    def solve(self, training: Training) -> None:
        """Choose penalty and smoothing, for new patients and for those of training, and fit to all training spots."""
        origins = SpotOrigins.of(training)
        chosen = [self._choose(training)]
        siblings = origins.sections_with_siblings()
        if self.settings.centre_sections and len(origins.names) > 1 and siblings.max() >= 0:
            chosen.append(self._choose(replace(training, groups=siblings)))
        fit = self._fit(training, origins, np.arange(len(training.batch)))
        heads = [RidgeHead(fit.basis @ fit.weights(p) / fit.scale[:, None], p, mix) for p, mix in chosen]
        self.new, self.known = heads[0], heads[-1]
        self.levels = Levels.of(training.target, origins) if self.settings.centre_sections else None
        self.mean = fit.mean
        self.intercept = (fit.intercept if self.levels is None else self.levels.overall) - fit.mean @ self.new.weight

    @property
    def penalty(self) -> float:
        """The penalty for new patients."""
        return self.new.penalty

    @property
    def mix(self) -> float:
        """The share of smoothing for new patients."""
        return self.new.mix

    def predict(self, batch: Batch) -> np.ndarray:
        """Expression [s g] of all spots of a batch, smoothed as chosen."""
        features = batch.features.astype(np.float64)
        around = self._around(batch)
        result = _smooth(features @ self.new.weight + self.intercept, around, self.new.mix)
        if self.levels is None:
            return result
        known = self.levels.known_spots(batch)
        if not known.any():
            return result
        own = _smooth((features - self.mean) @ self.known.weight + self.levels.at(batch), around, self.known.mix)
        return np.where(known[:, None], own, result)

    def draw(self, context: Batch, n_draws: int, rng: torch.Generator) -> Tensor:
        """[1 s g]."""
        return torch.from_numpy(self.predict(context).astype(np.float32))[None]

    def out_of_fold(self, training: Training) -> np.ndarray:
        """Predict every training spot from a fit without its group: [s g].

        Penalty and smoothing are those of the whole fit: two numbers, which hardly depend on a single spot.
        """
        new, known = self._held_out(training, (self.new.penalty, self.known.penalty), dtype=np.float64)
        around, is_known = self._around(training.batch), self._known_outside(training)
        own = _smooth(known, around, self.known.mix)
        return np.where(is_known[:, None], own, _smooth(new, around, self.new.mix))

    def _known_outside(self, training: Training) -> np.ndarray:
        """Whether a training spot's patient has spots outside its group, bool [s]."""
        origins, known = SpotOrigins.of(training), np.zeros(len(training.batch), dtype=bool)
        if self.settings.centre_sections:
            for inside, outside in folds(training.groups):
                known[outside] = np.isin(origins.patient[outside], origins.patient[inside])
        return known

    def _choose(self, training: Training) -> tuple[float, float]:
        """Penalty, then smoothing, of the highest mean correlation over held-out groups.

        One after the other, not jointly: smoothing hides noise that only a larger penalty would keep out of
        another patient. On her2st B4 -> C a joint choice loses 0.04 of correlation.
        """
        penalties, mixes = self.settings.penalties, self.settings.smoothing
        if not can_hold_out(training):
            return middle(penalties), mixes[0]
        predicted = self._held_out(training, penalties)
        number = best(range(len(penalties)), [mean_correlation(training, plain) for plain in predicted])
        around = self._around(training.batch)
        smoothed = (_smooth(predicted[number], around, mix) for mix in mixes)
        return penalties[number], best(mixes, [mean_correlation(training, values) for values in smoothed])

    def _held_out(
        self, training: Training, penalties: tuple[float, ...], *, dtype: DTypeLike = np.float32
    ) -> np.ndarray:
        """[p s g]: each group predicted from the others with each of the penalties, not smoothed."""
        origins = SpotOrigins.of(training)

        def predict_all(inside: np.ndarray, outside: np.ndarray) -> Iterable[np.ndarray]:
            fit = self._fit(training, origins, inside)
            components = fit.components(training.batch.features[outside])
            level = fit.intercept
            if self.settings.centre_sections:
                level, _ = Levels.of(training.target[inside], origins.take(inside)).of_spots(origins, outside)
            return (components @ fit.weights(penalty) + level for penalty in penalties)

        return predict_held_out(training, len(penalties), predict_all, dtype=dtype)

    def _fit(self, training: Training, origins: SpotOrigins, rows: np.ndarray) -> Fit:
        """The ridge of some training spots for any penalty."""
        target = training.target[rows]
        if self.settings.centre_sections:
            target = within_sections(target, origins.section[rows])
        return Fit.of(training.batch.features[rows], target, self.settings.n_components)

    def _around(self, batch: Batch) -> Neighbours | None:
        if max(self.settings.smoothing) == 0:
            return None
        s = self.settings
        return neighbours(batch.xy_um, s.n_neighbours, starts=batch.starts, reach_um=s.reach_um)

    def arrays(self) -> dict[str, Tensor]:
        """The linear map with its penalty and smoothing, and where there are any, those of patients of training."""
        parts = {"weight": self.new.weight, "intercept": self.intercept}
        parts["chosen"] = np.array([self.new.penalty, self.new.mix])
        if self.levels is not None:
            parts["mean"] = self.mean
        if self.known is not self.new:
            parts["known.weight"] = self.known.weight
            parts["known.chosen"] = np.array([self.known.penalty, self.known.mix])
        levels = {} if self.levels is None else self.levels.arrays()
        arrays = tensors(parts)
        return arrays | under("levels.", levels)

    def load_arrays(self, arrays: Mapping[str, Tensor]) -> None:
        """Take what `arrays` gave, also that of versions without levels."""
        self.new = self.known = RidgeHead(arrays["weight"].numpy(), *arrays["chosen"].tolist())
        self.intercept = arrays["intercept"].numpy()
        levels = below("levels.", arrays)
        self.levels = Levels.of_arrays(levels) if levels else None
        if levels:
            self.mean = arrays["mean"].numpy()
        if "known.weight" in arrays:
            self.known = RidgeHead(arrays["known.weight"].numpy(), *arrays["known.chosen"].tolist())

    def remarks(self, batch: Batch) -> dict[str, str]:
        """Whether the spots are predicted at the level of a patient of training."""
        if self.levels is None or not batch.patients:
            return {}
        return {"level": " and ".join(sorted({self.levels.whose(patient) for patient in batch.patients}))}

    @property
    def n_parameters(self) -> int:
        """Weights and intercepts."""
        own = 0 if self.known is self.new else self.known.weight.size
        return self.new.weight.size + own + self.intercept.size


def _smooth(plain: np.ndarray, around: Neighbours | None, mix: float) -> np.ndarray:
    """(1 - mix) of each spot's prediction [s g] plus mix of its neighbours' mean."""
    if around is None or mix == 0:
        return plain
    count = around.valid.sum(1)[:, None]
    mean = (plain[around.index] * around.valid[..., None]).sum(1) / np.maximum(count, 1)
    return np.where(count > 0, (1 - mix) * plain + mix * mean, plain)


MODELS.add(
    "ridge",
    ModelEntry(
        Ridge,
        RidgeSettings,
        "tuned ridge on principal components, spatially smoothed",
        "linear probe of HEST-bench (Jaume et al. 2024), tuned",
    ),
)
