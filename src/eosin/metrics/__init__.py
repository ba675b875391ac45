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
from eosin.metrics.differential import deg_overlap, marker_overlap, wilcoxon
from eosin.metrics.distribution import energy_distance, energy_distance_per_gene
from eosin.metrics.domains import DomainScore, domain_score, find_domains, has_label, need_labels
from eosin.metrics.leiden import leiden, modularity
from eosin.metrics.pathway import PathwayAgreement, coexpression, pathway_agreement, read_gmt
from eosin.metrics.structure import gsc, morans_i, rvd, rvd_per_gene, spatial_weights, ssc
from eosin.metrics.variation import SAMPLE_STATISTICS, VariationCurve, sample_statistics, variation_curve

__all__ = [
    "METRICS",
    "SAMPLE_STATISTICS",
    "DomainScore",
    "Metric",
    "PathwayAgreement",
    "PccSummary",
    "VariationCurve",
    "coexpression",
    "coverage",
    "crps",
    "crps_per_gene",
    "deg_overlap",
    "domain_score",
    "energy",
    "energy_distance",
    "energy_distance_per_gene",
    "expected_coverage",
    "find_domains",
    "gsc",
    "has_label",
    "is_constant",
    "leiden",
    "mae",
    "marker_overlap",
    "mean_defined",
    "modularity",
    "morans_i",
    "mse",
    "need_labels",
    "pathway_agreement",
    "pcc_counted",
    "pcc_summary",
    "pcc_top",
    "pearson_per_gene",
    "read_gmt",
    "rvd",
    "rvd_per_gene",
    "sample_statistics",
    "spatial_weights",
    "ssc",
    "variation_curve",
    "wilcoxon",
]
