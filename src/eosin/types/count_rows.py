"""Counts of a panel's genes at the spots of a section, dense for some rows at a time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from eosin.storage.lazy_rows import LazyRows
from eosin.types.section import Section


class CountRows(LazyRows):
    """Raw counts [s g] of some genes of a measured section; `Section.expression` makes all of them at once.

    Parameters
    ----------
    section
        With counts.
    names
        Genes that it has.
    """

    def __init__(self, section: Section, names: Sequence[str]):
        assert section.counts is not None and section.genes is not None
        column = {gene: number for number, gene in enumerate(section.genes)}
        self.counts, self.columns = section.counts, [column[name] for name in names]
        self.shape = len(section), len(self.columns)

    def rows(self, index: np.ndarray) -> np.ndarray:
        """Dense counts of some spots."""
        return self.counts[index][:, self.columns].toarray()
