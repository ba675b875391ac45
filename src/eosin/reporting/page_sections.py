"""What each section of a prediction's page shows, from the gathered run; templates turn it into HTML."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from typing import Any

import numpy as np

from eosin.metrics import pcc_counted
from eosin.plurals import counted
from eosin.progress import task
from eosin.reporting.charts import Calibration, calibration_chart, gene_chart
from eosin.reporting.gathered import ReportedRun
from eosin.reporting.html import Markup, Picture, as_json, number, table
from eosin.reporting.maps import (
    Thumbnail,
    distance_layer,
    draw_gene,
    draw_slide,
    extent_of,
    gene_layers,
    thumbnail_of,
    unit_of,
)
from eosin.reporting.words import HOW_TO_READ, RESEARCH_ONLY, trust
from eosin.scores.origin import origin_warnings
from eosin.scores.results import pick
from eosin.types import Prediction, Section

_MOST_SECTIONS = 5


@dataclass(frozen=True)
class GeneAccuracy:
    """Correlation gene by gene: a chart, and the same numbers as a table."""

    chart: Picture
    table: Markup


@dataclass(frozen=True)
class GeneMaps:
    """The maps of one gene in one section, with the reason why it is shown."""

    name: str
    remark: str
    maps: Picture


@dataclass(frozen=True)
class Tissue:
    """One section: its image, and the maps of its genes."""

    section: str
    slide: Picture
    genes: list[GeneMaps]


@dataclass(frozen=True)
class Origin:
    """Where a run comes from.

    Attributes
    ----------
    table
        Model, seeds, panel, training sections, split and images.
    settings
        Resolved settings as JSON; None where none were given.
    versions
        Versions of the packages, as a table.
    provenances
        For each prediction a title and its record as JSON.
    """

    table: Markup
    settings: str | None
    versions: Markup
    provenances: list[tuple[str, str]]


def key_figures(
    run: ReportedRun, scores: Mapping[str, Mapping[str, Any]], pcc: np.ndarray | None
) -> list[tuple[str, str]]:
    """Names and values of the big numbers at the top."""
    own_scores = scores.get(run.model, {})
    mean, coverage = pick(own_scores, "pcc.mean"), pick(own_scores, "coverage_90")
    if mean is None and pcc is not None and not np.isnan(pcc).all():
        mean = float(np.nanmean(pcc))
    figures = [] if mean is None else [("mean correlation over genes (PCC)", number(mean))]
    if coverage is not None:
        figures.append(("of values inside the 90 % interval", f"{coverage:.0%}"))
    return [
        *figures,
        ("genes", str(len(run.main[0].panel))),
        ("spots", f"{sum(len(p.spots) for p in run.main):,}".replace(",", " ")),
        *([] if run.main[0].n_draws == 1 else [("draws per spot", str(run.main[0].n_draws))]),
    ]


def remarks(run: ReportedRun, truth: Sequence[Section]) -> list[str]:
    """What a reader must not overlook: synthetic tissue, leaks, sections without a score."""
    sentences = []
    if any(section.platform == "synthetic" for section in truth):
        sentences.append("This is synthetic tissue: drawn by a program, for showing and testing. It is no patient's.")
    for prediction in run.predictions():
        sentences += origin_warnings(prediction)
    unmeasured = [p.section for p in run.main if p.section not in run.truth]
    if run.truth and unmeasured:
        sentences.append(f"Not measured, so not scored: {', '.join(unmeasured)}.")
    return list(dict.fromkeys(sentences))


def reading(
    run: ReportedRun,
    scores: Mapping[str, Mapping[str, Any]],
    pcc: np.ndarray | None,
    found: Calibration | None,
) -> list[str]:
    """Sentences on how to read the page, and on how far to trust the model, whose calibration was found."""
    coverage = None
    if found is not None:
        place = int(np.argmin(np.abs(found.promised - 0.9)))
        coverage = (float(found.promised[place]), float(found.measured[place]))
    return [
        HOW_TO_READ,
        *trust(run.model, scores, pcc, coverage),
        *width_of_bars(run),
        *likeness_of_slides(run),
        RESEARCH_ONLY,
    ]


def width_of_bars(run: ReportedRun) -> list[str]:
    """For whom the error bars are, and what their width was learned from."""
    found = {}
    for prediction in run.main:
        if (bars := prediction.error_bars) is not None:
            patients = counted(bars.n_patients, "training patient")
            found[f"Error bars for a {bars.kind}, from {patients}: {bars.basis}."] = None
    return list(found)


def likeness_of_slides(run: ReportedRun) -> list[str]:
    """Whether each slide is like the training slides."""
    return [f"Slide {p.section} is {p.likeness.line()}." for p in run.main if p.likeness is not None]


def calibration_of(run: ReportedRun) -> Calibration | None:
    """Of the error bars, without them of the draws; None without truth, and where there are neither."""
    if not run.truth:
        return None
    if bars := run.with_bars():
        return Calibration.of_bars(bars)
    if min(p.n_draws for p in run.main if p.section in run.truth) < 2:
        return None
    return Calibration.of_draws(*run.truth_and_draws(), mirrored=run.mirrored)


def gene_accuracy(run: ReportedRun, pcc: np.ndarray | None) -> GeneAccuracy | None:
    """Correlation of every gene and model; None where no gene has one."""
    if pcc is None or np.isnan(pcc).all():
        return None
    by_model = {run.model: pcc}
    by_model |= {model: v for model, group in run.others.items() if (v := run.pcc(group)) is not None}
    genes = run.main[0].panel.names
    n_constant = int(np.isnan(pcc).sum())
    left_out = f" {count(n_constant, 'gene')} left out that do not vary." if n_constant else ""
    trust = run.main[0].trust
    columns = {} if trust is None else {"held out in training": trust.inner_pcc, "given depth": trust.beyond_depth}
    rows = [
        [gene, *(number(float(values[j])) for values in (*by_model.values(), *columns.values()))]
        + ([] if trust is None else [trust.verdicts[j]])
        for j, gene in enumerate(genes)
    ]
    return GeneAccuracy(
        Picture(
            gene_chart(genes, by_model),
            "Pearson correlation of every gene",
            "Mean over the measured sections." + left_out,
        ),
        table(
            ["gene", *(f"{model}, PCC" for model in by_model), *columns, *([] if trust is None else ["trust"])], rows
        ),
    )


def calibration_picture(run: ReportedRun, found: Calibration | None) -> Picture | None:
    """The chart of intervals and error bars; None where no calibration was found."""
    if found is None:
        return None
    caption = (
        "Left: a point below the line means that too many measurements fall outside, so the error bars are too narrow. "
        "Right: a line that rises means that larger error bars stand where errors are larger"
        f"{'; each point is some of the genes' if run.with_bars() else ''}."
    )
    return Picture(calibration_chart(found, unit_of(run.main[0].panel)), "Calibration", caption)


def tissues(run: ReportedRun, genes: Mapping[str, str], thumbnails: Mapping[str, Thumbnail] | None) -> list[Tissue]:
    """The first five sections with the maps of `genes` (gene -> why it is shown)."""
    shown = run.main[:_MOST_SECTIONS]
    drawn = []
    with task("draw maps", len(shown), "sections") as tick:
        for prediction in shown:
            truth = run.truth.get(prediction.section)
            drawn.append(_tissue(prediction, truth, genes, thumbnail_of(thumbnails, prediction.section)))
            tick()
    return drawn


def _tissue(
    prediction: Prediction, truth: np.ndarray | None, genes: Mapping[str, str], thumbnail: Thumbnail | None
) -> Tissue:
    spots, extent = prediction.spots, extent_of(prediction.spots, thumbnail)
    pcc = None if truth is None else pcc_counted(truth, prediction.mean)
    maps = []
    for gene, why in genes.items():
        j = prediction.panel.names.index(gene)
        layers = gene_layers(prediction, gene, None if truth is None else truth[:, j])
        remark = why if pcc is None else f"{why}; PCC here {number(float(pcc[j]))}"
        if prediction.error_bars is not None:
            remark += f"; sd {number(float(prediction.error_bars.scale[j]))} at every spot"
        maps.append(GeneMaps(gene, remark, Picture(draw_gene(spots, layers, extent), f"Maps of {gene}")))
    slide = Picture(
        draw_slide(thumbnail, spots, extent), f"H&E of {prediction.section}", counted(len(prediction.spots), "spot")
    )
    if prediction.likeness is not None:
        picture = Picture(draw_gene(spots, [distance_layer(prediction.likeness)], extent), "Distance from training")
        remark = f"1 is usual for training spots, the limit is {prediction.likeness.spot_limit:.2f}"
        maps.append(GeneMaps("Distance from training", remark, picture))
    return Tissue(prediction.section, slide, maps)


def origin(run: ReportedRun, settings: Mapping[str, Any], thumbnails: Mapping[str, Thumbnail] | None) -> Origin:
    """What made these predictions: model, panel, data, settings, versions."""
    panel = run.main[0].panel
    rows = [
        ["model", run.model],
        ["seeds", ", ".join(sorted({str(p.seed) for p in run.main}))],
        ["genes chosen by", f"{panel.rule}, on {', '.join(panel.chosen_on) or 'no section'}"],
        ["values", unit_of(panel)],
        ["trained on", ", ".join(map(str, run.main[0].provenance.get("trained_on") or ())) or "not recorded"],
        *_remark_rows(run.main),
        *_benchmark_rows(run.main[0].provenance.get("benchmark") or {}),
        ["images", ", ".join(f"{name} at {mpp:.3g} µm/px" for name, (_, mpp) in (thumbnails or {}).items()) or "none"],
    ]
    versions = [[name, version(name)] for name in ("eosin", "numpy", "scipy", "torch", "matplotlib", "anndata")]
    return Origin(
        table(["", ""], rows, class_="wrap"),
        as_json(settings) if settings else None,
        table(["package", "version"], versions, class_="wrap"),
        [(f"{p.model} on {p.section}", as_json(p.provenance)) for p in run.predictions()],
    )


def _remark_rows(predictions: Sequence[Prediction]) -> list[list[str]]:
    """What the model said of how it predicted each section, one row for each kind of remark."""
    by_kind: dict[str, list[str]] = {}
    for prediction in predictions:
        for kind, remark in (prediction.provenance.get("remarks") or {}).items():
            by_kind.setdefault(kind, []).append(f"{prediction.section}: {remark}")
    return [[kind, "; ".join(dict.fromkeys(remarks))] for kind, remarks in by_kind.items() if kind != "network"]


def _benchmark_rows(stamps: Mapping[str, Any]) -> list[list[str]]:
    """What a prediction that a benchmark kept says of its split and protocol."""
    rows = [["split", str(stamps["split"])]] if stamps.get("split") else []
    if stamp := stamps.get("protocol"):
        rows.append(["protocol", f"{stamp['name']}, version {stamp['version']}, sha256 {stamp['sha256']}"])
        rows.append(["epoch chosen on", str(stamp["selection"])])
    return rows


def count(n: int, noun: str) -> str:
    """A number with its noun: `1 gene`, `2 genes`."""
    return f"{n} {noun}" + ("" if n == 1 else "s")


def version(package: str) -> str:
    """The installed version of a package, or `unknown`."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "unknown"
