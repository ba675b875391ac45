"""Update a trained model by measured spots of a patient: nothing is trained again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from torch import Tensor

from eosin.models import Model
from eosin.models.parts.base_model import SeesAlike
from eosin.models.parts.named_arrays import json_array, json_of, tensors
from eosin.models.parts.on_base import OnBase
from eosin.models.parts.pieces import Hop
from eosin.row_blocks import row_blocks
from eosin.trust import Distance, ErrorModel
from eosin.trust.patient_update import PatientUpdate
from eosin.types import Batch, Features, Section, Spots

_ROWS_AT_ONCE = 16_384
_FEATURES_AT_ONCE = 1 << 23


@dataclass(frozen=True, eq=False)
class MeasuredSpots:
    """Spots of one section that were measured after training.

    Attributes
    ----------
    section
        All its spots, with features and without counts: the look of a spot needs its neighbours.
    rows
        [m] which of them were measured.
    missed
        [m g] what the trained model misses there.
    """

    section: Section
    rows: np.ndarray
    missed: np.ndarray

    def arrays(self) -> dict[str, Tensor]:
        """All of it as tensors; `of_arrays` takes them back."""
        section, features = self.section, self.section.need_features()
        facts = [section.name, section.patient, list(section.spots.ids), section.spots.diameter_um]
        arrays = {
            "features": np.asarray(features.values),
            "xy_um": section.spots.xy_um,
            "rows": self.rows,
            "missed": self.missed,
        }
        named = {"facts": json_array([*facts, features.encoder, features.key, list(features.blocks)])}
        return tensors(arrays) | named

    @classmethod
    def of_arrays(cls, arrays: Mapping[str, Tensor]) -> MeasuredSpots:
        """What `arrays` gave."""
        name, patient, ids, diameter_um, encoder, key, blocks = json_of(arrays["facts"])
        features = Features(arrays["features"].numpy(), encoder, key, blocks=tuple(blocks))
        spots = Spots(arrays["xy_um"].numpy(), diameter_um, tuple(ids))
        section = Section(name, patient, spots, features=features)
        return cls(section, arrays["rows"].numpy(), arrays["missed"].numpy())


@dataclass(frozen=True, eq=False)
class Adaptation:
    """Measured spots of patients, by which later predictions of these patients are updated.

    Attributes
    ----------
    measured
        Of one section each.
    """

    measured: tuple[MeasuredSpots, ...]

    def of_patient(self, patient: str) -> Adaptation | None:
        """That of one patient; None where nothing was measured of them."""
        own = tuple(spots for spots in self.measured if spots.section.patient == patient)
        return Adaptation(own) if own else None

    def facts(self) -> list[dict[str, Any]]:
        """Sections, patients and numbers of measured spots, JSON-able."""
        return [{"name": m.section.name, "patient": m.section.patient, "n_spots": len(m.rows)} for m in self.measured]

    def update(
        self, model: Model, distance: Distance | None, errors: ErrorModel, section: Section, batch: Batch
    ) -> tuple[np.ndarray, ErrorModel]:
        """What is added to the mean [s g] of a section of the patient, and the errors around it."""
        learned = self.learned(model, distance, errors, section)
        return learned.added(batch, np.arange(len(batch))), learned.errors

    def learned(self, model: Model, distance: Distance | None, errors: ErrorModel, section: Section) -> LearnedUpdate:
        """What the measured spots say of a section of the patient."""
        patient = section.patient
        between = [
            [_between(model, distance, Batch.of([one.section]), one.rows, other) for other in self.measured]
            for one in self.measured
        ]
        missed = np.concatenate([spots.missed for spots in self.measured])
        update = PatientUpdate.of(missed, np.block(between), errors.of_patient(patient))
        on_slide = any(m.section.name == section.name for m in self.measured)
        n_spots = sum(len(m.rows) for m in self.measured)
        kind = update.errors_at(None if on_slide else errors.known.level, n_spots)
        later = replace(errors, known=kind, measured_later=(patient,))
        return LearnedUpdate(self.measured, update, later, model, distance)


@dataclass(frozen=True, eq=False)
class LearnedUpdate:
    """What measured spots of a patient say of another section.

    Attributes
    ----------
    measured
        The spots.
    update
        Of means by likeness to them.
    errors
        Around the updated mean.
    model, distance
        Whose kernel says what is alike.
    """

    measured: tuple[MeasuredSpots, ...]
    update: PatientUpdate
    errors: ErrorModel
    model: Model
    distance: Distance | None

    @property
    def hops(self) -> tuple[Hop, ...] | None:
        """How far the likeness of a spot looks around it; None: nobody says."""
        source = _source(self.model)
        if not isinstance(source, SeesAlike):
            return ()
        return source.reach if isinstance(source, Model) else None

    def added(self, batch: Batch, rows: np.ndarray) -> np.ndarray:
        """What is added to the mean [r g] at some spots of a batch."""
        added = np.empty((len(rows), len(self.update.level)))
        for block in row_blocks(len(rows), budget=_ROWS_AT_ONCE):
            kernel = [_between(self.model, self.distance, batch, rows[block], m) for m in self.measured]
            added[block] = self.update.added(np.hstack(kernel))
        return added


def _source(model: Model) -> Any:
    """The model, or its base, that may have a kernel."""
    return model.base if isinstance(model, OnBase) else model


def _between(
    model: Model, distance: Distance | None, batch: Batch, rows: np.ndarray, measured: MeasuredSpots
) -> np.ndarray:
    """How alike spots [r] of a batch and measured ones [m] look to the model, or by their features."""
    source, other = _source(model), Batch.of([measured.section])
    if isinstance(source, SeesAlike):
        return source.alike(batch, rows, other, measured.rows)
    assert distance is not None
    parts = [
        distance.space.alike(batch.features[rows[block]], other.features[measured.rows])
        for block in row_blocks(len(rows), budget=_FEATURES_AT_ONCE, per_row=batch.features.shape[1])
    ]
    return np.concatenate(parts) if parts else np.zeros((0, len(measured.rows)))
