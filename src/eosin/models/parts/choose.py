"""How well predictions made out of fold agree with the truth: what closed-form models choose their settings by."""

from __future__ import annotations

import numpy as np

from eosin.metrics import pearson_per_gene
from eosin.models.base import Training


def mean_correlation(training: Training, predicted: np.ndarray) -> float:
    """Correlation of `predicted` [s g] with the target: mean over genes within each group, then over groups.

    A constant gene counts as 0, and so does a set of groups that are all too small (two spots or fewer) to say.
    """
    each = []
    for label in np.unique(training.groups):
        rows = training.groups == label
        if rows.sum() > 2:
            each.append(np.nan_to_num(pearson_per_gene(training.target[rows], predicted[rows])).mean())
    return float(np.mean(each)) if each else 0.0
