"""Three questions that a page answers first: better than the ridge? more than depth? a slide like training?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from eosin.metrics.depth import first_component
from eosin.plurals import counted
from eosin.reporting.gathered import ReportedRun
from eosin.reporting.gene_rows import GeneNumbers
from eosin.reporting.html import number
from eosin.reporting.prediction_part import part_of, some_rows
from eosin.reporting.tables import is_baseline
from eosin.scores.paired_interval import interval
from eosin.scores.results import pick
from eosin.types import Likeness
from eosin.types.likeness import FURTHER, LIKE

GOOD, MIXED, BAD, UNKNOWN = "good", "mixed", "bad", "unknown"
MORE_THAN_DEPTH = 0.3
"""A gene's map is called more than depth from this partial correlation on."""
_NAMED = 4


@dataclass(frozen=True)
class Verdict:
    """An answer, in a few words and in a sentence.

    Attributes
    ----------
    state
        `good`, `mixed`, `bad` or `unknown`: how it is marked.
    question, answer
        What was asked, and the answer in a few words.
    text
        The sentence with the numbers.
    """

    state: str
    question: str
    answer: str
    text: str


def verdicts(run: ReportedRun, numbers: GeneNumbers, scores: Mapping[str, Mapping[str, Any]]) -> list[Verdict]:
    """The answers, in the order of a page."""
    return [against_ridge(run, scores), beyond_depth(numbers), likeness_of(run)]


def against_ridge(run: ReportedRun, scores: Mapping[str, Mapping[str, Any]]) -> Verdict:
    """Whether the model beats the tuned ridge on the measured sections."""
    asked = "Does it beat the ridge?"
    if is_baseline(run.model):
        text = "This is the tuned ridge regression itself, which other models are measured against."
        return Verdict(UNKNOWN, asked, "It is the ridge", text)
    if not run.truth:
        text = "Nothing was measured to judge by. Give the measured section (--truth DATA) and the ridge's prediction."
        return Verdict(UNKNOWN, asked, "Not known: no measured values", text)
    if run.ridge is not None:
        return _by_genes(run, run.ridge, asked)
    own, ridge = _means(run, scores)
    if own is None or ridge is None:
        text = (
            "No ridge stands beside it. Give its prediction too (eosin report P.h5ad RIDGE.h5ad --truth DATA), or "
            "--features FOLDER, which trains it on the other sections of DATA."
        )
        return Verdict(UNKNOWN, asked, "Not known: no ridge beside it", text)
    state, answer = (GOOD, "Ahead of the ridge") if own > ridge else (BAD, "Not ahead: use the ridge")
    text = f"PCC {number(own)} against {number(ridge)} of the ridge; how sure that is, single genes would have to say."
    return Verdict(state, asked, answer, text)


def _by_genes(run: ReportedRun, ridge: str, asked: str) -> Verdict:
    """From the predictions of both, with an interval over genes and sections."""
    names = run.main[0].panel.names
    rows = [
        {section: dict(zip(names, values.tolist())) for section, values in run.pcc_of_sections(predictions).items()}
        for predictions in (run.main, run.others[ridge])
    ]
    both = rows[0].keys() & rows[1].keys()
    own, other = ({section: row[section] for section in sorted(both)} for row in rows)
    found: Mapping[str, Any] = interval(own, other) if both else {"difference": None}
    if found["difference"] is None:
        text = "No gene varies in a measured section that both predicted, so no correlation can be compared."
        return Verdict(UNKNOWN, asked, "Not known: nothing to compare", text)
    low, high, n_genes = found["low"], found["high"], found["n_genes"]
    state, answer = MIXED, "A tie with the ridge"
    if low > 0:
        state, answer = GOOD, "Yes, it beats the ridge"
    elif high < 0:
        state, answer = BAD, "No, the ridge is better"
    means = [float(np.nanmean([v for row in part.values() for v in row.values()])) for part in (own, other)]
    over = counted(n_genes, "gene") + f" of {counted(len(both), 'section')}"
    text = (
        f"PCC {number(means[0])} against {number(means[1])}: {signed(found['difference'])} "
        f"({signed(low)} to {signed(high)}, 95 % over {over})."
    )
    if state == BAD:
        text += " Use the ridge on data like these."
    elif len(both) == 1:
        text += " Another section may differ."
    return Verdict(state, asked, answer, text)


def _means(run: ReportedRun, scores: Mapping[str, Mapping[str, Any]]) -> tuple[float | None, float | None]:
    own = pick(scores.get(run.model, {}), "pcc.mean")
    ridges = [pick(score, "pcc.mean") for model, score in scores.items() if is_baseline(model) and model != run.model]
    return own, max((value for value in ridges if value is not None), default=None)


