"""How far measured values lie from a predicted mean."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from eosin.errors import EosinError


@dataclass(frozen=True, eq=False)
class ErrorBars:
    """The distribution of a measured value around its predicted mean, at every spot of one section.

    A scale for each gene and one shape for all of them; the same at every spot. A quantile is the mean plus the scale
    times the shape's quantile, not below the smallest possible value.

    Attributes
    ----------
    scale
        [g] standard deviation of a measured value around its mean, in the panel's values.
    probabilities, shape
        [q] growing probabilities, and the quantiles of the shape at them; of mean 0 and variance 1.
    smallest
        No value is below it (0 for logarithms of counts); None where there is no such value.
    kind
        Whom they are for: `known patient` or `new patient`.
    n_patients
        Patients in training.
    basis
        In words, what the width was learned from.

    Raises
    ------
    EosinError
        Shapes that do not fit, or numbers that are not finite.
    """

    scale: np.ndarray
    probabilities: np.ndarray
    shape: np.ndarray
    smallest: float | None = None
    kind: str = "new patient"
    n_patients: int = 0
    basis: str = ""

    def __post_init__(self) -> None:
        for name in ("scale", "probabilities", "shape"):
            object.__setattr__(self, name, np.asarray(getattr(self, name), dtype=np.float64))
        ordered = (np.diff(self.probabilities) > 0).all() and (np.diff(self.shape) >= 0).all()
        finite = all(np.isfinite(array).all() for array in (self.scale, self.probabilities, self.shape))
        if self.scale.ndim != 1 or self.probabilities.shape != self.shape.shape or len(self.shape) < 2:
            raise EosinError(f"error bars of shapes {self.scale.shape}, {self.probabilities.shape}, {self.shape.shape}")
        if not finite or not ordered or (self.scale < 0).any():
            raise EosinError("error bars whose numbers are not finite, not in order or negative", fix="train again")

    def standard_quantile(self, q: float) -> float:
        """Quantile of the shape; beyond the first and last probability the outermost one.

        Raises
        ------
        EosinError
            No probability.
        """
        if not 0 <= q <= 1:
            raise EosinError(f"{q} is no probability", fix="ask for a quantile between 0 and 1")
        return float(np.interp(q, self.probabilities, self.shape))

    def quantile(self, mean: np.ndarray, q: float) -> np.ndarray:
        """Quantile [s g] of the measured values, float32, around a mean [s g]."""
        values = mean + (self.scale * self.standard_quantile(q)).astype(np.float32)
        return values if self.smallest is None else np.maximum(values, np.float32(self.smallest))

    def of_genes(self, columns: list[int]) -> ErrorBars:
        """Those of some of the genes, in this order."""
        return replace(self, scale=self.scale[columns])

    def to_json(self) -> dict[str, Any]:
        """All of it as plain values."""
        return {
            "scale": self.scale.tolist(),
            "probabilities": self.probabilities.tolist(),
            "shape": self.shape.tolist(),
            "smallest": self.smallest,
            "kind": self.kind,
            "n_patients": self.n_patients,
            "basis": self.basis,
        }

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> ErrorBars:
        """What `to_json` gave.

        Raises
        ------
        EosinError
            A field is missing or of another kind.
        """
        try:
            return cls(**record)
        except (TypeError, ValueError) as error:
            raise EosinError(f"error bars are not readable ({error})", fix="predict again") from error
