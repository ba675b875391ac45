"""What each number in a score means, for reports and documentation."""

from __future__ import annotations

from typing import Literal, NamedTuple


class Metric(NamedTuple):
    """One line of definition, which way is better, and where the metric comes from.

    `better` is "up", "down", or "expected" where the best value is one stated beside it.
    """

    definition: str
    better: Literal["up", "down", "expected"]
    source: str


_HEST, _STEM, _FLAG = "HEST-bench", "Stem, section 4", "FLAG, appendix C.2"
_DOMAINS = "FLAG, appendix H.9"
_GNEITING = "Gneiting & Raftery 2007"
_EACH = ", of each draw, then averaged over draws"

METRICS: dict[str, Metric] = {
    "pcc.mean": Metric(
        "Pearson over spots per gene, mean over genes within a section, then over sections; genes with constant truth "
        "left out, genes with constant prediction count as 0",
        "up",
        "eosin",
    ),
    "pcc.pooled": Metric("as pcc.mean, but over the spots of all sections put together", "up", "eosin"),
    "pcc.pooled_strict": Metric("Pearson per gene over pooled spots, plain mean; undefined if any is", "up", _HEST),
    "pcc.strict": Metric("Pearson per gene within sections, plain mean; undefined if any is", "up", "STFlow"),
    "pcc.nan_mean": Metric("Pearson per gene within sections, mean over the defined ones", "up", "TRIPLEX"),
    "pcc.zero_filled": Metric("Pearson per gene within sections, every undefined one as 0", "up", "eosin"),
    "pcc_top10": Metric("mean of the 10 best genes' Pearson, picked on the test data: descriptive only", "up", _STEM),
    "pcc_top50": Metric("mean of the 50 best genes' Pearson, picked on the test data: descriptive only", "up", _STEM),
    "mse": Metric("mean squared error of the mean of the draws", "down", "standard"),
    "mae": Metric("mean absolute error of the mean of the draws", "down", "standard"),
    "rvd": Metric("squared relative error of each gene's variance over spots, mean over genes", "down", _STEM),
    "gsc": Metric("Pearson between the gene-gene correlations of prediction and truth", "up", _FLAG),
    "ssc": Metric("Pearson across genes between Moran's I (8 nearest spots) of prediction and truth", "up", _FLAG),
    "rvd_draw": Metric("rvd" + _EACH, "down", _STEM),
    "gsc_draw": Metric("gsc" + _EACH, "up", _FLAG),
    "ssc_draw": Metric("ssc" + _EACH, "up", _FLAG),
    "crps": Metric("continuous ranked probability score of the draws; one draw scores its mae", "down", _GNEITING),
    "ari": Metric(
        "adjusted Rand index of Leiden clusters of the predicted expression against the domain labels", "up", _DOMAINS
    ),
    "nmi": Metric("normalised mutual information of the same", "up", _DOMAINS),
    "ari_expected": Metric(
        "ari of the measured expression of the same genes: what the labels allow", "expected", _DOMAINS
    ),
    "nmi_expected": Metric("nmi of the measured expression of the same genes", "expected", _DOMAINS),
    "deg_overlap_20": Metric(
        "share of each domain's 20 top genes (Wilcoxon, one domain against the rest) that prediction and truth have in "
        "common, mean over domains; chance is 20 / genes; undefined with 20 genes or fewer",
        "up",
        _DOMAINS,
    ),
    "deg_overlap_50": Metric("the same of 50 top genes", "up", _DOMAINS),
    "biomarkers.mean": Metric("pcc.mean over the named biomarkers alone", "up", "STFlow, section 4.2"),
    "pathways.correlation": Metric(
        "gsc over the genes of each given gene set, mean over sections, then over sets", "up", "FLAG, section 4.5"
    ),
    "pathways.difference": Metric(
        "mean absolute difference of the same gene-gene correlations, mean over sections, then over sets",
        "down",
        "eosin",
    ),
    "coverage_90": Metric("share of truth inside the draws' central 90 % interval", "expected", "standard"),
    "coverage_90_expected": Metric("coverage_90 of a perfect model with as many draws", "expected", "order statistics"),
}
