"""What a metric is given: the truth and the prediction of one section, row for row, or of all sections of a score."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeVar

import numpy as np

from eosin.types import ErrorBars

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class MatchedSection:
    """One section's truth and prediction, rows matched, in model values.

    Attributes
    ----------
    name
        The section's.
    genes
        (g) names of the columns.
    truth, mean
        [s g] measured values, and the predicted mean.
    draws
        [k s g]; k is 1 for a point model.
    xy_um
        [s 2] centres of the spots in µm.
    labels
        [s] domain labels as text; None where no spot has one.
    mirrored
        Whether draws 2i and 2i + 1 start from opposite noise.
    error_bars
        The distribution of values around the mean; None: the draws stand for it.
    depth
        [s] ln(1 + counts over all measured genes); None where it is not known.
    """

    name: str
    genes: tuple[str, ...]
    truth: np.ndarray
    mean: np.ndarray
    draws: np.ndarray
    xy_um: np.ndarray
    labels: np.ndarray | None = None
    mirrored: bool = False
    error_bars: ErrorBars | None = None
    depth: np.ndarray | None = None
    _results: dict[Callable[..., Any], Any] = field(default_factory=dict, init=False, repr=False)

    def once(self, compute: Callable[[MatchedSection], T]) -> T:
        """`compute(self)`, computed at the first call and kept; `compute` is a function of a module, not a lambda."""
        return _once(self._results, self, compute)


@dataclass(frozen=True, eq=False)
class MatchedSections:
    """All sections of a score, with the genes and gene sets that are scored by name.

    Attributes
    ----------
    genes
        (g) names of the columns, the same in every section.
    biomarkers
        Genes asked for by name, whether in the panel or not; None where there are none to report on.
    gene_sets
        Gene sets with enough genes in the panel, by name.
    """

    sections: tuple[MatchedSection, ...]
    genes: tuple[str, ...]
    biomarkers: tuple[str, ...] | None = None
    gene_sets: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    _results: dict[Callable[..., Any], Any] = field(default_factory=dict, init=False, repr=False)

    def once(self, compute: Callable[[MatchedSections], T]) -> T:
        """`compute(self)`, computed at the first call and kept; `compute` is a function of a module, not a lambda."""
        return _once(self._results, self, compute)

    @cached_property
    def truth(self) -> np.ndarray:
        """Truth [n g] of all spots together."""
        return np.concatenate([section.truth for section in self.sections])

    @cached_property
    def mean(self) -> np.ndarray:
        """Mean of the draws [n g] of all spots together."""
        return np.concatenate([section.mean for section in self.sections])


def has_spread(section: MatchedSection) -> bool:
    """Whether there are quantiles: error bars, or two draws or more."""
    return section.error_bars is not None or has_draws(section)


def has_draws(section: MatchedSection) -> bool:
    """Whether there are two draws or more."""
    return len(section.draws) > 1


def has_labels(section: MatchedSection) -> bool:
    """Whether a spot of the section has a domain label."""
    return section.labels is not None


def always(_: Any) -> bool:
    """Whatever is given."""
    return True


def _once(results: dict[Callable[..., Any], Any], matched: Any, compute: Callable[[Any], T]) -> T:
    if compute not in results:
        results[compute] = compute(matched)
    return results[compute]
