"""Predictions of a report grouped by model, the measured values at their spots, and the genes to show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from eosin.errors import EosinError
from eosin.genes import target
from eosin.metrics import mean_of_rows, pcc_counted
from eosin.types import ErrorBars, GenePanel, Prediction, Section

_MOST_VALUES = 2_000_000  # values behind the calibration chart; more would change no line on it


@dataclass(frozen=True)
class ReportedRun:
    """Predictions of one panel by one model or several, with the measured values where they are known.

    Attributes
    ----------
    main
        Predictions of the model that the page is about, one per section.
    others
        Predictions of the other models, by model.
    truth
        Measured model values [s g] by section, in the order of the spots of the predictions.
    """

    main: list[Prediction]
    others: dict[str, list[Prediction]]
    truth: dict[str, np.ndarray]

    @property
    def model(self) -> str:
        """The model that the page is about."""
        return self.main[0].model

    def pcc(self, predictions: Sequence[Prediction]) -> np.ndarray | None:
        """Per gene [g], mean over the sections that are measured; NaN where the truth of none varies."""
        rows = [pcc_counted(self.truth[p.section], p.mean) for p in predictions if p.section in self.truth]
        if not rows:
            return None
        return mean_of_rows(rows, len(rows[0]))

    def truth_and_draws(self) -> tuple[np.ndarray, np.ndarray]:
        """Truth [n g] and draws [k n g] of all measured spots; where those are very many, evenly thinned."""
        measured = [p for p in self.main if p.section in self.truth]
        k = min(p.n_draws for p in measured)
        step = 1 + sum(self.truth[p.section].size for p in measured) // _MOST_VALUES
        truth = np.concatenate([self.truth[p.section][::step] for p in measured])
        return truth, np.concatenate([p.draws[:k, ::step] for p in measured], 1)

    def with_bars(self) -> list[tuple[np.ndarray, np.ndarray, ErrorBars]]:
        """(truth, mean, error bars) of the measured sections that have error bars."""
        measured = [p for p in self.main if p.section in self.truth]
        return [(self.truth[p.section], p.mean, p.error_bars) for p in measured if p.error_bars is not None]

    @property
    def mirrored(self) -> bool:
        """Whether the draws of `truth_and_draws` are mirrored; one section of independent ones makes it False."""
        return all(p.mirrored for p in self.main if p.section in self.truth)

    def predictions(self) -> list[Prediction]:
        """The predictions of all models, the main one's first."""
        return [*self.main, *(p for group in self.others.values() for p in group)]


def gather(predictions: Sequence[Prediction], truth: Sequence[Section]) -> ReportedRun:
    """Group predictions by model, the first one's model first, and match the truth to their spots.

    Raises
    ------
    EosinError
        No predictions, different panels, two predictions of one section by one model, models with different spots, or
        a truth that lacks spots or genes.
    """
    if not predictions:
        raise EosinError("there is nothing to report", fix="give at least one prediction")
    by_model = _by_model(predictions)
    main = by_model.pop(predictions[0].model)
    sections = {section.name: section for section in truth}
    measured = {p.section: truth_values(p, sections[p.section]) for p in main if p.section in sections}
    ids = {p.section: p.spots.ids for p in main}
    for prediction in (p for group in by_model.values() for p in group if p.section in measured):
        if prediction.spots.ids != ids[prediction.section]:
            raise EosinError(
                f"models disagree about the spots of section '{prediction.section}'", fix="predict it again"
            )
    return ReportedRun(main, by_model, measured)


def _by_model(predictions: Sequence[Prediction]) -> dict[str, list[Prediction]]:
    """Predictions of each model; refuses a second panel, and a second prediction of a section."""
    panel = predictions[0].panel
    groups: dict[str, list[Prediction]] = {}
    for prediction in predictions:
        if (prediction.panel.names, prediction.panel.transform) != (panel.names, panel.transform):
            raise EosinError(
                f"predictions of '{predictions[0].section}' and '{prediction.section}' have different gene panels",
                fix="report them apart",
            )
        group = groups.setdefault(prediction.model, [])
        if any(other.section == prediction.section for other in group):
            raise EosinError(
                f"model '{prediction.model}' has two predictions of section '{prediction.section}'",
                fix="give one of them",
            )
        group.append(prediction)
    return groups


def choose_genes(run: ReportedRun, pcc: np.ndarray | None, wanted: Sequence[str]) -> dict[str, str]:
    """Gene -> why it is shown: the wanted ones, then best, middling and worst, or the most varied without truth."""
    names = run.main[0].panel.names
    chosen = dict.fromkeys(wanted, "asked for")
    if pcc is None:
        spread = np.mean([p.mean.std(0) for p in run.main], 0)
        for j in np.argsort(-spread, kind="stable")[:4]:
            chosen.setdefault(names[j], "varies most in the prediction")
    else:
        order = [int(j) for j in np.argsort(-pcc, kind="stable") if not np.isnan(pcc[j])]
        places = {0: "best predicted", 1: "second best", len(order) // 2: "median", len(order) - 1: "worst predicted"}
        for place, why in places.items():
            if 0 <= place < len(order):
                chosen.setdefault(names[order[place]], why)
    return chosen


def truth_values(prediction: Prediction, truth: Section) -> np.ndarray:
    """Measured model values [s g] at the prediction's spots, matched by spot id.

    Raises
    ------
    EosinError
        A spot or a gene of the prediction that the section does not have.
    """
    rows = truth.spots.rows_of(prediction.spots.ids)
    missing = np.flatnonzero(rows < 0)
    if len(missing):
        share = f"{len(missing)} of {len(prediction.spots)}"
        raise EosinError(
            f"section '{truth.name}' lacks {share} predicted spots, first '{prediction.spots.ids[missing[0]]}'",
            fix="give the measured section that was predicted",
        )
    values = target(truth, prediction.panel)  # before taking rows: a size factor counts all genes, not all spots
    return np.asarray(values)[rows]


def check_genes(genes: Sequence[str], panel: GenePanel) -> None:
    """Refuse a gene that is not in the panel."""
    missing = [gene for gene in genes if gene not in panel.names]
    if missing:
        raise EosinError(f"gene '{missing[0]}' is not among the {len(panel)} predicted genes", fix="name others")
