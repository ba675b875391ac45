"""Variation of genes over a section, and what to call the prediction of many draws (Stem, appendices A and B)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from eosin.metrics.accuracy import mae, mean_defined, mse, pcc_counted, pcc_top
from eosin.metrics.structure import rvd
from eosin.row_blocks import row_blocks

_BLOCK_VALUES = 1 << 20  # k x k differences of this many spots and genes at once: 8 MB for each of the k


class VariationCurve(NamedTuple):
    """Variance over spots of every gene, genes in ascending order of their true variance.

    Attributes
    ----------
    order
        [g] columns of the panel in the curve's order.
    truth, predicted
        [g] variances, squared model values: the lower row of Stem's figures 4 to 10.
    truth_share, predicted_share
        The same as shares of each one's own sum (the upper row; the paper does not say by which sum the prediction
        is divided; its own shows the shape apart from the scale, which the other row shows). NaN where the sum is 0.
    """

    order: np.ndarray
    truth: np.ndarray
    predicted: np.ndarray
    truth_share: np.ndarray
    predicted_share: np.ndarray


def variation_curve(truth: np.ndarray, predicted: np.ndarray) -> VariationCurve:
    """The gene variation curve of a prediction [s g], or the mean curve of draws [k s g], against truth [s g]."""
    truth, predicted = np.asarray(truth, dtype=np.float64), np.asarray(predicted, dtype=np.float64)
    if truth.ndim != 2 or predicted.ndim not in (2, 3) or predicted.shape[-2:] != truth.shape or len(truth) == 0:
        raise ValueError(f"truth {truth.shape} must be [s g], prediction {predicted.shape} [s g] or [k s g]")
    true_var = truth.var(axis=0)
    found = predicted.var(axis=-2)
    found = found.mean(axis=0) if found.ndim == 2 else found
    order = np.argsort(true_var, kind="stable")
    true_var, found = true_var[order], found[order]
    return VariationCurve(order, true_var, found, _share(true_var), _share(found))


def draws_mean(draws: np.ndarray) -> np.ndarray:
    """Mean [s g] of draws [k s g]."""
    return np.asarray(draws).mean(axis=0, dtype=np.float64)


def draws_median(draws: np.ndarray) -> np.ndarray:
    """Median [s g] of draws [k s g]."""
    return np.median(np.asarray(draws, dtype=np.float64), axis=0)


def draws_mode(draws: np.ndarray) -> np.ndarray:
    """The draw of highest probability [s g], gene by gene, among draws [k s g].

    Stem leaves open how that probability is had: here a Gaussian kernel density over the k draws, of Scott's width
    sd · k^(-1/5). Where the densest are equally dense (two draws always are), their mean. O(k²).
    """
    draws = np.asarray(draws, dtype=np.float64)
    k, flat = len(draws), draws.reshape(len(draws), -1)
    result = np.empty(flat.shape[1])
    for columns in row_blocks(flat.shape[1], budget=_BLOCK_VALUES, per_row=k):
        x = flat[:, columns]
        width = (x.std(axis=0, ddof=1) if k > 1 else np.zeros(x.shape[1])) * k ** (-1 / 5)
        scale = np.where(width > 0, width, 1.0)
        density = np.stack([np.exp(-0.5 * ((x - one) / scale) ** 2).sum(axis=0) for one in x])
        densest = density >= density.max(axis=0) * (1 - 1e-12)
        result[columns] = (x * densest).sum(axis=0) / densest.sum(axis=0)
    return result.reshape(draws.shape[1:])


SAMPLE_STATISTICS: Mapping[str, Callable[[np.ndarray], np.ndarray]] = {
    "mean": draws_mean,
    "median": draws_median,
    "mode": draws_mode,
}
"""Ways to make one prediction [s g] of draws [k s g] (Stem, table 7)."""


def sample_statistics(truth: np.ndarray, draws: np.ndarray) -> dict[str, dict[str, float]]:
    """Stem's table 7 of one section: statistic -> {pcc, pcc_top10, pcc_top50, mae, mse, rvd}; NaN is undefined."""
    table: dict[str, dict[str, float]] = {}
    for name, statistic in SAMPLE_STATISTICS.items():
        one = statistic(draws)
        pcc = pcc_counted(truth, one)
        table[name] = {
            "pcc": mean_defined(pcc),
            "pcc_top10": pcc_top(pcc, 10),
            "pcc_top50": pcc_top(pcc, 50),
            "mae": mae(truth, one),
            "mse": mse(truth, one),
            "rvd": rvd(truth, one),
        }
    return table


def _share(values: np.ndarray) -> np.ndarray:
    total = values.sum()
    return values / total if total > 0 else np.full(len(values), np.nan)
