"""Metrics: (truth, prediction) -> numbers. Arrays in, floats out; NaN means undefined."""

from eosin.metrics.accuracy import (
    PccSummary,
    is_constant,
    mae,
    mean_defined,
    mse,
    pcc_counted,
    pcc_summary,
    pcc_top,
    pearson_per_gene,
)
from eosin.metrics.calibration import coverage, crps, crps_per_gene, energy, expected_coverage
from eosin.metrics.catalog import METRICS, Metric
from eosin.metrics.structure import gsc, morans_i, rvd, rvd_per_gene, spatial_weights, ssc

__all__ = [
    "METRICS",
    "Metric",
    "PccSummary",
    "coverage",
    "crps",
    "crps_per_gene",
    "energy",
    "expected_coverage",
    "gsc",
    "is_constant",
    "mae",
    "mean_defined",
    "morans_i",
    "mse",
    "pcc_counted",
    "pcc_summary",
    "pcc_top",
    "pearson_per_gene",
    "rvd",
    "rvd_per_gene",
    "spatial_weights",
    "ssc",
]
