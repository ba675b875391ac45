"""Predictions against measured sections: one dictionary of numbers, ready for JSON."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from eosin import metrics
from eosin.errors import EosinError
from eosin.genes import target
from eosin.metrics.gene_lists import GeneLists
from eosin.types import Prediction, Section


@dataclass(frozen=True)
class _Pair:
    """One section's truth [s g] and prediction, rows matched; xy_um [s 2]."""

    name: str
    truth: np.ndarray
    mean: np.ndarray
    draws: np.ndarray
    xy_um: np.ndarray
    labels: np.ndarray | None
    """[s] domain labels as text; None where no spot has one."""


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
    `pcc["pooled*"]` are the exceptions. `eosin.metrics.METRICS` defines each key.

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
        in all. `sections` holds each section's own numbers. `domains`: sections with labels, and spots of theirs
        without; `biomarkers`: `pcc` by gene, their `mean`, and the `missing` ones; `pathways`: `correlation` and
        `difference`, means over the `sets`, where each stands by name.

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
    pairs = _match(predictions, truths, need_domains=need_domains)
    panel = predictions[0].panel.names
    lists = GeneLists.of(biomarkers, pathways)
    named, sets = lists.named(panel), lists.usable(panel)
    rows = {pair.name: _score_section(pair) for pair in pairs}
    keys = list(dict.fromkeys(key for row in rows.values() for key in row))
    over = {key: np.array([row[key] for row in rows.values() if key in row]) for key in keys}
    means = {key: metrics.mean_defined(values) for key, values in over.items()}

    pooled = metrics.pcc_summary(np.concatenate([p.truth for p in pairs]), np.concatenate([p.mean for p in pairs]))
    summaries = [metrics.pcc_summary(pair.truth, pair.mean) for pair in pairs]
    per_gene = np.stack([metrics.pcc_counted(pair.truth, pair.mean) for pair in pairs])
    pcc: dict[str, Any] = {
        "mean": means.pop("pcc"),
        "pooled": pooled.mean,
        "pooled_strict": pooled.strict,
        "per_section": {name: row["pcc"] for name, row in rows.items()},
        # strict: a section with an undefined gene makes the whole undefined
        "strict": float(np.mean([summary.strict for summary in summaries])),
        "nan_mean": metrics.mean_defined(np.array([summary.nan_mean for summary in summaries])),
        "zero_filled": metrics.mean_defined(np.array([summary.zero_filled for summary in summaries])),
        "n_constant": sum(summary.n_constant for summary in summaries),
        "n_constant_prediction": sum(summary.n_constant_prediction for summary in summaries),
        "per_gene": {gene: metrics.mean_defined(per_gene[:, j]) for j, gene in enumerate(panel)},
    }
    extra: dict[str, Any] = {}
    if any(pair.labels is not None for pair in pairs):
        extra["domains"] = _domain_counts(pairs)
    if named is not None:
        of_named = {gene: pcc["per_gene"][gene] for gene in named if gene in panel}
        mean = metrics.mean_defined(np.array(list(of_named.values())))
        missing = [gene for gene in named if gene not in of_named]
        extra["biomarkers"] = {"mean": mean, "pcc": of_named, "missing": missing}
    if sets:
        extra["pathways"] = _pathways(pairs, panel, sets) | {"n_too_small": len(lists.pathways) - len(sets)}
    return _finite(
        {
            "pcc": pcc,
            **means,
            **extra,
            "n_sections": len(pairs),
            "n_spots": sum(len(pair.truth) for pair in pairs),
            "n_genes": len(panel),
            "n_draws": min(len(pair.draws) for pair in pairs),
            "n_undefined": {key: n for key, values in over.items() if (n := int(np.isnan(values).sum()))},
            "sections": {name: {**row, "n_spots": len(p.truth)} for p, (name, row) in zip(pairs, rows.items())},
        }
    )


def _score_section(pair: _Pair) -> dict[str, float]:
    """Every metric of one section; NaN where undefined."""
    counted = metrics.pcc_counted(pair.truth, pair.mean)
    weights = metrics.spatial_weights(pair.xy_um)

    def structure(predicted: np.ndarray) -> dict[str, float]:
        return {
            "rvd": metrics.rvd(pair.truth, predicted),
            "gsc": metrics.gsc(pair.truth, predicted),
            "ssc": metrics.ssc(pair.truth, predicted, pair.xy_um, weights=weights),
        }

    row = {
        "pcc": metrics.mean_defined(counted),
        "pcc_top10": metrics.pcc_top(counted, 10),
        "pcc_top50": metrics.pcc_top(counted, 50),
        "mse": metrics.mse(pair.truth, pair.mean),
        "mae": metrics.mae(pair.truth, pair.mean),
        **structure(pair.mean),
        "crps": metrics.crps(pair.truth, pair.draws),
    }
    if len(pair.draws) > 1:
        of_draws = [structure(draw) for draw in pair.draws]
        row |= {f"{key}_draw": metrics.mean_defined(np.array([d[key] for d in of_draws])) for key in of_draws[0]}
        row["coverage_90"] = metrics.coverage(pair.truth, pair.draws, 0.9)
        row["coverage_90_expected"] = metrics.expected_coverage(len(pair.draws), 0.9)
    return row if pair.labels is None else row | _score_domains(pair, pair.labels)


