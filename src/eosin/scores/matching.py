"""Predictions beside the measured sections that they are of, row for row, in model values.

Both are tables that may be larger than the memory: they are made some spots at a time, in files without a name where
they are more than 32 MiB (`eosin.storage.scratch`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from eosin.errors import EosinError
from eosin.genes import target, totals
from eosin.metrics import MatchedSection
from eosin.metrics.domains import has_label, need_labels
from eosin.row_blocks import row_blocks
from eosin.storage.scratch import let_go, scratch_table
from eosin.types import GenePanel, Prediction, Section

_VALUES_AT_ONCE = 1 << 20


def match(
    predictions: Sequence[Prediction], truths: Sequence[Section], *, need_domains: bool
) -> tuple[MatchedSection, ...]:
    """Each prediction with the section of its name; spots by id, in the prediction's order.

    Raises
    ------
    EosinError
        As `eosin.scores.scoring.score` says.
    """
    panel = predictions[0].panel
    sections: dict[str, Section] = {}
    for section in truths:
        if section.name in sections:
            raise EosinError(f"two measured sections are called '{section.name}'", fix="give each section once")
        sections[section.name] = section
    matched: dict[str, MatchedSection] = {}
    for prediction in predictions:
        name = prediction.section
        if (prediction.panel.names, prediction.panel.transform) != (panel.names, panel.transform):
            raise EosinError(
                f"predictions of '{predictions[0].section}' and '{name}' differ in genes, their order or transform",
                fix="score predictions of one model together",
            )
        if name in matched:
            raise EosinError(f"section '{name}' is predicted twice", fix="score each model by itself")
        if name not in sections:
            known = ", ".join(f"'{known}'" for known in sections) or "none"
            raise EosinError(f"no measured section is called '{name}'; measured: {known}", fix="give its counts")
        matched[name] = _matched(prediction, sections[name], need_domains=need_domains)
    return tuple(matched.values())


def _matched(prediction: Prediction, section: Section, *, need_domains: bool) -> MatchedSection:
    if len(prediction.spots) == 0:
        raise EosinError(f"the prediction of '{section.name}' has no spots", fix="leave it out")
    rows = section.rows_at(prediction.spots.ids)
    domains = None if section.domains is None else tuple(section.domains[row] for row in rows)
    labelled = domains is not None and has_label(domains).any()
    labels = need_labels(domains, section.name) if labelled or need_domains else None
    truth, depth = _truth(section, rows, prediction.panel)
    return MatchedSection(
        section.name,
        prediction.panel.names,
        truth,
        _mean(prediction),
        prediction.draws,
        section.spots.xy_um[rows],
        labels,
        prediction.mirrored,
        prediction.error_bars,
        depth,
    )


def _truth(section: Section, rows: np.ndarray, panel: GenePanel) -> tuple[np.ndarray, np.ndarray]:
    """Measured values [n g] of some spots, and ln(1 + counts over all genes) [n]."""
    measured = replace(section, features=None, domains=None)
    truth, depth = scratch_table((len(rows), len(panel))), np.empty(len(rows))
    for block in row_blocks(len(rows), budget=_VALUES_AT_ONCE, per_row=len(panel)):
        part = measured.take(rows[block])
        truth[block], depth[block] = target(part, panel), np.log1p(totals(part))
        let_go(truth)
    return truth, depth


def _mean(prediction: Prediction) -> np.ndarray:
    """The predicted mean [s g]; that of one draw is the draw, which may lie on disk."""
    if prediction.centre is not None or prediction.n_draws == 1:
        return prediction.draws[0] if prediction.centre is None else prediction.centre
    draws, mean = prediction.draws, scratch_table(prediction.draws.shape[1:])
    for block in row_blocks(len(mean), budget=_VALUES_AT_ONCE, per_row=len(draws) * mean.shape[1]):
        mean[block] = draws[:, block].mean(0, dtype=np.float64)
        let_go(mean, draws)
    return mean
