"""Accuracy: Pearson correlation per gene and its summaries, squared and absolute error.

Shapes: truth and predicted are [s g] in model values, row for row the same spots. A quantity that is not defined is
NaN, never an exception or a warning.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

CONSTANT = 1e-6
"""A gene is constant where its sd is at most this share of its largest size: float32 draws cannot say less."""


def is_constant(values: np.ndarray) -> np.ndarray:
    """Which columns [g] of values [s g] do not vary beyond rounding; all of them where s < 2."""
    values = np.asarray(values, dtype=np.float64)
    if len(values) < 2:
        return np.ones(values.shape[1], dtype=bool)
    return values.std(axis=0) <= CONSTANT * np.abs(values).max(axis=0)


def pearson_per_gene(truth: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Pearson correlation over spots of each gene [g], float64; NaN where truth or prediction is constant.

    Centred before multiplying, so that a large mean costs no digits. Equals `scipy.stats.pearsonr` per column.
    """
    truth, predicted = _pair(truth, predicted)
    defined = ~(is_constant(truth) | is_constant(predicted))
    result = np.full(truth.shape[1], np.nan)
    if not defined.any():
        return result  # also where there are no spots, whose mean numpy would warn about
    t, p = truth[:, defined], predicted[:, defined]
    t, p = t - t.mean(axis=0), p - p.mean(axis=0)
    t, p = t / np.linalg.norm(t, axis=0), p / np.linalg.norm(p, axis=0)
    result[defined] = np.clip((t * p).sum(axis=0), -1.0, 1.0)
    return result


class PccSummary(NamedTuple):
    """Pearson over the genes of one set of spots, by every convention in use.

    Attributes
    ----------
    mean
        The headline: genes whose truth is constant are left out (nothing can be learnt from them), genes whose
        prediction is constant count as 0, so a model cannot gain by giving up on a gene. NaN without any gene.
    strict
        Plain mean; one undefined gene makes it NaN (HEST-bench, STFlow).
    nan_mean
        Mean over the defined genes (TRIPLEX).
    zero_filled
        Mean with every undefined gene as 0.
    n_constant
        Genes without a PCC.
    n_constant_prediction
        Those among them whose truth does vary.
    """

    mean: float
    strict: float
    nan_mean: float
    zero_filled: float
    n_constant: int
    n_constant_prediction: int


def pcc_counted(truth: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """PCC per gene [g] as the headline counts it: NaN where truth is constant, 0 where only the prediction is."""
    pcc = pearson_per_gene(truth, predicted)
    return np.where(np.isnan(pcc) & ~is_constant(truth), 0.0, pcc)


def pcc_summary(truth: np.ndarray, predicted: np.ndarray) -> PccSummary:
    """Summaries of `pearson_per_gene` over genes: see `PccSummary`."""
    pcc, counted = pearson_per_gene(truth, predicted), pcc_counted(truth, predicted)
    missing = np.isnan(pcc)
    return PccSummary(
        mean=mean_defined(counted),
        strict=float(pcc.mean()) if pcc.size else np.nan,
        nan_mean=mean_defined(pcc),
        zero_filled=float(np.where(missing, 0.0, pcc).mean()) if pcc.size else np.nan,
        n_constant=int(missing.sum()),
        n_constant_prediction=int((missing & ~np.isnan(counted)).sum()),
    )


def pcc_top(pcc: np.ndarray, k: int) -> float:
    """PCC-k (Stem): mean of the k largest gene correlations; NaN with fewer than k defined ones.

    The genes are picked on the evaluation data itself, so this describes a prediction and must not choose a model.
    """
    defined = np.sort(pcc[~np.isnan(pcc)])
    return float(defined[-k:].mean()) if 0 < k <= len(defined) else np.nan


def mse(truth: np.ndarray, predicted: np.ndarray) -> float:
    """Mean squared error over spots and genes, in squared model values."""
    truth, predicted = _pair(truth, predicted)
    return float(np.mean((truth - predicted) ** 2)) if truth.size else np.nan


def mae(truth: np.ndarray, predicted: np.ndarray) -> float:
    """Mean absolute error over spots and genes, in model values."""
    truth, predicted = _pair(truth, predicted)
    return float(np.mean(np.abs(truth - predicted))) if truth.size else np.nan


def mean_defined(values: np.ndarray) -> float:
    """Mean of what is not NaN; NaN (without numpy's warning) where nothing is left."""
    values = np.asarray(values, dtype=np.float64)
    values = values[~np.isnan(values)]
    return float(values.mean()) if values.size else np.nan


def correlate(a: np.ndarray, b: np.ndarray) -> float:
    """Pearson correlation of two vectors; NaN where either is constant or shorter than two."""
    return float(pearson_per_gene(a[:, None], b[:, None])[0])


def _pair(truth: np.ndarray, predicted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    truth, predicted = np.asarray(truth, dtype=np.float64), np.asarray(predicted, dtype=np.float64)
    if truth.ndim != 2 or truth.shape != predicted.shape:
        raise ValueError(f"truth {truth.shape} and prediction {predicted.shape} must both be [s g]")
    return truth, predicted
