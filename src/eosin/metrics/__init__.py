"""Metrics: (truth, prediction) -> numbers. Arrays in, floats out; NaN means undefined.

Each file is a family of functions, and below them registers the numbers of a score that they give, each as a `Metric`.
"""

from eosin.metrics.accuracy import (
    is_constant,
    mae,
    mean_defined,
    mean_of_rows,
    mse,
    pcc_counted,
    pcc_top,
    pearson_per_gene,
)
from eosin.metrics.bars import coverage_of_bars, crps_of_bars
from eosin.metrics.calibration import (
    coverage,
    crps,
    crps_per_gene,
    energy,
    expected_coverage,
    shares_between_draws,
)
from eosin.metrics.conventions import PccSummary, pcc_summary
from eosin.metrics.depth import first_component, has_depth, partial_pcc
from eosin.metrics.differential import deg_overlap, marker_overlap, wilcoxon
from eosin.metrics.distribution import energy_distance, energy_distance_per_gene
from eosin.metrics.domains import DomainScore, domain_score, find_domains, has_label, need_labels
from eosin.metrics.gene_lists import GeneLists
from eosin.metrics.leiden import leiden, modularity
from eosin.metrics.matched import MatchedSection, MatchedSections, has_draws, has_labels
from eosin.metrics.metric import METRICS, Metric, all_metrics
from eosin.metrics.pathway import PathwayAgreement, coexpression, pathway_agreement, read_gmt
from eosin.metrics.structure import gsc, morans_i, rvd, rvd_per_gene, spatial_weights, ssc
from eosin.metrics.variation import SAMPLE_STATISTICS, VariationCurve, sample_statistics, variation_curve

__all__ = [
    "METRICS",
    "SAMPLE_STATISTICS",
    "DomainScore",
    "GeneLists",
    "MatchedSection",
    "MatchedSections",
    "Metric",
    "PathwayAgreement",
    "PccSummary",
    "VariationCurve",
    "all_metrics",
    "coexpression",
    "coverage",
    "coverage_of_bars",
    "crps",
    "crps_of_bars",
    "crps_per_gene",
    "deg_overlap",
    "domain_score",
    "energy",
    "energy_distance",
    "energy_distance_per_gene",
    "expected_coverage",
    "find_domains",
    "first_component",
    "gsc",
    "has_depth",
    "has_draws",
    "has_label",
    "has_labels",
    "is_constant",
    "leiden",
    "mae",
    "marker_overlap",
    "mean_defined",
    "mean_of_rows",
    "modularity",
    "morans_i",
    "mse",
    "need_labels",
    "partial_pcc",
    "pathway_agreement",
    "pcc_counted",
    "pcc_summary",
    "pcc_top",
    "pearson_per_gene",
    "read_gmt",
    "rvd",
    "rvd_per_gene",
    "sample_statistics",
    "shares_between_draws",
    "spatial_weights",
    "ssc",
    "variation_curve",
    "wilcoxon",
]
