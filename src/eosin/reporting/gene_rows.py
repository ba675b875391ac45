"""What is known of each gene of a run: a line of the page's table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from eosin.metrics import mean_of_rows
from eosin.metrics.depth import partial_pcc
from eosin.reporting.gathered import ReportedRun, of_genes
from eosin.reporting.prediction_part import variation
from eosin.reporting.tables import is_baseline
from eosin.row_blocks import row_blocks
from eosin.scores.metric_columns import table_at
from eosin.scores.results import is_number
from eosin.types import Prediction

_BLOCK_VALUES = 1 << 22


@dataclass(frozen=True, eq=False)
class GeneNumbers:
    """Numbers of every gene [g], NaN where one is not known; None where it is not known of any.

    Attributes
    ----------
    names
        The genes.
    pcc
        Correlation with the measured values, mean over the measured sections.
    ridge
        The same of the tuned ridge.
    beyond
        Correlation given the measured depth of the spots.
    coverage
        Share of measured values inside the 90 % interval.
    half_width
        Half the width of the 90 % interval before it is cut at the smallest value; its mean where it differs by spot.
    held_out, held_out_beyond
        Correlations that training reached on sections that it held out.
    verdicts
        What training says of how far to trust the gene.
    """

    names: tuple[str, ...]
    pcc: np.ndarray | None = None
    ridge: np.ndarray | None = None
    beyond: np.ndarray | None = None
    coverage: np.ndarray | None = None
    half_width: np.ndarray | None = None
    held_out: np.ndarray | None = None
    held_out_beyond: np.ndarray | None = None
    verdicts: tuple[str, ...] | None = None

    def worth(self, run: ReportedRun) -> np.ndarray:
        """By what genes are put in order [g]: measured correlation, else the held-out one, else variation."""
        for values in (self.pcc, self.held_out):
            if values is not None:
                return values
        return np.mean([variation(p) for p in run.main], 0)

    def order(self, run: ReportedRun, first: Sequence[str] = ()) -> list[int]:
        """Columns of the genes: those asked for, then the best."""
        worth = self.worth(run)
        asked = [self.names.index(gene) for gene in dict.fromkeys(first)]
        best = [int(j) for j in np.argsort(np.where(np.isnan(worth), np.inf, -worth), kind="stable")]
        return list(dict.fromkeys([*asked, *best]))


def gene_numbers(run: ReportedRun, scores: Mapping[str, Mapping[str, Any]]) -> GeneNumbers:
    """All that predictions, measured values and scores say of each gene."""
    first = run.main[0]
    names, trust = first.panel.names, first.trust
    measured = [p for p in run.main if p.section in run.truth]
    pcc = run.pcc(run.main)
    return GeneNumbers(
        names,
        pcc,
        None if pcc is None else ridge_pcc(run, scores),
        _mean([_beyond(run, p) for p in measured if p.section in run.depth]),
        _mean([_coverage(p, run.truth[p.section]) for p in measured if p.has_spread]),
        half_widths(first) if first.has_spread else None,
        None if trust is None else trust.inner_pcc,
        None if trust is None or np.isnan(trust.beyond_depth).all() else trust.beyond_depth,
        None if trust is None else trust.verdicts,
    )


def ridge_pcc(run: ReportedRun, scores: Mapping[str, Mapping[str, Any]]) -> np.ndarray | None:
    """The correlation [g] of the tuned ridge: of its prediction, else as a score of it names genes."""
    if run.ridge is not None:
        return run.pcc(run.others[run.ridge])
    for model, score in scores.items():
        if is_baseline(model) and model != run.model and (genes := table_at(score, "pcc", "per_gene")):
            found = [genes.get(name) for name in run.main[0].panel.names]
            values = np.array([value if is_number(value) else np.nan for value in found], dtype=float)
            if np.isfinite(values).any():
                return values
    return None


def half_widths(prediction: Prediction) -> np.ndarray:
    """Half the width [g] of the 90 % interval, mean over spots."""
    bars = prediction.error_bars
    if bars is not None and np.ndim(bars.scale) == 1:
        return bars.scale * (bars.standard_quantile(0.95) - bars.standard_quantile(0.05)) / 2
    widths, n = np.zeros(len(prediction.panel)), len(prediction.spots)
    for rows in _blocks(prediction):
        part = prediction.of_spots(rows)
        widths += (part.quantile(0.95) - part.quantile(0.05)).sum(0, dtype=float) / 2
    return widths / max(n, 1)


def _beyond(run: ReportedRun, prediction: Prediction) -> np.ndarray:
    truth, depth = run.truth[prediction.section], run.depth[prediction.section]
    known = np.isfinite(truth).all(1)
    if known.sum() < 3:
        return np.full(truth.shape[1], np.nan)
    return of_genes(lambda measured, mean: partial_pcc(measured, mean, depth[known]), truth, prediction.mean)


def _coverage(prediction: Prediction, truth: np.ndarray) -> np.ndarray:
    """Share [g] of measured values inside the 90 % interval, bounds included."""
    inside, known = np.zeros(truth.shape[1]), np.zeros(truth.shape[1])
    for rows in _blocks(prediction):
        part = prediction.of_spots(rows)
        values = truth[rows]
        inside += ((values >= part.quantile(0.05)) & (values <= part.quantile(0.95))).sum(0)
        known += np.isfinite(values).sum(0)
    return np.where(known > 0, inside / np.maximum(known, 1), np.nan)


def _blocks(prediction: Prediction) -> list[slice]:
    per_row = len(prediction.panel) * prediction.n_draws
    return list(row_blocks(len(prediction.spots), budget=_BLOCK_VALUES, per_row=per_row))


def _mean(rows: Sequence[np.ndarray]) -> np.ndarray | None:
    return mean_of_rows(rows, len(rows[0])) if rows else None
