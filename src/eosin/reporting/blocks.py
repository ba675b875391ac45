"""The parts of a run's report, each from what `gather` found to finished HTML."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from importlib import metadata
from typing import Any

import numpy as np

from eosin.metrics import pcc_counted
from eosin.progress import task
from eosin.reporting.charts import calibration, calibration_chart, gene_chart
from eosin.reporting.gathered import Run
from eosin.reporting.html import Markup, fold, join, number, picture, section, table, tag
from eosin.reporting.maps import Thumbnail, draw_gene, draw_slide, extent_of, gene_layers, thumbnail_of, unit_of
from eosin.reporting.tables import score_tables, section_table
from eosin.reporting.words import HOW_TO_READ, RESEARCH_ONLY, trust
from eosin.scores.results import pick
from eosin.types import Prediction, Section

_MOST_SECTIONS = 5


def facts(run: Run, scores: Mapping[str, Mapping[str, Any]], pcc: np.ndarray | None) -> Markup:
    """Big numbers at the top."""
    own = scores.get(run.model, {})
    mean, cover = pick(own, "pcc.mean"), pick(own, "coverage_90")
    if mean is None and pcc is not None and not np.isnan(pcc).all():
        mean = float(np.nanmean(pcc))
    facts = [] if mean is None else [("mean correlation over genes (PCC)", number(mean))]
    if cover is not None:
        facts.append(("of values inside the 90 % interval", f"{cover:.0%}"))
    facts += [
        ("genes", str(len(run.main[0].panel))),
        ("spots", f"{sum(len(p.spots) for p in run.main):,}".replace(",", " ")),
        ("draws per spot", str(run.main[0].n_draws)),
    ]
    return tag(
        "div", *(tag("div", tag("b", value), tag("span", name), class_="tile") for name, value in facts), class_="tiles"
    )


def remarks(run: Run, truth: Sequence[Section]) -> list[str]:
    """What a reader must not overlook."""
    said = []
    if any(section.platform == "synthetic" for section in truth):
        said.append("This is synthetic tissue: drawn by a program, for showing and testing. It is no patient's.")
    for one in run.every():
        said += origin_warnings(one)
    missing = [p.section for p in run.main if p.section not in run.truth]
    if run.truth and missing:
        said.append(f"Not measured, so not scored: {', '.join(missing)}.")
    return list(dict.fromkeys(said))


def origin_warnings(one: Prediction) -> list[str]:
    """What a prediction's own record says against its score: leaks, and patients who are known."""
    record, stamps = one.provenance, one.provenance.get("benchmark") or {}
    said = [f"LEAK, not a result: {leak}" for leak in stamps.get("leak", ())]
    if one.section in (record.get("trained_on") or ()):
        said.append(f"LEAK, not a result: {one.model} was trained on section {one.section}")
    elif one.section in one.panel.chosen_on and not said:
        said.append(f"LEAK, not a result: the genes were chosen with section {one.section}")
    if stamps.get("note"):
        said.append(f"{stamps['note']}: {stamps.get('split', one.section)}")
    return said


def reading(run: Run, scores: Mapping[str, Mapping[str, Any]], pcc: np.ndarray | None) -> Markup:
    cover = None
    if run.truth and run.main[0].n_draws > 1:
        truth, draws = run.pairs()
        nominal, observed = calibration(truth, draws)
        cover = (float(nominal[0]), float(observed[0]))
    sentences = trust(run.model, scores, pcc, cover)
    return section(
        "How to read this, and how far to trust it",
        tag("div", *(tag("p", s) for s in (HOW_TO_READ, *sentences, RESEARCH_ONLY)), class_="card"),
    )


def score_block(scores: Mapping[str, Mapping[str, Any]], *, has_truth: bool) -> Markup | None:
    if not scores:
        text = "No scores were given." if has_truth else "No scores: there is no measured expression to compare with."
        return section("Scores", tag("p", text, class_="soft"))
    per_section = section_table(scores)
    more = [tag("h3", "Per section"), per_section] if per_section else []
    return section("Scores", *score_tables(scores), *more)


def per_gene(run: Run, pcc: np.ndarray | None) -> Markup | None:
    if pcc is None or np.isnan(pcc).all():
        return None
    every = {run.model: pcc} | {m: v for m, g in run.others.items() if (v := run.pcc(g)) is not None}
    names = run.main[0].panel.names
    lost = int(np.isnan(pcc).sum())
    say = "Mean over the measured sections." + (f" {count(lost, 'gene')} left out that do not vary." if lost else "")
    rows = [[name, *(number(float(values[j])) for values in every.values())] for j, name in enumerate(names)]
    return section(
        "Gene by gene",
        _figure(gene_chart(names, every), "Pearson correlation of every gene", say),
        fold("The numbers", table(["gene", *(f"{m}, PCC" for m in every)], rows)),
    )


