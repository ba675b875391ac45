"""Co-expression within pathways: do the genes of a gene set vary together in the prediction as in the truth?

FLAG, section 4.5 and appendix H.10, shows the two correlation matrices; the numbers here say how far they agree.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import numpy as np

from eosin.config import did_you_mean, near_names
from eosin.errors import EosinError
from eosin.metrics.accuracy import correlate, mean_defined
from eosin.metrics.matched import MatchedSections
from eosin.metrics.metric import PATHWAYS, Metric, register
from eosin.metrics.moments import moments, products

MIN_GENES = 3
"""Two genes make one pair, over which nothing correlates."""


class PathwayAgreement(NamedTuple):
    """One gene set in one section.

    Attributes
    ----------
    genes
        The set's genes that are in the panel and vary in the truth, in an order that puts correlated ones together.
    n_missing
        Genes of the set that are not in the panel, or do not vary.
    truth, predicted
        [n n] Pearson correlations over spots between these genes; a gene that is constant only in the prediction
        has 0 with all others.
    correlation
        Pearson between the two upper triangles (`gsc` of these genes), 1 at best; NaN with fewer than 3 genes.
    difference
        Mean absolute difference of the upper triangles, 0 at best; it sees a co-expression that is right in pattern
        but too strong, as smooth predictions have it.
    """

    genes: tuple[str, ...]
    n_missing: int
    truth: np.ndarray
    predicted: np.ndarray
    correlation: float
    difference: float


def read_gmt(path: str | Path) -> dict[str, tuple[str, ...]]:
    """Gene sets of a .gmt file: name -> genes, each once, in the file's order.

    A line is a name, a description and one gene or more, with tabs between; empty lines are passed over.

    Raises
    ------
    EosinError
        The file is missing, not text, empty, or a line does not have that form, or a name comes twice.
    """
    try:
        lines = Path(path).read_text(encoding="utf-8-sig").splitlines()
    except FileNotFoundError:
        raise EosinError("no such gene-set file", file=path) from None
    except (OSError, UnicodeDecodeError) as error:
        raise EosinError(f"not readable as text ({error})", file=path, fix="give a .gmt file") from error
    sets: dict[str, tuple[str, ...]] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        name, *rest = (cell.strip() for cell in line.split("\t"))
        genes = tuple(dict.fromkeys(gene for gene in rest[1:] if gene))
        if not name or not genes:
            raise EosinError(
                f"line {number} is no gene set", file=path, fix="write name, description and genes with tabs between"
            )
        if name in sets:
            raise EosinError(f"line {number}: gene set '{name}' comes twice", file=path, fix="name each set once")
        sets[name] = genes
    if not sets:
        raise EosinError("holds no gene set", file=path, fix="give a .gmt file with a set per line")
    return sets


def need_set(sets: dict[str, tuple[str, ...]], name: str) -> tuple[str, ...]:
    """The genes of a set by name, or a line with the nearest names."""
    if name in sets:
        return sets[name]
    near = near_names(name.upper(), sets)
    near = near or [known for known in sets if name.upper().replace(" ", "_") in known.upper()][:3]
    raise EosinError(f"no gene set is called '{name}'", fix=did_you_mean(near, f"there are {len(sets)} sets"))


def pathway_agreement(
    truth: np.ndarray, predicted: np.ndarray, names: Sequence[str], genes: Sequence[str]
) -> PathwayAgreement:
    """Compare the co-expression of `genes` in truth and prediction [s g], whose columns are called `names`."""
    truth, predicted = np.asarray(truth), np.asarray(predicted)
    if truth.shape != predicted.shape or truth.ndim != 2 or truth.shape[1] != len(names):
        raise ValueError(f"truth {truth.shape} and prediction {predicted.shape} must be [s g] of {len(names)} genes")
    return _Coexpressed.of(truth, predicted, names, genes).agreement(genes)


@dataclass(frozen=True, eq=False)
class _Coexpressed:
    """Correlations [n n] between the genes of gene sets that are in the panel and vary in the truth."""

    column: Mapping[str, int]
    truth: np.ndarray
    predicted: np.ndarray

    @classmethod
    def of(cls, truth: np.ndarray, predicted: np.ndarray, names: Sequence[str], genes: Iterable[str]) -> _Coexpressed:
        """Of some genes of truth and prediction [s g], whose columns are called `names`."""
        wanted = set(genes)
        varies = ~moments(truth).constant
        columns = np.array([j for j, name in enumerate(names) if name in wanted and varies[j]], dtype=np.int64)
        place = {str(names[int(j)]): number for number, j in enumerate(columns)}
        return cls(place, coexpression(truth, columns), coexpression(predicted, columns))

    def agreement(self, genes: Sequence[str]) -> PathwayAgreement:
        """Of one gene set."""
        wanted = list(dict.fromkeys(genes))
        there = [gene for gene in wanted if gene in self.column]
        picked = [self.column[gene] for gene in there]
        first, second = (table[np.ix_(picked, picked)] for table in (self.truth, self.predicted))
        order = _order(first)
        first, second = first[np.ix_(order, order)], second[np.ix_(order, order)]
        above = np.triu_indices(len(order), k=1)
        a, b = first[above], second[above]
        return PathwayAgreement(
            tuple(there[i] for i in order),
            len(wanted) - len(there),
            first,
            second,
            correlate(a, b) if len(order) >= MIN_GENES else np.nan,
            mean_defined(np.abs(a - b)),
        )


def coexpression(values: np.ndarray, columns: np.ndarray | None = None) -> np.ndarray:
    """Pearson correlations [n n] over spots between genes of values [s g], all by default; 0 for a constant gene."""
    values = np.asarray(values)
    columns, of_values = np.arange(values.shape[1]) if columns is None else columns, moments(values)
    result, varying = np.eye(len(columns)), np.flatnonzero(~of_values.constant[columns])
    if len(varying):
        genes = columns[varying]
        z = products(values, genes, of_values.mean[genes], 1 / np.sqrt(of_values.squares[genes]))
        result[np.ix_(varying, varying)] = np.clip(z, -1.0, 1.0)
        np.fill_diagonal(result, 1.0)
    return result


def _order(correlations: np.ndarray) -> np.ndarray:
    """Leaves of an average-linkage tree on 1 − r of the truth, so that blocks show."""
    from scipy.cluster.hierarchy import leaves_list, linkage

    n = len(correlations)
    if n < MIN_GENES:
        return np.arange(n)
    apart = np.clip(1.0 - correlations, 0.0, None)
    return leaves_list(linkage(apart[np.triu_indices(n, k=1)], method="average"))


def has_gene_sets(sections: MatchedSections) -> bool:
    """Whether gene sets are to be scored."""
    return bool(sections.gene_sets)


def gene_set_rows(sections: MatchedSections) -> dict[str, dict[str, float]]:
    """Of each gene set `correlation` and `difference`, means over sections, `n_genes` in the panel and `n_missing`."""
    rows, all_genes = {}, list(chain.from_iterable(sections.gene_sets.values()))
    known = [_Coexpressed.of(s.truth, s.mean, sections.genes, all_genes) for s in sections.sections]
    for name, genes in sections.gene_sets.items():
        found = [section.agreement(genes) for section in known]
        rows[name] = {
            "correlation": mean_defined(np.array([one.correlation for one in found])),
            "difference": mean_defined(np.array([one.difference for one in found])),
            "n_genes": len(set(genes) & set(sections.genes)),
            "n_missing": len(set(genes) - set(sections.genes)),
        }
    return rows


def _over_sets(sections: MatchedSections, key: str) -> float:
    return mean_defined(np.array([row[key] for row in sections.once(gene_set_rows).values()]))


register(
    Metric(
        key="pathways.correlation",
        function=lambda sections: _over_sets(sections, "correlation"),
        definition="gsc over the genes of each given gene set, mean over sections, then over sets",
        better="up",
        group=PATHWAYS,
        label="co-expression",
        source="FLAG, section 4.5",
        scope="sections",
        needs=has_gene_sets,
    )
)
register(
    Metric(
        key="pathways.difference",
        function=lambda sections: _over_sets(sections, "difference"),
        definition="mean absolute difference of the same gene-gene correlations, mean over sections, then over sets",
        better="down",
        group=PATHWAYS,
        label="difference",
        source="eosin",
        scope="sections",
        needs=has_gene_sets,
    )
)
