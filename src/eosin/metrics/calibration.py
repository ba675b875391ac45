"""Calibration: do the draws, as a distribution, fit the truth?

Shapes: truth [s g], draws [k s g], model values.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator

import numpy as np

from eosin.metrics.bars import coverage_of_bars, crps_of_bars
from eosin.metrics.matched import has_spread
from eosin.metrics.metric import ERROR_BARS, Metric, register
from eosin.row_blocks import row_blocks
from eosin.storage.scratch import let_go

_BLOCK_VALUES = 1 << 22  # values of draws handled at once in float64: 32 MB
_SIMULATED_VALUES = 1 << 20  # normal draws behind the expected coverage of mirrored ones: known to 0.0005


def crps_per_gene(truth: np.ndarray, draws: np.ndarray) -> np.ndarray:
    """Continuous ranked probability score of each gene [g], mean over spots, in model values; 0 is best.

    E|X − y| − ½ E|X − X'| over the distribution that the k draws make (Gneiting & Raftery 2007, equation 21), so one
    draw scores its absolute error, and a point model and a generative one stand on one scale. Few draws cost a little:
    what is scored is the answer that was delivered, not the model behind it. O(k log k) by sorting.
    """
    truth, draws = _check(truth, draws)
    k = len(draws)
    weight = (2.0 * np.arange(1, k + 1) - k - 1) / k**2  # Σ_{i<j} (x_(j) − x_(i)) = Σ_i (2i − k − 1) x_(i)
    total = np.zeros(truth.shape[1])
    for rows in _blocks(draws):
        x = np.sort(np.asarray(draws[:, rows], dtype=np.float64), axis=0)
        total += np.abs(x - np.asarray(truth[rows], dtype=np.float64)).mean(axis=0).sum(axis=0)
        total -= np.tensordot(weight, x, axes=1).sum(axis=0)
        let_go(truth, draws)
    return total / len(truth) if len(truth) else np.full(truth.shape[1], np.nan)


def crps(truth: np.ndarray, draws: np.ndarray) -> float:
    """Mean of `crps_per_gene` over genes."""
    per_gene = crps_per_gene(truth, draws)
    return float(per_gene.mean()) if per_gene.size else np.nan


def coverage(truth: np.ndarray, draws: np.ndarray, level: float = 0.9) -> float:
    """Share of truth values inside the central interval of the draws, bounds included; NaN for one draw.

    The interval is the one that `Prediction.quantile` gives. With few draws it holds less than its name says even for
    a perfect model: compare with `expected_coverage`, not with `level`.
    """
    truth, draws = _check(truth, draws)
    if len(draws) < 2 or truth.size == 0:
        return np.nan
    tail, inside = (1 - level) / 2, 0
    for rows in _blocks(draws):
        low, high = np.quantile(np.asarray(draws[:, rows], dtype=np.float64), [tail, 1 - tail], axis=0)
        inside += int(((truth[rows] >= low) & (truth[rows] <= high)).sum())
        let_go(truth, draws)
    return inside / truth.size


def expected_coverage(n_draws: int, level: float = 0.9, *, mirrored: bool = False) -> float:
    """The `coverage` of a perfectly calibrated model with this many draws; NaN for one draw.

    Independent draws: the r-th smallest of k draws has a share r / (k + 1) of the distribution below it on average,
    and the quantile q lies at r = 1 + q (k − 1). At 90 %: 0.70 with 8 draws, 0.81 with 20, 0.88 with 100. (Between two
    draws it is interpolated in values, which is exact only where the distribution is flat between them.)

    Mirrored draws lie symmetrically around the distribution's centre and cover more: 0.47 with 2 draws, 0.75 with 8,
    0.82 with 16, for a normal distribution and a model that is linear in its noise.
    """
    if n_draws < 2:
        return np.nan
    if mirrored:
        return _mirrored_normal_coverage(n_draws, level)
    return 1 - 2 * (1 + (1 - level) / 2 * (n_draws - 1)) / (n_draws + 1)


@functools.cache
def _mirrored_normal_coverage(n_draws: int, level: float) -> float:
    """Expected share of a normal distribution between two quantiles of its mirrored draws.

    The mean over many sets of draws, of which each share is known in closed form; always the same sets.
    """
    from scipy.special import ndtr

    noise = np.random.default_rng(0).normal(size=((n_draws + 1) // 2, max(2048, _SIMULATED_VALUES // n_draws)))
    draws = np.stack([noise, -noise], 1).reshape(-1, noise.shape[1])[:n_draws]  # [k sets]
    tail = (1 - level) / 2
    low, high = np.quantile(draws, [tail, 1 - tail], axis=0)
    return float((ndtr(high) - ndtr(low)).mean())


def shares_between_draws(n_draws: int, *, mirrored: bool = False) -> np.ndarray:
    """Probability [k // 2] that truth lies between the j-th smallest and the j-th largest of k draws, j = 1, 2, ...

    Draws and truth are of one distribution; the widest interval comes first.

    Independent draws: 1 - 2 j / (k + 1), whatever the distribution.

    Mirrored draws, of a distribution that is symmetric around the centre at which they are mirrored: let there be m
    pairs. The distance of the truth from the centre is equally likely to have any rank among the m distances of the
    pairs, so that the truth is outside with probability j / (m + 1) for even k. With odd k the draw without a partner
    lies beyond the truth on its side with probability (A + 1) / (2 (m + 2)), where A pairs are farther out than the
    truth; summed over A, the truth is outside with probability j (2 m + 3) / (2 (m + 1) (m + 2)).
    """
    j, m = np.arange(1, n_draws // 2 + 1), n_draws // 2
    if not mirrored:
        return 1 - 2 * j / (n_draws + 1)
    if n_draws % 2:
        return 1 - j * (2 * m + 3) / (2 * (m + 1) * (m + 2))
    return 1 - j / (m + 1)


def energy(truth: np.ndarray, draws: np.ndarray) -> float:
    """Energy score of whole spots, mean over spots: E‖X − y‖ − ½ E‖X − X'‖ with the norm over genes; 0 is best.

    Gneiting & Raftery 2007, section 4.3. Unlike CRPS it sees whether genes are drawn together as they occur together.
    O(k²) in the number of draws.
    """
    truth, draws = _check(truth, draws)
    if truth.size == 0:
        return np.nan
    k, total = len(draws), 0.0
    for rows in _blocks(draws):
        x = np.asarray(draws[:, rows], dtype=np.float64)
        total += float(np.linalg.norm(x - truth[rows], axis=-1).sum()) / k
        total -= sum(float(np.linalg.norm(x[i + 1 :] - x[i], axis=-1).sum()) for i in range(k - 1)) / k**2
    return total / len(truth)


def _blocks(draws: np.ndarray) -> Iterator[slice]:
    k, s, g = draws.shape
    return row_blocks(s, budget=_BLOCK_VALUES, per_row=k * g)


def _check(truth: np.ndarray, draws: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    truth, draws = np.asarray(truth), np.asarray(draws)
    if draws.ndim != 3 or len(draws) < 1 or draws.shape[1:] != truth.shape:
        raise ValueError(f"draws {draws.shape} must be [k s g] over truth {truth.shape}")
    return truth, draws


register(
    Metric(
        key="crps",
        function=lambda section: (
            crps(section.truth, section.draws)
            if section.error_bars is None
            else crps_of_bars(section.truth, section.mean, section.error_bars)
        ),
        definition="continuous ranked probability score of the error bars, without them of the draws; one draw scores "
        "its mae",
        better="down",
        group=ERROR_BARS,
        label="CRPS",
        source="Gneiting & Raftery 2007",
    )
)
register(
    Metric(
        key="coverage_90",
        function=lambda section: (
            coverage(section.truth, section.draws, 0.9)
            if section.error_bars is None
            else coverage_of_bars(section.truth, section.mean, section.error_bars, 0.9)
        ),
        definition="share of truth inside the 90 % interval: of the error bars, without them of the draws",
        better="expected",
        group=ERROR_BARS,
        label="90 % cover",
        source="standard",
        needs=has_spread,
    )
)
register(
    Metric(
        key="coverage_90_expected",
        function=lambda section: (
            expected_coverage(len(section.draws), 0.9, mirrored=section.mirrored) if section.error_bars is None else 0.9
        ),
        definition="coverage_90 of a perfect model: 0.9 of error bars, less of a few draws",
        better="expected",
        group=ERROR_BARS,
        label="… expected",
        source="order statistics",
        needs=has_spread,
    )
)
