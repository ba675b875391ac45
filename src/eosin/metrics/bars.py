"""Error bars around a mean, as a distribution, against the truth: CRPS and coverage."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from eosin.metrics.moments import VALUES_AT_ONCE, table_blocks
from eosin.row_blocks import row_blocks
from eosin.storage.scratch import let_go
from eosin.types import ErrorBars


def crps_of_bars(truth: np.ndarray, mean: np.ndarray, bars: ErrorBars) -> float:
    """CRPS of error bars around a mean [s g], mean over spots and genes.

    Twice the quantile loss, averaged over 99 quantiles (Gneiting & Ranjan 2011, equation 14).
    """
    if np.size(truth) == 0:
        return np.nan
    total, levels = 0.0, _QuantileLoss.of(bars, (np.arange(99) + 0.5) / 99)
    for _, (measured, middle) in table_blocks(truth, mean):
        total += levels.total(measured, middle)
    return 2 * total / (len(levels.levels) * np.size(truth))


@dataclass(frozen=True, eq=False)
class _QuantileLoss:
    """The loss max(l m, (l - 1) m) of the misses m of many quantiles of error bars, summed over levels l.

    For each value it is known how many quantiles lie at the smallest possible value and how many below the truth; sums
    over these are differences of sums that are made once, so that the time does not grow with the levels.

    Attributes
    ----------
    bars
        The error bars.
    levels, quantiles
        [q] growing levels, and the shape's quantiles at them.
    """

    bars: ErrorBars
    levels: np.ndarray
    quantiles: np.ndarray

    @classmethod
    def of(cls, bars: ErrorBars, levels: np.ndarray) -> _QuantileLoss:
        return cls(bars, levels, np.array([bars.standard_quantile(level) for level in levels]))

    def total(self, truth: np.ndarray, mean: np.ndarray) -> float:
        """Sum over a block [b g] and levels."""
        scale, above = self.bars.scale, truth - mean
        sums = [np.concatenate([[0.0], np.cumsum(x)]) for x in (self.levels, self.quantiles * self.levels)]
        rest = [np.concatenate([[0.0], np.cumsum(x[::-1])])[::-1] for x in (1 - self.levels, self._rising())]
        n_below = self._n_up_to(above)  # quantiles below the truth
        loss, n_at = 0.0, 0  # quantiles at the smallest value
        if self.bars.smallest is not None:
            n_at, miss = self._n_up_to(self.bars.smallest - mean), truth - self.bars.smallest
            loss = np.where(miss >= 0, sums[0][n_at] * miss, (sums[0][n_at] - n_at) * miss).sum()
        n_below = np.maximum(n_below, n_at)
        loss += ((sums[0][n_below] - sums[0][n_at]) * above - scale * (sums[1][n_below] - sums[1][n_at])).sum()
        return float(loss + (scale * rest[1][n_below] - rest[0][n_below] * above).sum())

    def _rising(self) -> np.ndarray:
        return (1 - self.levels) * self.quantiles

    def _n_up_to(self, distance: np.ndarray) -> np.ndarray:
        """How many quantiles lie at most so far above the mean [b g]."""
        with np.errstate(divide="ignore", invalid="ignore"):  # bars without width: all of them or none
            return np.searchsorted(self.quantiles, distance / self.bars.scale, side="right")


def coverage_of_bars(truth: np.ndarray, mean: np.ndarray, bars: ErrorBars, level: float = 0.9) -> float:
    """Share of truth values [s g] inside the central interval of error bars around a mean, bounds included."""
    if np.size(truth) == 0:
        return np.nan
    tail, inside = (1 - level) / 2, 0
    for rows in row_blocks(len(truth), budget=VALUES_AT_ONCE, per_row=truth.shape[1]):
        low, high = bars.quantile(mean[rows], tail), bars.quantile(mean[rows], 1 - tail)
        inside += int(((truth[rows] >= low) & (truth[rows] <= high)).sum())
        let_go(truth, mean)
    return inside / truth.size
