"""The difference between two models over the same sections and genes, with the interval of a paired bootstrap."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

N_BOOTSTRAPS = 2000
SEED = 0
Row = Mapping[str, Mapping[str, float]]
"""Per section (with its split), each gene's correlation, mean over seeds."""


def interval(own: Row, other: Row, *, n: int = N_BOOTSTRAPS, seed: int = SEED) -> dict[str, Any]:
    """Mean difference own - other and its bootstrap interval; NaN becomes None."""
    genes = sorted({gene for row in (*own.values(), *other.values()) for gene in row})
    difference = _matrix(own, genes) - _matrix(other, genes)  # [sections genes], NaN where undefined in either
    defined = np.isfinite(difference)
    n_sections, n_genes = difference.shape
    if not defined.any():
        return {"difference": None, "low": None, "high": None, "n_sections": n_sections, "n_genes": 0}
    rng = np.random.default_rng(seed)
    of_genes = rng.multinomial(n_genes, np.full(n_genes, 1 / n_genes), size=n)  # [n genes], how often each was drawn
    of_sections = rng.multinomial(n_sections, np.full(n_sections, 1 / n_sections), size=n)
    drawn = _means(np.where(defined, difference, 0.0), defined, of_genes, of_sections)
    as_they_are = np.ones((1, n_genes)), np.ones((1, n_sections))
    low, high = np.nanpercentile(drawn, [2.5, 97.5])
    return {
        "difference": float(_means(np.where(defined, difference, 0.0), defined, *as_they_are)[0]),
        "low": float(low),
        "high": float(high),
        "n_sections": n_sections,
        "n_genes": int(defined.any(0).sum()),
    }


def _means(filled: np.ndarray, defined: np.ndarray, of_genes: np.ndarray, of_sections: np.ndarray) -> np.ndarray:
    """[n] mean over drawn genes within a section, then over drawn sections that have any."""
    count = of_genes @ defined.T
    within = np.divide(of_genes @ filled.T, count, out=np.zeros(count.shape), where=count > 0)  # [n sections]
    weight = of_sections * (count > 0)
    total = weight.sum(1)
    return np.divide((within * weight).sum(1), total, out=np.full(len(total), np.nan), where=total > 0)


def _matrix(row: Row, genes: Sequence[str]) -> np.ndarray:
    return np.array([[row[section].get(gene, np.nan) for gene in genes] for section in row])
