"""Predictions against measured sections: one dictionary of numbers, ready for JSON."""

from __future__ import annotations

import logging
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from eosin.errors import EosinError
from eosin.metrics import MatchedSection, MatchedSections, all_metrics
from eosin.metrics.accuracy import gene_means, mean_defined
from eosin.metrics.conventions import summaries_of
from eosin.metrics.domains import clustered, has_label
from eosin.metrics.gene_lists import GeneLists, biomarker_means
from eosin.metrics.pathway import gene_set_rows
from eosin.scores.matching import match
from eosin.types import Prediction, Section

log = logging.getLogger("eosin")


def score(
    predictions: Prediction | Sequence[Prediction],
    truths: Section | Sequence[Section],
    *,
    biomarkers: Sequence[str] | None = None,
    pathways: str | Path | Mapping[str, Sequence[str]] | None = None,
    need_domains: bool = False,
) -> dict[str, Any]:
    """Score predictions of one model against the measured sections.

    Sections are matched by name and spots by id, in whatever order they stand; the truth may hold more of both. The
    truth is brought to the panel's transform. Accuracy is of the mean of the draws; structure (RVD, GSC, SSC) of that
    mean, and (keys `*_draw`, with two draws or more) of every single draw, averaged, since a mean is smoother than any
    sample. Every metric is computed within a section and then averaged over sections, each counting once;
    `pcc["pooled*"]` are the exceptions. `eosin.metrics.METRICS` defines each key; those that other packages
    register are scored beside eosin's own.

    Sections whose truth has domain labels are also scored by domains (ARI, NMI) and marker genes, over their labelled
    spots; without labels anywhere those keys are absent.

    Parameters
    ----------
    biomarkers
        Genes to score by name as well; those that are not in the panel are listed as missing. By default
        `BIOMARKERS`, where the panel holds at least one of them.
    pathways
        Gene sets by name, or a .gmt file, whose co-expression is compared; sets with fewer than 3 genes in the panel
        are counted.
    need_domains
        Refuse a section without domain labels, rather than leave it out of those metrics.

    Returns
    -------
    dict
        Floats are finite or None (undefined; `n_undefined` counts for each metric the sections where it was).
        `pcc["per_gene"]` is each gene's mean over sections under the headline's rule, None where its truth is constant
        in all. `sections` holds each section's own numbers. `domains`: sections with labels, spots of theirs without
        and, of sections of more than `MOST_SPOTS`, how many spots were clustered (`n_clustered`); `biomarkers`: `pcc`
        by gene, their `mean`, and the `missing` ones; `pathways`: `correlation` and `difference`, means over the
        `sets`, where each stands by name.

    Raises
    ------
    EosinError
        A section, spot or gene of a prediction was not measured; predictions differ in panel; a section comes twice;
        labels are needed and missing; no biomarker or gene set is in the panel; a broken .gmt file.
    """
    predictions = [predictions] if isinstance(predictions, Prediction) else list(predictions)
    truths = [truths] if isinstance(truths, Section) else list(truths)
    if not predictions:
        raise EosinError("there is no prediction to score", fix="predict at least one section")
    sections = match(predictions, truths, need_domains=need_domains)
    lists, panel = GeneLists.of(biomarkers, pathways), predictions[0].panel.names
    named, gene_sets = lists.named(panel), lists.usable(panel)
    matched = MatchedSections(sections, panel, None if named is None else tuple(named), gene_sets)
    rows = {section.name: _metrics_of_section(section) for section in sections}
    found = _numbers(matched, rows)
    _add(found, _details(matched, rows, n_too_small=len(lists.pathways) - len(gene_sets)))
    _add(
        found,
        {
            "n_sections": len(sections),
            "n_spots": sum(len(section.truth) for section in sections),
            "n_genes": len(panel),
            "n_draws": min(len(section.draws) for section in sections),
            "n_undefined": _count_undefined(rows),
            "sections": {s.name: {**rows[s.name], "n_spots": len(s.truth)} for s in sections},
        },
    )
    return _finite(found)


