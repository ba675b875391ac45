"""How far a model is to be trusted on each gene, as its own training sections told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from eosin.errors import EosinError

MAP, LEVEL_ONLY, NO = "map", "level only", "no"
"""Verdicts: the map can be read; the mean of the slide only; neither was predicted better than by chance."""


@dataclass(frozen=True, eq=False)
class GeneTrust:
    """What held-out training sections say of each gene.

    Attributes
    ----------
    inner_pcc
        [g] correlation of predicted and measured values over the spots of a held-out slide, mean over slides; NaN where
        the gene did not vary.
    beyond_depth
        [g] the same given the library size of the spots (partial correlation): what the map knows beyond where there
        are many counts. NaN where it is not known.
    kind
        What was held out: sections of a `known patient`, or the patient (`new patient`).
    """

    inner_pcc: np.ndarray
    beyond_depth: np.ndarray
    kind: str

    def __post_init__(self) -> None:
        for name in ("inner_pcc", "beyond_depth"):
            object.__setattr__(self, name, np.asarray(getattr(self, name), dtype=np.float64))
        if self.inner_pcc.ndim != 1 or self.inner_pcc.shape != self.beyond_depth.shape:
            raise EosinError(f"trust in genes of shapes {self.inner_pcc.shape} and {self.beyond_depth.shape}")

    @property
    def verdicts(self) -> tuple[str, ...]:
        """`map` from an inner correlation of 0.5 on, `level only` from 0.2 on, `no` below and where it is not known."""
        return tuple(MAP if r >= 0.5 else LEVEL_ONLY if r >= 0.2 else NO for r in np.nan_to_num(self.inner_pcc))

    def of_genes(self, columns: list[int]) -> GeneTrust:
        """Those of some of the genes, in this order."""
        return GeneTrust(self.inner_pcc[columns], self.beyond_depth[columns], self.kind)

    def columns(self) -> Mapping[str, Any]:
        """For tables with a row per gene: `inner_pcc`, `inner_pcc_beyond_depth`, `trust`."""
        return {
            "inner_pcc": self.inner_pcc,
            "inner_pcc_beyond_depth": self.beyond_depth,
            "trust": list(self.verdicts),
        }
