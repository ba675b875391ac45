"""Counts of molecules <-> the values that a model predicts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from eosin.config import Registry
from eosin.errors import EosinError
from eosin.row_blocks import row_blocks
from eosin.types import GenePanel, Section

_AT_ONCE = 1 << 22
Elementwise = Callable[[np.ndarray], np.ndarray]
MOST_MOLECULES = 1e6
"""Of one gene in one spot: far above what any platform counts."""


@dataclass(frozen=True)
class Transform:
    """How counts of molecules become the values that a model predicts, and back.

    Attributes
    ----------
    name, unit
        Identity, and the formula as text for axes and files.
    log, exp
        Elementwise maps from (scaled) counts to values and back; `log` of 0 is 0, so sparse counts stay sparse.
    per
        Counts are first scaled to this many per spot; None leaves them as they are.
    """

    name: str
    unit: str
    log: Elementwise
    exp: Elementwise
    per: float | None = None

    def forward(self, counts: np.ndarray, totals: np.ndarray | None = None) -> np.ndarray:
        """Model values [s g], float64, of counts [s g].

        `totals` [s] are the counts of each spot over all measured genes, not only those given; only a scaled
        transform needs them. A spot without any count stays 0.
        """
        counts = np.asarray(counts, dtype=np.float64)
        return self.log(counts if self.per is None else counts * self._scale(totals)[:, None])

    def forward_sparse(self, counts: sparse.csr_matrix, totals: np.ndarray | None = None) -> sparse.csr_matrix:
        """The same for a sparse matrix, which stays sparse."""
        values = sparse.csr_matrix(counts, dtype=np.float64, copy=True)
        values.sum_duplicates()  # the log of a sum is not the sum of logs
        if self.per is not None:
            values.data *= np.repeat(self._scale(totals), np.diff(values.indptr))
        values.data = self.log(values.data)
        return values

    def inverse(self, values: np.ndarray, totals: np.ndarray | None = None) -> np.ndarray:
        """Counts [s g], float64, of model values; values below 0, which a model may predict, become 0 counts.

        A scaled transform without `totals` [s] gives counts per `per` (for `log1p_cp10k`: per 10 000 of the spot),
        because the spot's own total is not known from the panel.
        """
        counts = np.maximum(self.exp(np.asarray(values, dtype=np.float64)), 0.0)
        if self.per is None or totals is None:
            return counts
        return counts * (np.asarray(totals, dtype=np.float64) / self.per)[:, None]

    @property
    def most(self) -> float:
        """The largest value that a spot can have: of `MOST_MOLECULES`, or of all that it is scaled to."""
        return float(self.log(np.array(MOST_MOLECULES if self.per is None else self.per)))

    def _scale(self, totals: np.ndarray | None) -> np.ndarray:
        if totals is None:
            raise EosinError(f"transform '{self.name}' needs the total counts of every spot")
        per_spot: np.ndarray = np.asarray(totals, dtype=np.float64)
        return np.divide(self.per or 1.0, per_spot, out=np.zeros_like(per_spot), where=per_spot > 0)


_LN2 = float(np.log(2.0))

TRANSFORMS: Registry[Transform] = Registry("transform")
TRANSFORMS.add("log1p", Transform("log1p", "ln(1 + count)", np.log1p, np.expm1))
TRANSFORMS.add(
    "log1p_cp10k", Transform("log1p_cp10k", "ln(1 + count per 10 000 of the spot)", np.log1p, np.expm1, per=1e4)
)
TRANSFORMS.add(
    "log2p1", Transform("log2p1", "log2(1 + count)", lambda c: np.log1p(c) / _LN2, lambda v: np.expm1(v * _LN2))
)


def target(section: Section, panel: GenePanel) -> np.ndarray:
    """The model values [s g], float32, of a measured section on a panel: what a model is trained to give.

    Raises
    ------
    EosinError
        The section has no counts or lacks genes of the panel.
    """
    transform, per_spot = TRANSFORMS[panel.transform], totals(section)
    result = section.expression(panel.names)
    for rows in row_blocks(len(result), budget=_AT_ONCE, per_row=len(panel)):  # values take twice the memory of counts
        result[rows] = transform.forward(result[rows], per_spot[rows])
    return result


def totals(section: Section) -> np.ndarray:
    """Counts of each spot over all measured genes [s]."""
    return np.concatenate([np.asarray(part.sum(axis=1, dtype=np.float64)).ravel() for _, part in row_parts(section)])


def row_parts(section: Section) -> Iterator[tuple[slice, sparse.csr_matrix]]:
    """The counts of a section a few million values at a time: sums and selections of columns copy what they read."""
    counts, genes = measured(section)
    ends, start = counts.indptr, 0
    while start < len(section):
        stop = int(np.searchsorted(ends, int(ends[start]) + _AT_ONCE, side="right")) - 1
        stop = min(max(stop, start + 1), len(section))
        first, last = ends[start], ends[stop]
        arrays = counts.data[first:last], counts.indices[first:last], ends[start : stop + 1] - first
        yield slice(start, stop), sparse.csr_matrix(arrays, shape=(stop - start, len(genes)))
        start = stop


def measured(section: Section) -> tuple[sparse.csr_matrix, tuple[str, ...]]:
    """Counts [s g] and genes of a section, which must have them."""
    if section.counts is None or section.genes is None:
        raise EosinError(f"section '{section.name}' has no counts", fix="give a measured section")
    return section.counts, section.genes