def _score_domains(pair: _Pair, labels: np.ndarray) -> dict[str, float]:
    """Domains and marker genes of one section, with the domains that the measured expression itself gives."""
    found, best = (metrics.domain_score(values, list(labels)) for values in (pair.mean, pair.truth))
    return {
        "ari": found.ari,
        "nmi": found.nmi,
        "ari_expected": best.ari,
        "nmi_expected": best.nmi,
        "deg_overlap_20": metrics.deg_overlap(pair.truth, pair.mean, list(labels), 20),
        "deg_overlap_50": metrics.deg_overlap(pair.truth, pair.mean, list(labels), 50),
    }


def _domain_counts(pairs: Sequence[_Pair]) -> dict[str, Any]:
    """What the domain metrics stand on: labelled sections, and in these the labels and the spots without one."""
    known = {pair.name: metrics.has_label(list(pair.labels)) for pair in pairs if pair.labels is not None}
    return {
        "n_sections": len(known),
        "n_domains": {p.name: len(set(p.labels[known[p.name]])) for p in pairs if p.labels is not None},
        "n_unlabelled": {name: int((~there).sum()) for name, there in known.items()},
    }


def _pathways(pairs: Sequence[_Pair], panel: Sequence[str], sets: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """Each gene set's co-expression, mean over sections, and the means over sets."""
    rows = {}
    for name, genes in sets.items():
        found = [metrics.pathway_agreement(pair.truth, pair.mean, panel, genes) for pair in pairs]
        rows[name] = {
            "correlation": metrics.mean_defined(np.array([one.correlation for one in found])),
            "difference": metrics.mean_defined(np.array([one.difference for one in found])),
            "n_genes": len(set(genes) & set(panel)),
            "n_missing": len(set(genes) - set(panel)),
        }
    over = {
        key: metrics.mean_defined(np.array([r[key] for r in rows.values()])) for key in ("correlation", "difference")
    }
    return {**over, "sets": rows}


def _match(predictions: Sequence[Prediction], truths: Sequence[Section], *, need_domains: bool) -> list[_Pair]:
    panel = predictions[0].panel
    sections: dict[str, Section] = {}
    for section in truths:
        if section.name in sections:
            raise EosinError(f"two measured sections are called '{section.name}'", fix="give each section once")
        sections[section.name] = section
    pairs: dict[str, _Pair] = {}
    for prediction in predictions:
        name = prediction.section
        if (prediction.panel.names, prediction.panel.transform) != (panel.names, panel.transform):
            raise EosinError(
                f"predictions of '{predictions[0].section}' and '{name}' differ in genes, their order or transform",
                fix="score predictions of one model together",
            )
        if name in pairs:
            raise EosinError(f"section '{name}' is predicted twice", fix="score each model by itself")
        if name not in sections:
            known = ", ".join(f"'{known}'" for known in sections) or "none"
            raise EosinError(f"no measured section is called '{name}'; measured: {known}", fix="give its counts")
        pairs[name] = _pair(prediction, sections[name], need_domains=need_domains)
    return list(pairs.values())


def _pair(prediction: Prediction, section: Section, *, need_domains: bool) -> _Pair:
    if len(prediction.spots) == 0:
        raise EosinError(f"the prediction of '{section.name}' has no spots", fix="leave it out")
    place = {id_: i for i, id_ in enumerate(section.spots.ids)}
    missing = [id_ for id_ in prediction.spots.ids if id_ not in place]
    if missing:
        raise EosinError(
            f"section '{section.name}': {len(missing)} of {len(prediction.spots)} predicted spots were not measured, "
            f"first '{missing[0]}'",
            fix="predict at the measured spots",
        )
    measured = section.take(np.array([place[id_] for id_ in prediction.spots.ids]))
    truth = target(measured, prediction.panel)
    labelled = measured.domains is not None and metrics.has_label(measured.domains).any()
    labels = metrics.need_labels(measured.domains, section.name) if labelled or need_domains else None
    return _Pair(section.name, truth, prediction.mean, prediction.draws, measured.spots.xy_um, labels)


def _finite(value: Any) -> Any:
    """The same with NaN and infinity as None and NumPy numbers as Python's: what JSON can hold."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (float, np.floating)):
        return float(value) if math.isfinite(value) else None
    return value