def beyond_depth(numbers: GeneNumbers) -> Verdict:
    """Which genes know more than how much RNA a spot yields."""
    asked = "Which genes are more than depth?"
    values, where = numbers.beyond, "here"
    if values is None or np.isnan(values).all():
        values, where = numbers.held_out_beyond, "on held-out training sections"
    if values is None or np.isnan(values).all():
        text = (
            "Whether maps say more than where there is much RNA needs measured values (--truth DATA), or a model that "
            "held out training sections."
        )
        return Verdict(UNKNOWN, asked, "Not known", text)
    plain = numbers.pcc if where == "here" else numbers.held_out
    defined = np.flatnonzero(~np.isnan(values))
    more = [int(j) for j in defined[np.argsort(-values[defined], kind="stable")] if values[j] >= MORE_THAN_DEPTH]
    share = len(more) / len(defined)
    state = GOOD if share >= 0.5 else MIXED if more else BAD
    answer = f"{len(more):,} of {len(defined):,} genes" if more else "None"
    named = ", ".join(numbers.names[j] for j in more[:_NAMED]) + (" and others" if len(more) > _NAMED else "")
    median = float(np.median(values[defined]))
    before = "" if plain is None or np.isnan(plain).all() else f", {number(float(np.nanmedian(plain)), 2)} before"
    text = (
        f"PCC of {MORE_THAN_DEPTH} or more {where} once a spot's total RNA is taken out"
        + (f": {named}" if named else " is reached by no gene")
        + f". Median {number(median, 2)}{before}."
    )
    return Verdict(state, asked, answer, text)


def likeness_of(run: ReportedRun) -> Verdict:
    """Whether the slides are like those of training; the least alike one decides."""
    asked = "Is this slide like the training slides?"
    known = [(p.section, p.likeness) for p in run.main if p.likeness is not None]
    if not known:
        text = "The prediction holds no distances from training: intervals may be too narrow, and nothing would say so."
        return Verdict(UNKNOWN, asked, "Not known", text)
    section, worst = max(known, key=lambda pair: pair[1].ratio)
    state = {LIKE: GOOD, FURTHER: MIXED}.get(worst.verdict, BAD)
    answer = {GOOD: "Yes, like training", MIXED: "Further than training", BAD: "No, unlike training"}[state]
    name = f"{section}, the least alike of {counted(len(known), 'slide')}: " if len(run.main) > 1 else ""
    return Verdict(state, asked, answer, name + _about(worst))


def _about(likeness: Likeness) -> str:
    numbers, _, meaning = likeness.line().partition("(")[2].partition("): ")
    return f"{numbers[:1].upper()}{numbers[1:]}: {meaning}."


def signed(value: float) -> str:
    """A difference with its sign."""
    return f"{value:+.3f}".replace("-", "−")


def coverage_sentence(promised: float, measured: float) -> str:
    """Whether intervals hold what they promise."""
    excess = measured - promised
    verdict = "about right" if abs(excess) < 0.05 else ("too narrow" if excess < 0 else "too wide")
    return (
        f"The {promised:.0%} interval should hold {promised:.0%} of the measured values and holds {measured:.0%}: the "
        f"error bars are {verdict}."
    )


def alike_sentence(run: ReportedRun) -> str:
    """How much the maps of all genes are one map, of the first section; empty where one gene was predicted."""
    prediction = run.main[0]
    if len(prediction.panel) < 2 or len(prediction.spots) < 3:
        return ""
    rows = some_rows(prediction)
    share = first_component(part_of(prediction, rows, range(len(prediction.panel))).mean)
    if not np.isfinite(share):
        return ""
    text = f"One map explains {share:.0%} of the variance of all predicted maps"
    truth = run.truth.get(prediction.section)
    known = np.zeros((0, 1)) if truth is None else truth[rows][np.isfinite(truth[rows]).all(1)]
    measured = first_component(known) if len(known) > 2 else np.nan
    of_truth = f", {measured:.0%} of the measured ones with their counting noise" if np.isfinite(measured) else ""
    return f"{text}{of_truth}: at 100 % every gene would have the same map."


def genes_sentence(pcc: np.ndarray | None, names: Sequence[str]) -> str:
    """How many genes can be read."""
    if pcc is None:
        return (
            "No measured expression was given, so nothing here says how good these predictions are. Trust them as far "
            "as the model's own test on similar tissue, scanner and staining goes, and no further."
        )
    defined = pcc[~np.isnan(pcc)]
    if not defined.size:
        return "No gene varies in the measured sections, so no correlation can be computed."
    good, poor = int((defined >= 0.5).sum()), int((defined < 0.2).sum())
    n_constant = len(names) - defined.size
    left_out = f" {counted(n_constant, 'gene')} left out that do not vary." if n_constant else ""
    return (
        f"Of {defined.size:,} genes that vary, {good:,} correlate at 0.5 or more with the measurement and "
        f"{poor:,} below 0.2. Believe the maps of the former; those of the latter are little more than the gene's "
        f"average.{left_out}"
    )