def calibration_block(run: Run) -> Markup | None:
    if not run.truth or run.main[0].n_draws < 2:
        return None
    truth, draws = run.pairs()
    say = (
        f"From {len(draws)} draws. Left: a point below the line means that too many measurements fall outside, so the "
        "error bars are too narrow. Right: a line that rises means that larger error bars stand where errors are "
        "larger."
    )
    chart = calibration_chart(truth, draws, unit_of(run.main[0].panel))
    return section("Do the error bars hold?", _figure(chart, "Calibration", say))


def maps(run: Run, genes: Mapping[str, str], thumbnails: Mapping[str, Thumbnail] | None) -> Markup:
    shown = run.main[:_MOST_SECTIONS]
    left = len(run.main) - len(shown)
    say = f"The first {len(shown)} of {len(run.main)} sections." if left else None
    blocks = []
    with task("draw maps", len(shown), "sections") as tick:
        for one in shown:
            blocks.append(_tissue(run, one, genes, thumbnail_of(thumbnails, one.section)))
            tick()
    return section("Maps", tag("p", say, class_="soft") if say else None, *blocks)


def _tissue(run: Run, one: Prediction, genes: Mapping[str, str], thumbnail: Thumbnail | None) -> Markup:
    """One section: its image at the left, its genes at the right."""
    extent, truth = extent_of(one.spots, thumbnail), run.truth.get(one.section)
    pcc = None if truth is None else pcc_counted(truth, one.mean)
    rows = []
    for gene, why in genes.items():
        j = one.panel.names.index(gene)
        layers = gene_layers(one, gene, None if truth is None else truth[:, j])
        about = why if pcc is None else f"{why}; PCC here {number(float(pcc[j]))}"
        head = tag("h3", gene, tag("span", about, class_="badge"))
        rows.append(tag("div", head, _figure(draw_gene(one.spots, layers, extent), f"Maps of {gene}"), class_="gene"))
    slide = _figure(draw_slide(thumbnail, one.spots, extent), f"H&E of {one.section}", f"{len(one.spots)} spots")
    body = tag("div", tag("div", slide, class_="slide"), tag("div", *rows), class_="tissue")
    return join([tag("h3", f"Section {one.section}"), body])


def details(run: Run, settings: Mapping[str, Any], thumbnails: Mapping[str, Thumbnail] | None) -> Markup:
    panel = run.main[0].panel
    about = [
        ["model", run.model],
        ["seeds", ", ".join(sorted({str(p.seed) for p in run.main}))],
        ["genes chosen by", f"{panel.rule}, on {', '.join(panel.chosen_on) or 'no section'}"],
        ["values", unit_of(panel)],
        ["trained on", ", ".join(map(str, run.main[0].provenance.get("trained_on") or ())) or "not recorded"],
        *_benchmark(run.main[0].provenance.get("benchmark") or {}),
        ["images", ", ".join(f"{name} at {mpp:.3g} µm/px" for name, (_, mpp) in (thumbnails or {}).items()) or "none"],
    ]
    versions = [[name, version(name)] for name in ("eosin", "numpy", "scipy", "torch", "matplotlib", "anndata")]
    origins = [fold(f"{p.model} on {p.section}", tag("pre", _json(p.provenance))) for p in run.every()]
    return section(
        "Where this comes from",
        table(["", ""], about, class_="wrap"),
        fold("Settings", tag("pre", _json(settings))) if settings else None,
        fold("Versions", table(["package", "version"], versions, class_="wrap")),
        fold("Provenance of each prediction", *origins),
    )


def _benchmark(stamps: Mapping[str, Any]) -> list[list[str]]:
    """What a prediction that a benchmark kept says of its split and protocol."""
    rows = [["split", str(stamps["split"])]] if stamps.get("split") else []
    if stamp := stamps.get("protocol"):
        rows.append(["protocol", f"{stamp['name']}, version {stamp['version']}, sha256 {stamp['sha256']}"])
        rows.append(["epoch chosen on", str(stamp["selection"])])
    return rows


def _figure(png: bytes, describe: str, caption: str | None = None) -> Markup:
    shown = tag("div", picture(png, describe), class_="paper")
    return tag("figure", shown, tag("figcaption", caption) if caption else None)


def _json(value: Any) -> str:
    return json.dumps(value, indent=1, default=str, ensure_ascii=False)


def count(n: int, noun: str) -> str:
    return f"{n} {noun}" + ("" if n == 1 else "s")


def version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "unknown"