def _metrics_of_section(section: MatchedSection) -> dict[str, float]:
    """Every metric of one section; NaN where undefined."""
    return {
        metric.key_in_section: float(metric.function(section))
        for metric in all_metrics()
        if metric.scope == "section" and metric.needs(section)
    }


def _numbers(matched: MatchedSections, rows: Mapping[str, Mapping[str, float]]) -> dict[str, Any]:
    """Every metric of the score, each under its key."""
    found: dict[str, Any] = {}
    for metric in all_metrics():
        if metric.scope == "sections":
            values = [metric.function(matched)] if metric.needs(matched) else []
        else:
            values = [row[metric.key_in_section] for row in rows.values() if metric.key_in_section in row]
        if values:
            _place(found, metric.key, mean_defined(np.array(values)))
    return found


def _count_undefined(rows: Mapping[str, Mapping[str, float]]) -> dict[str, int]:
    """In how many sections each metric was undefined, where it was in any."""
    counts = Counter(key for row in rows.values() for key, value in row.items() if math.isnan(value))
    return {key: counts[key] for row in rows.values() for key in row if counts[key]}


def _details(
    matched: MatchedSections, rows: Mapping[str, Mapping[str, float]], *, n_too_small: int
) -> dict[str, dict[str, Any]]:
    """What stands beside metrics: counts, and the numbers of single sections, genes and gene sets."""
    summaries = matched.once(summaries_of)
    details: dict[str, dict[str, Any]] = {
        "pcc": {
            "per_section": {name: row["pcc"] for name, row in rows.items()},
            "n_constant": sum(summary.n_constant for summary in summaries),
            "n_constant_prediction": sum(summary.n_constant_prediction for summary in summaries),
            "per_gene": matched.once(gene_means),
        }
    }
    if any(section.labels is not None for section in matched.sections):
        details["domains"] = _domain_counts(matched.sections)
    if matched.biomarkers is not None:
        means = biomarker_means(matched)
        details["biomarkers"] = {"pcc": means, "missing": [gene for gene in matched.biomarkers if gene not in means]}
    if matched.gene_sets:
        details["pathways"] = {"sets": matched.once(gene_set_rows), "n_too_small": n_too_small}
    return details


def _domain_counts(sections: Sequence[MatchedSection]) -> dict[str, Any]:
    """What the domain metrics stand on: labelled sections, and in these the labels and the spots without one."""
    known = {s.name: has_label(list(s.labels)) for s in sections if s.labels is not None}
    some = {s.name: len(clustered(s)) for s in sections if s.name in known and len(clustered(s)) < len(s.truth)}
    for name, n in some.items():
        log.warning("%s: ARI and NMI are of %s of its %s spots, evenly spread", name, f"{n:,}", f"{len(known[name]):,}")
    return ({"n_clustered": some} if some else {}) | {
        "n_sections": len(known),
        "n_domains": {s.name: len(set(s.labels[known[s.name]])) for s in sections if s.labels is not None},
        "n_unlabelled": {name: int((~there).sum()) for name, there in known.items()},
    }


def _place(found: dict[str, Any], key: str, value: float) -> None:
    """Put a number under its key: `pcc.mean` into the table `pcc`."""
    table, _, name = key.rpartition(".")
    _add(found, {table: {name: value}} if table else {name: value})


def _add(found: dict[str, Any], more: Mapping[str, Any]) -> None:
    """Add entries, and those of tables to tables; two of one name are an error of whoever named a metric so."""
    for key, value in more.items():
        if isinstance(value, Mapping) and isinstance(found.get(key), dict):
            _add(found[key], value)
        elif key in found:
            raise ValueError(f"two numbers of a score are called '{key}'")
        else:
            found[key] = dict(value) if isinstance(value, Mapping) else value


def _finite(value: Any) -> Any:
    """The same with NaN and infinity as None and NumPy numbers as Python's: what JSON can hold."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (float, np.floating)):
        return float(value) if math.isfinite(value) else None
    return value
