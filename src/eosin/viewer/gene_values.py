"""Where the values of a gene come from: a prediction, another model's, or what was measured."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from scipy.spatial import cKDTree

from eosin.errors import EosinError
from eosin.genes import TRANSFORMS, totals
from eosin.geometry import nearest_spacing
from eosin.types import GenePanel, Prediction, Section, Spots

LOW, HIGH = 0.05, 0.95
"""Probabilities of the ends of the interval that is shown."""
_NEAR = 0.25
"""Of the distance between spots: one place."""


@dataclass(frozen=True)
class GeneValues:
    """One gene at the spots of the prediction that is shown.

    Attributes
    ----------
    vectors
        `mean` [s], and `low` and `high` [s] where the interval is a map; NaN where a value is not known.
    facts
        `interval`: how far the ends lie from the mean where these are the same at every spot.
    """

    vectors: dict[str, np.ndarray]
    facts: dict[str, Any] = field(default_factory=dict)


class ValueSource(Protocol):
    """Gives the values of the genes of the prediction that is shown.

    Attributes
    ----------
    title
        What a page calls it.
    """

    title: str

    def of_gene(self, column: int) -> GeneValues:
        """The gene in a column of the panel that is shown."""
        ...


class PredictedValues:
    """A prediction's mean and interval, brought to the spots and genes of the one that is shown.

    Parameters
    ----------
    prediction
        Whose values they are.
    title
        What a page calls it.
    panel, spots
        Those that are shown; by default its own.
    """

    def __init__(
        self, prediction: Prediction, title: str, panel: GenePanel | None = None, spots: Spots | None = None
    ) -> None:
        self.title, self._prediction = title, prediction
        place = {name: column for column, name in enumerate(prediction.panel.names)}
        names = prediction.panel.names if panel is None else panel.names
        self._columns = [place.get(name, -1) for name in names]
        self._rows = None if spots is None else matching_rows(prediction.spots, spots)

    @property
    def n_shared(self) -> tuple[int, int]:
        """How many of the shown genes and spots it has."""
        n_spots = len(self._prediction.spots) if self._rows is None else int((self._rows >= 0).sum())
        return sum(column >= 0 for column in self._columns), n_spots

    def of_gene(self, column: int) -> GeneValues:
        """Mean and interval of a gene; NaN where this prediction lacks it."""
        own = self._columns[column]
        if own < 0:
            n_rows = len(self._prediction.spots) if self._rows is None else len(self._rows)
            return GeneValues({"mean": np.full(n_rows, np.nan)})
        one = self._prediction.of_genes([own], self._prediction.panel.of_genes([own]))
        values = _with_interval(one)
        if self._rows is None:
            return values
        return GeneValues({name: _at(vector, self._rows) for name, vector in values.vectors.items()}, values.facts)


class MeasuredValues:
    """What was measured, in the panel's values, at the spots that are shown.

    Raises
    ------
    EosinError
        The section has no counts, none of the spots, or none of the genes.
    """

    title = "Measured"

    def __init__(self, section: Section, prediction: Prediction) -> None:
        if section.genes is None:
            raise EosinError(f"section '{section.name}' has no counts", fix="give the measured section as --truth")
        self._section, self._names = section, prediction.panel.names
        self._transform, self._totals = TRANSFORMS[prediction.panel.transform], totals(section)
        self._rows = matching_rows(section.spots, prediction.spots)
        self._known = set(section.genes)
        if not (self._rows >= 0).any():
            fix = "give the data that the prediction is of"
            raise EosinError(f"section '{section.name}' has none of the predicted spots", fix=fix)
        if not self._known & set(self._names):
            raise EosinError(f"section '{section.name}' has none of the predicted genes", fix="check --gene-names")

    @property
    def n_shared(self) -> tuple[int, int]:
        """How many of the shown genes and spots were measured."""
        return sum(name in self._known for name in self._names), int((self._rows >= 0).sum())

    def of_gene(self, column: int) -> GeneValues:
        """The measured values of a gene; NaN where it was not measured."""
        name = self._names[column]
        if name not in self._known:
            return GeneValues({"mean": np.full(len(self._rows), np.nan)})
        values = self._transform.forward(self._section.expression([name]), self._totals)[:, 0]
        return GeneValues({"mean": _at(values, self._rows)})


def matching_rows(theirs: Spots, shown: Spots) -> np.ndarray:
    """Row [s] of each shown spot among others, by name; where no name is shared by place; -1 where there is none."""
    rows = theirs.rows_of(shown.ids)
    if (rows >= 0).any():
        return rows
    spacing = nearest_spacing(theirs.xy_um) if len(theirs) > 1 else theirs.diameter_um
    distance, nearest = cKDTree(theirs.xy_um).query(shown.xy_um)
    return np.where(distance <= _NEAR * spacing, nearest, -1)


def is_same_everywhere(sd: np.ndarray) -> bool:
    """Whether standard deviations [s] of one gene are the same at every spot, so that they are no map."""
    return bool(np.ptp(sd) <= 1e-6 * max(float(sd.max()), 1e-12))


def _with_interval(one: Prediction) -> GeneValues:
    """Mean and interval of a prediction of one gene."""
    mean = one.mean[:, 0]
    if not one.has_spread:
        return GeneValues({"mean": mean})
    low, high = (one.quantile(q)[:, 0] for q in (LOW, HIGH))
    if one.error_bars is None or not is_same_everywhere(one.sd[:, 0]):
        return GeneValues({"mean": mean, "low": low, "high": high})
    interval = {
        "below": float((mean - low).max()),  # where the smallest possible value did not raise the end
        "above": float((high - mean).min()),
        "smallest": one.error_bars.smallest,
    }
    return GeneValues({"mean": mean}, {"interval": interval})


def _at(vector: np.ndarray, rows: np.ndarray) -> np.ndarray:
    return np.where(rows >= 0, vector[np.maximum(rows, 0)], np.nan)


def need_same_scale(shown: GenePanel, other: Prediction) -> None:
    """Refuse to compare predictions in other values, or without a shared gene.

    Raises
    ------
    EosinError
        Other values, or no shared gene.
    """
    whose = f"the prediction by '{other.model}'"
    if other.panel.transform != shown.transform:
        problem = f"{whose} is in {other.panel.transform}, the one that is shown in {shown.transform}"
        raise EosinError(problem, fix="compare predictions of models that were trained on one scale")
    if not set(other.panel.names) & set(shown.names):
        raise EosinError(f"{whose} has none of the genes that are shown", fix="compare predictions of one panel")
