"""Tuned ridge regression: the baseline that every other model must beat.

Standardise, PCA, ridge; the penalty, and how far each prediction is mixed with its neighbours', are chosen by inner
cross-validation that keeps groups (patients, sections or regions) whole. The linear probe of HEST-bench is this
without the choosing, with a penalty far below the optimum (see docs/models/ridge.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from eosin.config import Settings
from eosin.geometry import Neighbours, neighbours
from eosin.models.base import MODELS, ModelEntry, Solved, Training
from eosin.models.parts.choose import best, correlations, middle
from eosin.models.parts.fold_fits import FoldFits
from eosin.models.parts.named_arrays import below, tensors, under
from eosin.models.parts.patients import Levels, SpotOrigins
from eosin.models.parts.pieces import Hop
from eosin.models.parts.smoothing import JudgedSpots, rows_to_judge, smoothed
from eosin.models.parts.sums import NUMBERS_AT_ONCE, in_few_folds, renumbered
from eosin.row_blocks import row_blocks
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
    """Features -> expression, linear in principal components, smoothed over neighbours; one draw.

    Features are read by rows: one pass gathers what all fits need, another predicts spots that were held out.
    """

    def __init__(self, settings: RidgeSettings, n_features: int, panel: GenePanel):
        self.settings = settings
        empty = RidgeHead(np.zeros((n_features, len(panel))), settings.penalties[0], settings.smoothing[0])
        self.new = self.known = empty
        self.mean = np.zeros(n_features)
        self.intercept = np.zeros(len(panel))
        self.levels: Levels | None = None  # also in models of before there were levels
        self._fits = FoldFits(settings.n_components, settings.centre_sections)

    @property
    def reads_rows(self) -> bool:
        """True: features may lie on disk."""
        return True

    @property
    def reach(self) -> tuple[Hop, ...]:
        """To the neighbours that are smoothed over, where they are."""
        s = self.settings
        return () if max(s.smoothing) == 0 else (Hop(s.n_neighbours, reach_um=s.reach_um),)

    def solve(self, training: Training) -> None:
        """Choose penalty and smoothing, for new patients and for those of training, and fit to all training spots."""
        origins, n_features = SpotOrigins.of(training), training.batch.features.shape[1]
        heads, siblings = [renumbered(training.groups)], origins.sections_with_siblings()
        if self.settings.centre_sections and len(origins.names) > 1 and siblings.max() >= 0:
            heads.append(renumbered(siblings))
        asked_later = (origins.patients_in_folds(), origins.siblings_in_folds())  # by those who learn error bars
        if self._fits.by_sums(training, heads[0]):
            asked = (*heads, *map(renumbered, asked_later))
            self._fits.sums(training, [in_few_folds(labels, n_features) for labels in asked])  # in one pass
        around = self._around(training.batch)
        chosen = [self._choose(training, origins, labels, around) for labels in heads]
        fit = self._fits.whole(training, origins, heads[0])
        made = [RidgeHead(fit.basis @ fit.weights(p) / fit.scale[:, None], p, mix) for p, mix in chosen]
        self.new, self.known = made[0], made[-1]
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
        """Expression [s g] float32 of all spots of a batch, smoothed as chosen."""
        part, is_known = batch.part_of_spot(), np.zeros(len(batch), dtype=bool)
        levels = np.zeros((0, len(self.intercept)))
        if self.levels is not None:
            is_known, levels = self.levels.known_spots(batch), self.levels.of_parts(batch)
        plain = np.empty((len(batch), len(self.intercept)), dtype=np.float32)
        for block in row_blocks(len(batch), budget=NUMBERS_AT_ONCE, per_row=batch.features.shape[1]):
            features, own = batch.features[block].astype(np.float64), is_known[block]
            plain[block] = features @ self.new.weight + self.intercept
            if own.any():
                of_patient = (features[own] - self.mean) @ self.known.weight + levels[part[block][own]]
                plain[block][own] = of_patient
        return smoothed(plain, None, self._around(batch), np.where(is_known, self.known.mix, self.new.mix))

    def draw(self, context: Batch, n_draws: int, rng: torch.Generator) -> Tensor:
        """[1 s g]."""
        return torch.from_numpy(self.predict(context))[None]

    def out_of_fold(self, training: Training) -> np.ndarray:
        """Predict every training spot from a fit without its group: [s g].

        Penalty and smoothing are those of the whole fit: two numbers, which hardly depend on a single spot.
        """
        return self.some_out_of_fold(training, np.arange(len(training.batch)))

    def some_out_of_fold(self, training: Training, rows: np.ndarray) -> np.ndarray:
        """[r g]: some of them."""
        origins, labels = SpotOrigins.of(training), renumbered(training.groups)
        asked = JudgedSpots.of(rows, self._around(training.batch))
        plain = np.zeros((len(asked.needed), training.target.shape[1]), dtype=np.float32)
        is_known = np.zeros(len(asked.needed), dtype=bool)
        for held_out in self._fits.held_out(training, origins, labels, asked.needed):
            level, known = held_out.levels.of_spots(origins, asked.needed[held_out.places])
            known &= self.settings.centre_sections
            for flag, head in ((False, self.new), (True, self.known)):
                own = known == flag
                plain[held_out.places[own]] = held_out.values(head.penalty, own, level[own])
            is_known[held_out.places] = known
        mixes = np.where(is_known, self.known.mix, self.new.mix)[asked.judged]
        return asked.smoothed(plain, mixes)

    def _choose(
        self, training: Training, origins: SpotOrigins, labels: np.ndarray, around: Neighbours | None
    ) -> tuple[float, float]:
        """Penalty, then smoothing, of the highest mean correlation over held-out groups.

        One after the other, not jointly: smoothing hides noise that only a larger penalty would keep out of
        another patient. On her2st B4 -> C a joint choice loses 0.04 of correlation.
        """
        penalties, mixes, target = self.settings.penalties, self.settings.smoothing, training.target
        if len(np.unique(labels)) < 2:
            return middle(penalties), mixes[0]
        rows = rows_to_judge(training.batch, target.shape[1])
        spots = JudgedSpots.of(rows[labels[rows] >= 0], around)
        is_judged = np.isin(np.arange(len(spots.needed)), spots.judged)
        seen_by, scores = [], []
        for held_out in self._fits.held_out(training, origins, labels, spots.needed):
            seen_by.append(held_out)
            judged = is_judged[held_out.places]
            own = spots.needed[held_out.places[judged]]
            for label in np.unique(labels[own]):
                rows = labels[own] == label
                if rows.sum() > 2:
                    seen = held_out.components[judged][rows]
                    found = held_out.fit.correlations(seen, target[own[rows]], penalties)
                    scores.append(np.nan_to_num(found).mean(1))
        penalty = best(penalties, list(np.mean(scores, axis=0)) if scores else [0.0] * len(penalties))
        plain = np.zeros((len(spots.needed), target.shape[1]), dtype=np.float32)
        for held_out in seen_by:
            level, _ = held_out.levels.of_spots(origins, spots.needed[held_out.places])
            plain[held_out.places] = held_out.values(penalty, slice(None), level)
        truth, groups = target[spots.rows], labels[spots.rows]
        by_mix = [_mean(correlations(truth, spots.smoothed(plain, mix), groups)) for mix in mixes]
        return penalty, best(mixes, by_mix)

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


def _mean(scores: list[float]) -> float:
    return float(np.mean(scores)) if scores else 0.0


MODELS.add(
    "ridge",
    ModelEntry(
        Ridge,
        RidgeSettings,
        "tuned ridge on principal components, spatially smoothed",
        "linear probe of HEST-bench (Jaume et al. 2024), tuned",
    ),
)
