"""Some spots and genes of a prediction, taken without a copy of the whole, which may be larger than memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from eosin.reporting.thinning import evenly_thinned
from eosin.types import GenePanel, Prediction

_VALUES = 1 << 20  # behind the variation of genes


def panel_of(panel: GenePanel, columns: Sequence[int]) -> GenePanel:
    """Some of a panel's genes."""
    ensembl = None if panel.ensembl is None else tuple(panel.ensembl[j] for j in columns)
    return replace(panel, names=tuple(panel.names[j] for j in columns), ensembl=ensembl)


def part_of(prediction: Prediction, rows: np.ndarray | None, columns: Sequence[int]) -> Prediction:
    """A prediction at some spots, or at all, and of some genes."""
    spots, likeness = prediction.spots, prediction.likeness
    if rows is None:
        rows = np.arange(len(spots))
    elif len(rows) < len(spots):
        spots, likeness = spots.take(rows), None if likeness is None else likeness.of_spots(rows)
    taken, every = list(columns), np.arange(prediction.n_draws)
    genes = np.array(taken, dtype=np.intp)
    return replace(
        prediction,
        spots=spots,
        likeness=likeness,
        panel=panel_of(prediction.panel, taken),
        draws=prediction.draws[np.ix_(every, rows, genes)],
        centre=None if prediction.centre is None else prediction.centre[np.ix_(rows, genes)],
        error_bars=None if prediction.error_bars is None else prediction.error_bars.of_genes(taken),
        trust=None if prediction.trust is None else prediction.trust.of_genes(taken),
    )


def some_rows(prediction: Prediction) -> np.ndarray:
    """Spots, evenly chosen, that say enough of how genes vary."""
    return evenly_thinned(prediction.spots.xy_um, max(200, _VALUES // max(len(prediction.panel), 1)))


def variation(prediction: Prediction) -> np.ndarray:
    """Standard deviation [g] of the predicted means over spots; over some of them where they are very many."""
    rows = some_rows(prediction)
    if prediction.centre is not None:
        return prediction.centre[rows].std(0)
    return prediction.draws[:, rows].mean(0).std(0)
