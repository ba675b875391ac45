"""Verdicts on genes: how well each was predicted on training slides that were held out, and how much beyond depth."""

from __future__ import annotations

import numpy as np

from eosin.metrics import mean_of_rows, pearson_per_gene
from eosin.metrics.depth import partial_pcc
from eosin.trust.left_over import LeftOver
from eosin.types import GeneTrust

_FEWEST_SPOTS = 3


def trust_in_genes(left_over: LeftOver, kind: str) -> GeneTrust | None:
    """Inner correlation of each gene, plain and given the depth; None where the measured values are not at hand.

    Parameters
    ----------
    left_over
        Of held-out spots.
    kind
        What was held out.
    """
    target, depth = left_over.measured, left_over.depth
    if target is None:
        return None
    predicted = target - left_over.residual
    slides = [left_over.slide == slide for slide in np.unique(left_over.slide)]
    slides = [rows for rows in slides if rows.sum() >= _FEWEST_SPOTS]
    plain = [pearson_per_gene(target[rows], predicted[rows]) for rows in slides]
    given = [] if depth is None else [partial_pcc(target[r], predicted[r], depth[r]) for r in slides]
    n_genes = target.shape[1]
    return GeneTrust(mean_of_rows(plain, n_genes), mean_of_rows(given, n_genes), kind)
