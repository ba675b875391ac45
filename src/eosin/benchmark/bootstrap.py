"""Is a model better than the tuned ridge, or was it these genes and these sections? A paired bootstrap over both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from eosin.scores.results import split_family

N_BOOTSTRAPS = 2000
SEED = 0
Row = Mapping[str, Mapping[str, float]]
"""Per section (with its split), each gene's correlation, mean over seeds."""


def compare(cells: Sequence[Mapping[str, Any]], reference: str) -> list[dict[str, Any]]:
    """Every model against the reference on the same encoder, splits, seeds, sections and genes.

    Both genes and test sections are drawn anew with replacement, alike for the two models, and the mean over genes,
    then over sections, of the difference in correlation is taken: the middle 95 % of 2,000 such means is the interval.
    Families of splits stand by themselves. Where only one section is tested, only genes vary. The draws are seeded.

    Returns
    -------
    list of dict
        `model`, `encoder`, `split` (family), `reference`, `difference`, `low`, `high`, `n_sections`, `n_genes`.
        Where a cell of either side failed, there is no entry: the rest would flatter whoever failed.
    """
    comparisons = []
    keys = dict.fromkeys((c["encoder"], split_family(c["split"]), c["model"]) for c in cells)
    for encoder, family, model in keys:
        if model == reference:
            continue
        own, other = (_rows(cells, encoder, family, name) for name in (model, reference))
        if own is None or other is None or own.keys() != other.keys():
            continue
        comparisons.append(
            {"model": model, "encoder": encoder, "split": family, "reference": reference} | interval(own, other)
        )
    return comparisons


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


def _rows(cells: Sequence[Mapping[str, Any]], encoder: str, family: str, model: str) -> dict[str, Any] | None:
    """A model's correlations, keyed by split and section in sorted order; None where a cell has none."""
    over_seeds: dict[str, dict[str, list[float]]] = {}
    for cell in cells:
        if (cell["encoder"], split_family(cell["split"]), cell["model"]) != (encoder, family, model):
            continue
        if cell["status"] != "done" or "pcc_genes" not in cell:
            return None
        for section, values in cell["pcc_genes"].items():
            genes = over_seeds.setdefault(f"{cell['split']} {section}", {})
            for gene, value in zip(cell["panel"], values):
                genes.setdefault(gene, []).append(np.nan if value is None else value)
    if not over_seeds:
        return None
    return {key: {gene: float(np.mean(v)) for gene, v in over_seeds[key].items()} for key in sorted(over_seeds)}
