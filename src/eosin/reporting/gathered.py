"""Predictions of a report grouped by model, the measured values at their spots, and the genes to show."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from eosin.errors import EosinError
from eosin.genes import target, totals
from eosin.metrics import mean_of_rows, pcc_counted
from eosin.reporting.tables import is_baseline
from eosin.row_blocks import row_blocks
from eosin.types import ErrorBars, GenePanel, Prediction, Section

_BLOCK_VALUES = 1 << 22
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
    depth
        ln(1 + counts over all measured genes) [s] of the same spots, by section.
    """

    main: list[Prediction]
    others: dict[str, list[Prediction]]
    truth: dict[str, np.ndarray]
    depth: dict[str, np.ndarray] = field(default_factory=dict)

    @property
    def model(self) -> str:
        """The model that the page is about."""
        return self.main[0].model

    def pcc(self, predictions: Sequence[Prediction]) -> np.ndarray | None:
        """Per gene [g], mean over the sections that are measured; NaN where the truth of none varies."""
        rows = list(self.pcc_of_sections(predictions).values())
        if not rows:
            return None
        return mean_of_rows(rows, len(rows[0]))

    def pcc_of_sections(self, predictions: Sequence[Prediction]) -> dict[str, np.ndarray]:
        """Per measured section each gene's correlation [g], over the spots whose values are known."""
        found = {}
        for prediction in predictions:
            if (truth := self.truth.get(prediction.section)) is not None:
                found[prediction.section] = of_genes(pcc_counted, truth, prediction.mean)
        return found

    @property
    def ridge(self) -> str | None:
        """The tuned ridge among the other models."""
        return next((model for model in self.others if is_baseline(model)), None)

    def truth_and_draws(self) -> tuple[np.ndarray, np.ndarray]:
        """Truth [n g] and draws [k n g] of all measured spots; where those are very many, evenly thinned."""
        measured = [p for p in self.main if p.section in self.truth]
        k = min(p.n_draws for p in measured)
        step = 1 + sum(self.truth[p.section].size for p in measured) // _MOST_VALUES
        truth = np.concatenate([self.truth[p.section][::step] for p in measured])
        return truth, np.concatenate([p.draws[:k, ::step] for p in measured], 1)

    def with_bars(self) -> list[tuple[np.ndarray, np.ndarray, ErrorBars]]:
        """(truth, mean, error bars) of the measured sections that have error bars; evenly thinned as above."""
        measured = [p for p in self.main if p.section in self.truth and p.error_bars is not None]
        step = 1 + sum(self.truth[p.section].size for p in measured) // _MOST_VALUES
        found = []
        for prediction in measured:
            thin = prediction if step == 1 else prediction.of_spots(slice(None, None, step))
            if thin.error_bars is not None:
                found.append((self.truth[prediction.section][::step], thin.mean, thin.error_bars))
        return found

    @property
    def mirrored(self) -> bool:
        """Whether the draws of `truth_and_draws` are mirrored; one section of independent ones makes it False."""
        return all(p.mirrored for p in self.main if p.section in self.truth)

    def predictions(self) -> list[Prediction]:
        """The predictions of all models, the main one's first."""
        return [*self.main, *(p for group in self.others.values() for p in group)]


def of_genes(
    function: Callable[[np.ndarray, np.ndarray], np.ndarray], truth: np.ndarray, mean: np.ndarray
) -> np.ndarray:
    """A number for each gene [g] from truth and prediction [s g], over the spots whose values are known.

    Some genes at a time, so that a million spots need no copies of all of them.
    """
    known = np.isfinite(truth).all(1)
    rows = slice(None) if known.all() else known
    blocks = row_blocks(truth.shape[1], budget=_BLOCK_VALUES, per_row=max(len(truth), 1))
    return np.concatenate([np.zeros(0), *(function(truth[rows, block], mean[rows, block]) for block in blocks)])


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
    if empty := next((p.section for p in predictions if not len(p.spots)), None):
        raise EosinError(f"the prediction of '{empty}' has no spots", fix="predict a slide with tissue")
    by_model = _by_model(predictions)
    main = by_model.pop(predictions[0].model)
    sections = {section.name: section for section in truth}
    measured = {p.section: truth_values(p, sections[p.section]) for p in main if p.section in sections}
    depth = {p.section: depth_at(p, sections[p.section]) for p in main if p.section in sections}
    ids = {p.section: p.spots.ids for p in main}
    for prediction in (p for group in by_model.values() for p in group if p.section in measured):
        if prediction.spots.ids != ids[prediction.section]:
            raise EosinError(
                f"models disagree about the spots of section '{prediction.section}'", fix="predict it again"
            )
    return ReportedRun(main, by_model, measured, depth)


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


def truth_values(prediction: Prediction, truth: Section) -> np.ndarray:
    """Measured model values [s g] at the prediction's spots, matched by spot id.

    Raises
    ------
    EosinError
        A spot or a gene of the prediction that the section does not have.
    """
    rows = _rows_of(prediction, truth)
    values = target(truth, prediction.panel)  # before taking rows: a size factor counts all genes, not all spots
    return np.asarray(values)[rows]


def depth_at(prediction: Prediction, truth: Section) -> np.ndarray:
    """ln(1 + counts over all measured genes) [s] of the prediction's spots."""
    return np.log1p(totals(truth))[_rows_of(prediction, truth)]


def _rows_of(prediction: Prediction, truth: Section) -> np.ndarray:
    rows = truth.spots.rows_of(prediction.spots.ids)
    missing = np.flatnonzero(rows < 0)
    if len(missing):
        share = f"{len(missing)} of {len(prediction.spots)}"
        raise EosinError(
            f"section '{truth.name}' lacks {share} predicted spots, first '{prediction.spots.ids[missing[0]]}'",
            fix="give the measured section that was predicted",
        )
    return rows


def check_genes(genes: Sequence[str], panel: GenePanel) -> None:
    """Refuse a gene that is not in the panel."""
    missing = [gene for gene in genes if gene not in panel.names]
    if missing:
        raise EosinError(f"gene '{missing[0]}' is not among the {len(panel)} predicted genes", fix="name others")
