"""A calibration given to a prediction that may be larger than the memory."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from eosin.row_blocks import row_blocks
from eosin.storage.scratch import let_go, scratch_table
from eosin.trust import Calibration
from eosin.types import GenePanel, Prediction

IN_MEMORY_BYTES = 1 << 25
"""Numbers of a prediction up to which it is calibrated as a whole."""
_VALUES_AT_ONCE = 1 << 20


def calibrated(calibration: Calibration, prediction: Prediction) -> Prediction:
    """What `Calibration.apply` gives; a large prediction is taken some spots at a time, into files without a name.

    Raises
    ------
    EosinError
        As `Calibration.apply`.
    """
    if prediction.draws.nbytes <= IN_MEMORY_BYTES:
        return calibration.apply(prediction)
    first = prediction.of_spots(slice(0, 1))
    of_all = calibration.apply(replace(first, draws=first.mean[None]))  # refuses and warns; what all spots share
    mean = _mean(calibration, prediction, of_all.panel)
    draws = calibration.draws_around(mean, of_all.panel, prediction)
    return replace(of_all, spots=prediction.spots, draws=draws, centre=mean, likeness=prediction.likeness)


def _mean(calibration: Calibration, prediction: Prediction, panel: GenePanel) -> np.ndarray:
    """[s g] the mean of the calibrated genes with the calibration's offset."""
    columns = [prediction.panel.names.index(gene) for gene in panel.names]
    mean, per_spot = scratch_table((len(prediction.spots), len(panel))), prediction.draws[:, 0].size
    for rows in row_blocks(len(mean), budget=_VALUES_AT_ONCE, per_row=per_spot):
        part = prediction.of_spots(rows)
        point = replace(part, draws=part.mean[None], centre=None, error_bars=None)  # warns once, of the first spot
        mean[rows] = calibration.apply(point.of_genes(columns, panel)).mean
        let_go(mean, prediction.draws, prediction.centre)
    return mean
