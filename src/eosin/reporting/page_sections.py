"""What each section of a prediction's page shows, from the gathered run; templates turn it into HTML."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from typing import Any

import numpy as np

from eosin.plurals import counted
from eosin.reporting.charts import Calibration, calibration_charts
from eosin.reporting.figures import to_pixels
from eosin.reporting.gathered import ReportedRun
from eosin.reporting.gene_plot import values_figure
from eosin.reporting.html import Markup, Picture, as_json, number, table
from eosin.reporting.maps import Thumbnail, has_sd_map, is_under, thumbnail_of, unit_of
from eosin.reporting.prediction_part import part_of
from eosin.reporting.verdicts import coverage_sentence
from eosin.scores.origin import origin_warnings
from eosin.scores.results import pick
from eosin.slide.jpeg import jpeg
from eosin.types import Section


@dataclass(frozen=True)
class ErrorBarSection:
    """Sentences on the error bars, and charts of whether they hold."""

    sentences: list[str]
    charts: list[Markup]


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
        ("genes", f"{len(run.main[0].panel):,}"),
        (run.main[0].spots.unit, f"{sum(len(p.spots) for p in run.main):,}"),
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


def width_of_bars(run: ReportedRun) -> list[str]:
    """For whom the error bars are, and what their width was learned from."""
    found = {}
    for prediction in run.main:
        if (bars := prediction.error_bars) is not None:
            patients = counted(bars.n_patients, "training patient")
            found[f"Error bars for a {bars.kind}, from {patients}: {bars.basis}."] = None
    return list(found)


def calibration_of(run: ReportedRun) -> Calibration | None:
    """Of the error bars, without them of the draws; None without truth, and where there are neither."""
    if not run.truth:
        return None
    if bars := run.with_bars():
        return Calibration.of_bars(bars)
    if min(p.n_draws for p in run.main if p.section in run.truth) < 2:
        return None
    return Calibration.of_draws(*run.truth_and_draws(), mirrored=run.mirrored)


def error_bars(run: ReportedRun, found: Calibration | None) -> ErrorBarSection:
    """What is to be said of the error bars."""
    sentences = []
    if found is not None:
        place = int(np.argmin(np.abs(found.promised - 0.9)))
        sentences.append(coverage_sentence(float(found.promised[place]), float(found.measured[place])))
    elif not run.main[0].has_spread:
        sentences.append("The model gives one value per gene and spot, and no error bars.")
    elif not run.truth:
        sentences.append("Without measured values it cannot be checked here whether the error bars hold.")
    sentences += width_of_bars(run)
    if run.main[0].has_spread and not has_sd_map(run.main[0]):
        sentences.append(
            "The width is one number for each gene, the same at every spot, so there is no map of it; the distance "
            "from training (a map above, where it is known) says which spots are unusual."
        )
    return ErrorBarSection(sentences, [] if found is None else calibration_charts(found, unit_of(run.main[0].panel)))


def first_picture(run: ReportedRun, gene: str, thumbnails: Mapping[str, Thumbnail]) -> Picture:
    """The map of one gene on the first section: what is seen where no script runs."""
    prediction = run.main[0]
    shown = ("mean", "truth") if prediction.section in run.truth else ("mean",)
    truth = run.truth.get(prediction.section)
    j = prediction.panel.names.index(gene)
    one = None if truth is None else truth[:, [j]]
    alone = part_of(prediction, None, [j])
    figure = values_figure(alone, [gene], shown, one, thumbnails.get(prediction.section))
    pixels = to_pixels(figure, 110)
    text = f"{gene} on section {prediction.section}: the predicted mean" + (
        " and the measured values" if one is not None else ""
    )
    return Picture(jpeg(pixels), text, min(pixels.shape[1], 900))


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


def _remark_rows(predictions: Sequence[Any]) -> list[list[str]]:
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


def slides(run: ReportedRun, thumbnails: Mapping[str, Thumbnail] | None) -> tuple[dict[str, Thumbnail], list[str]]:
    """The small image of each section's slide, and what is to be said of those without one."""
    found, missing, elsewhere = {}, [], []
    for prediction in run.main:
        small = thumbnail_of(thumbnails, prediction.section)
        if small is None:
            missing.append(prediction.section)
        elif not is_under(small, prediction.spots):
            elsewhere.append(prediction.section)
        else:
            found[prediction.section] = small
    sentences = []
    for names, why in ((missing, "was not found"), (elsewhere, "does not lie under its spots")):
        if names:
            which = "" if len(run.main) == 1 else f" of {', '.join(names[:5])}" + (", ..." if len(names) > 5 else "")
            sentences.append(f"The slide's image{which} {why}: maps stand on plain ground.")
    return found, sentences
