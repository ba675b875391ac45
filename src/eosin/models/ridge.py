"""Tuned ridge regression: the baseline that every other model must beat.

Standardise, PCA, ridge; the penalty, and how far each prediction is mixed with its neighbours', are chosen by inner
cross-validation that keeps groups (patients, sections or regions) whole. The linear probe of HEST-bench is this
without the choosing, with a penalty far below the optimum (see docs/models/ridge.md).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from eosin.config import Settings
from eosin.geometry import Neighbours, neighbours
from eosin.models.base import MODELS, ModelEntry, Solved, Training
from eosin.models.parts.choose import mean_correlation
from eosin.models.parts.principal import Fit
from eosin.types import Batch, GenePanel


class RidgeSettings(Settings):
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


class Ridge(Solved):
    """Features -> expression, linear; one draw."""

    def __init__(self, settings: RidgeSettings, n_features: int, panel: GenePanel):
        self.settings = settings
        self.weight = np.zeros((n_features, len(panel)))
        self.intercept = np.zeros(len(panel))
        self.penalty, self.mix = settings.penalties[0], settings.smoothing[0]

    def solve(self, training: Training) -> None:
        self.penalty, self.mix = self._choose(training)
        fit = Fit.of(training.batch.features, training.target, self.settings.n_components)
        self.weight = fit.basis @ fit.weights(self.penalty) / fit.scale[:, None]
        self.intercept = fit.intercept - fit.mean @ self.weight

    def predict(self, batch: Batch) -> np.ndarray:
        """[s g], smoothed as chosen."""
        plain = batch.features.astype(np.float64) @ self.weight + self.intercept
        return _smooth(plain, self._around(batch), self.mix)

    def draw(self, context: Batch, n_draws: int, rng: torch.Generator) -> Tensor:
        return torch.from_numpy(self.predict(context).astype(np.float32))[None]

    def out_of_fold(self, training: Training) -> np.ndarray:
        """What `predict` would say of each training spot had its group not been trained on: [s g].

        Penalty and smoothing are those of the whole fit: two numbers, which hardly remember a spot.
        """
        around = self._around(training.batch)
        plain = np.empty(training.target.shape)
        for inside, outside in folds(training.groups):
            fit = Fit.of(training.batch.features[inside], training.target[inside], self.settings.n_components)
            plain[outside] = (
                fit.components(training.batch.features[outside]) @ fit.weights(self.penalty) + fit.intercept
            )
        return _smooth(plain, around, self.mix)

    def _choose(self, training: Training) -> tuple[float, float]:
        """Penalty, then mix, of the highest mean correlation over held-out groups.

        One after the other, not jointly: smoothing hides noise that only a larger penalty would keep out of
        another patient. On her2st B4 -> C a joint choice loses 0.04 of correlation.
        """
        penalties, mixes = self.settings.penalties, self.settings.smoothing
        if len(np.unique(training.groups)) < 2:
            return penalties[len(penalties) // 2], mixes[0]
        plain = np.zeros((len(penalties), *training.target.shape), dtype=np.float32)
        for inside, outside in folds(training.groups):
            fit = Fit.of(training.batch.features[inside], training.target[inside], self.settings.n_components)
            components = fit.components(training.batch.features[outside])
            for number, penalty in enumerate(penalties):
                plain[number, outside] = components @ fit.weights(penalty) + fit.intercept
        best = int(np.argmax([mean_correlation(training, plain[i]) for i in range(len(penalties))]))
        around = self._around(training.batch)
        mix = max(mixes, key=lambda mix: mean_correlation(training, _smooth(plain[best], around, mix)))
        return penalties[best], mix

    def _around(self, batch: Batch) -> Neighbours | None:
        if max(self.settings.smoothing) == 0:
            return None
        return neighbours(batch.xy_um, self.settings.n_neighbours, starts=batch.starts)

    def arrays(self) -> dict[str, Tensor]:
        chosen = np.array([self.penalty, self.mix])
        return {
            name: torch.from_numpy(np.ascontiguousarray(value))
            for name, value in (("weight", self.weight), ("intercept", self.intercept), ("chosen", chosen))
        }

    def load_arrays(self, arrays: Mapping[str, Tensor]) -> None:
        self.weight, self.intercept = arrays["weight"].numpy(), arrays["intercept"].numpy()
        self.penalty, self.mix = arrays["chosen"].tolist()

    @property
    def n_parameters(self) -> int:
        return self.weight.size + self.intercept.size


def folds(groups: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """(rows to fit on, rows held out) for each group; a single group is its own both."""
    labels = np.unique(groups)
    for label in labels:
        outside = groups == label
        inside = ~outside if len(labels) > 1 else outside
        yield np.flatnonzero(inside), np.flatnonzero(outside)


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
