"""The score of one prediction in about ten lines: the numbers that are read first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from eosin.metrics import all_metrics

_MAIN = ("mse", "rvd", "gsc", "ssc", "crps", "coverage_90", "ari", "nmi")
"""Numbers that have a line each, where the score holds them."""

_BEYOND = {
    "pcc_depth": "library size alone",
    "pcc_given_depth": "given library size",
    "first_component": "share of one map for all genes",
}
"""What stands beside the correlation, in words."""


def score_lines(scores: Mapping[str, Any]) -> list[str]:
    """The headline, the main errors and structure, what was asked for by name, metrics of other packages, the size.

    Parameters
    ----------
    scores
        As `eosin.score` gives them.
    """
    beyond = ", ".join(f"{words} {_number(scores[key])}" for key, words in _BEYOND.items() if key in scores)
    lines = [f"pcc mean: {_number(scores['pcc']['mean'])}" + (f" ({beyond})" if beyond else "")]
    lines[:0] = scores.get("warnings", [])
    if "ridge" in scores:
        trained_on = ", ".join(scores["ridge"]["trained_on"])
        ridge = scores["ridge"]["pcc"]["mean"]
        lines.append(f"pcc mean of the tuned ridge: {_number(ridge)}, trained on {trained_on}")
    for key in _MAIN:
        if key in scores:
            expected = f", expected {_number(scores[f'{key}_expected'])}" if f"{key}_expected" in scores else ""
            lines.append(f"{key}: {_number(scores[key])}{expected}")
    lines += [f"{name}: {_inline(scores[name])}" for name in ("biomarkers", "pathways") if name in scores]
    lines += [f"{key}: {_inline(_at(scores, key))}" for key in _of_other_packages() if _at(scores, key, "") != ""]
    size = {key: scores[key] for key in ("n_sections", "n_spots", "n_genes", "n_draws", "scale") if key in scores}
    return [*lines, _inline(size), "every number: --json; what they mean: docs/metrics.md"]


def _of_other_packages() -> list[str]:
    return [metric.key for metric in all_metrics() if not metric.function.__module__.startswith("eosin.")]


def _at(scores: Mapping[str, Any], key: str, otherwise: Any = None) -> Any:
    """The number under `mse` or `pcc.mean`."""
    first, _, second = key.partition(".")
    found = scores.get(first, otherwise)
    return found.get(second, otherwise) if second and isinstance(found, Mapping) else found


def _inline(value: Any) -> str:
    if isinstance(value, Mapping):
        kept = {key: part for key, part in value.items() if part not in ([], (), {})}
        return ", ".join(
            f"{key} ({_inline(part)})" if isinstance(part, Mapping) else f"{key}: {_inline(part)}"
            for key, part in kept.items()
        )
    return " ".join(map(str, value)) if isinstance(value, list | tuple) else _number(value)


def _number(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return "-" if value is None else str(value)
