"""Is a model better than the tuned ridge, or was it these genes and these sections? A paired bootstrap over both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from eosin.scores.paired_interval import interval
from eosin.scores.results import split_family


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
