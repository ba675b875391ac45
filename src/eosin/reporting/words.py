"""Sentences of a report: how to read it, and how far to trust the model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from eosin.reporting.tables import is_baseline
from eosin.scores.results import pick

HOW_TO_READ = (
    "Each disc is a spot of tissue. Measured and predicted maps of a gene share one colour range, so equal colours "
    "mean equal expression. A model that is unsure predicts close to the average: its map is flatter than the measured "
    "one, and that is right, not a fault."
)

RESEARCH_ONLY = "For research. Nothing here is validated for diagnosis or for decisions about patients."


def trust(
    model: str, scores: Mapping[str, Mapping[str, Any]], pcc: np.ndarray | None, coverage: tuple[float, float] | None
) -> list[str]:
    """Sentences on how far to trust the model, from its numbers.

    Parameters
    ----------
    pcc
        Per gene [g], NaN where undefined; None without truth.
    coverage
        Promised and measured share inside the widest interval; None for a point model.
    """
    sentences = [_genes(pcc), _baseline(model, scores), _coverage(coverage, has_truth=pcc is not None)]
    return [sentence for sentence in sentences if sentence]


def _genes(pcc: np.ndarray | None) -> str:
    if pcc is None:
        return (
            "No measured expression was given, so nothing here says how good these predictions are. Trust them as far "
            "as the model's own test on similar tissue, scanner and staining goes, and no further."
        )
    defined = pcc[~np.isnan(pcc)]
    if not defined.size:
        return "No gene varies in the measured sections, so no correlation can be computed."
    good, poor = int((defined >= 0.5).sum()), int((defined < 0.2).sum())
    return (
        f"Of {defined.size} genes that vary, {good} correlate at 0.5 or more with the measurement and {poor} below "
        "0.2. Believe the maps of the former; those of the latter are little more than the gene's average."
    )


def _baseline(model: str, scores: Mapping[str, Mapping[str, Any]]) -> str:
    own = pick(scores.get(model, {}), "pcc.mean")
    ridges = {m: pick(s, "pcc.mean") for m, s in scores.items() if is_baseline(m) and m != model}
    best = max((v for v in ridges.values() if v is not None), default=None)
    if own is None or is_baseline(model):
        return ""
    if best is None:
        return "No ridge baseline was scored beside it: whether the model adds anything to a linear fit is not known."
    if own < best:
        return f"The ridge baseline is better (PCC {best:.3f} against {own:.3f}): use the baseline on data like these."
    return f"It is ahead of the ridge baseline by {own - best:.3f} in PCC ({own:.3f} against {best:.3f})."


def _coverage(coverage: tuple[float, float] | None, *, has_truth: bool) -> str:
    if coverage is None:
        return "The model gives one value per gene and spot, and no error bars." if has_truth else ""
    promised, measured = coverage
    excess = measured - promised
    verdict = "about right" if abs(excess) < 0.05 else ("too narrow" if excess < 0 else "too wide")
    return (
        f"Its {promised:.0%} interval should hold {promised:.0%} of the measured values and holds "
        f"{measured:.0%}: the error bars are {verdict}."
    )
