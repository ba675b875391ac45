"""Rules by which genes are ranked: from training sections to genes, best first."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy import sparse

from eosin.config import Registry
from eosin.genes.transforms import Transform, measured, row_parts, totals
from eosin.types import Section


class Moments(NamedTuple):
    """Mean and variance (ddof 1) of each gene [g] over all spots of some sections."""

    mean: np.ndarray
    var: np.ndarray


@dataclass(frozen=True)
class GeneRule:
    """A way to rank genes: `rank(sections, names, transform)` gives the qualified ones of `names`, best first.

    `names` are the genes that all sections have, in alphabetical order. To add a rule, put an object into `RULES`.
    """

    about: str
    rank: Callable[[Sequence[Section], tuple[str, ...], Transform], tuple[str, ...]]


RULES: Registry[GeneRule] = Registry("gene_rule")


def _rank_var(sections: Sequence[Section], names: tuple[str, ...], transform: Transform) -> tuple[str, ...]:
    return _best_first(names, _moments(sections, names, transform).var)


def _rank_hvg(sections: Sequence[Section], names: tuple[str, ...], transform: Transform) -> tuple[str, ...]:
    # The recipe's log1p is undone inside the flavour (dispersions are of counts), so counts are what is needed here,
    # whatever the panel's transform.
    del transform
    kept = np.ones(len(names), dtype=bool)
    for section in sections:
        n_spots = sum(part.getnnz(axis=0) for _, part in _columns(section, names))
        kept &= n_spots >= 0.1 * len(section)
    names = tuple(np.asarray(names, dtype=object)[kept])
    if not names:
        return ()
    score = _normalised_dispersion(_moments(sections, names, _COUNTS))
    has_score = np.isfinite(score)
    return _best_first(tuple(np.asarray(names, dtype=object)[has_score]), score[has_score])


def _rank_hmhvg(sections: Sequence[Section], names: tuple[str, ...], transform: Transform) -> tuple[str, ...]:
    # Intersecting the top K of both lists, K grown until N genes are in it, is taking the N genes whose worse rank
    # is best; this form also has an answer where the intersection grows by two genes and skips N.
    moments = _moments(sections, names, transform)
    place = {name: i for i, name in enumerate(_best_first(names, moments.mean))}
    worse = {name: max(i, place[name]) for i, name in enumerate(_best_first(names, moments.var))}
    return tuple(sorted(names, key=lambda name: (worse[name], name)))


RULES.add("var", GeneRule("greatest variance of the model values over all training spots", _rank_var))
RULES.add(
    "hvg",
    GeneRule(
        "highly variable genes: of those counted in 10 % of the spots of every section, the greatest dispersion "
        "relative to genes of like mean (scanpy's default flavour; HEST's recipe)",
        _rank_hvg,
    ),
)
RULES.add(
    "hmhvg", GeneRule("high mean and highly variable: within the top K of both lists (FLAG, appendix C.1)", _rank_hmhvg)
)


# --- statistics ---------------------------------------------------------------------------------------------------

_COUNTS = Transform("counts", "count", lambda c: c, lambda c: c)  # for statistics only, never a panel's scale


def _moments(sections: Sequence[Section], names: tuple[str, ...], transform: Transform) -> Moments:
    """Pooled moments of model values, some sparse rows at a time; centred in each, then merged (Chan et al. 1979).

    Sums of squares that are not centred lose the variance of genes with a large mean.
    """
    n, mean, spread = 0, np.zeros(len(names)), np.zeros(len(names))
    for section in sections:
        per_spot = totals(section)
        for rows, counts in _columns(section, names):
            values, m = transform.forward_sparse(counts, per_spot[rows]), rows.stop - rows.start
            here = np.bincount(values.indices, values.data, len(names)) / m
            zeros = m - np.bincount(values.indices, minlength=len(names))
            around = np.bincount(values.indices, (values.data - here[values.indices]) ** 2, len(names))
            around += zeros * here**2
            shift = here - mean
            spread += around + shift**2 * (n * m / (n + m))
            mean += shift * (m / (n + m))
            n += m
    return Moments(mean, spread / max(n - 1, 1))


def _normalised_dispersion(moments: Moments, n_bins: int = 20) -> np.ndarray:
    """Log dispersion of each gene [g] in standard deviations from genes of like mean; NaN for a gene without variance.

    Satija et al. 2015 (the first Seurat), as scanpy's default flavour: equal bins of ln(1 + mean); a gene alone in its
    bin scores 1.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        dispersion = np.log(moments.var / moments.mean)
    dispersion[~np.isfinite(dispersion)] = np.nan
    level = np.log1p(moments.mean)
    edges = np.linspace(level.min(), level.max(), n_bins + 1)
    bins = np.clip(np.searchsorted(edges, level, side="left"), 1, n_bins)  # right-closed, the lowest value inside
    score = np.full(len(level), np.nan)
    for bin_ in np.unique(bins):
        members = np.flatnonzero((bins == bin_) & np.isfinite(dispersion))
        if len(members) == 1:
            score[members] = 1.0
        elif len(members) > 1 and (sd := dispersion[members].std(ddof=1)) > 0:
            score[members] = (dispersion[members] - dispersion[members].mean()) / sd
    return score


def _best_first(names: tuple[str, ...], score: np.ndarray) -> tuple[str, ...]:
    """Greatest score first; equal ones (to 10 digits, so that rounding decides nothing) by name."""
    rounded = [-float(f"{value:.9e}") for value in score]
    return tuple(name for _, name in sorted(zip(rounded, names)))


def _columns(section: Section, names: tuple[str, ...]) -> Iterator[tuple[slice, sparse.csr_matrix]]:
    """The counts of some genes, without zeros that are stored, some rows at a time."""
    place = {gene: j for j, gene in enumerate(measured(section)[1])}
    chosen = [place[name] for name in names]
    for rows, part in row_parts(section):
        columns = sparse.csr_matrix(part[:, chosen])
        columns.sum_duplicates()
        columns.eliminate_zeros()
        yield rows, columns
