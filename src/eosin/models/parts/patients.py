"""Which section and patient each training spot is of, and what is held out together for each of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from eosin.geometry.grouping import regions
from eosin.models.base import Training
from eosin.models.parts.named_arrays import json_array, json_of, tensors
from eosin.models.parts.sums import Sums
from eosin.row_blocks import row_blocks
from eosin.types import Batch

MOST_FOLDS = 8
"""More groups than this are held out several at a time."""
_NUMBERS_AT_ONCE = 2**22
KINDS = ("new patient", "known patient")
"""How a patient is predicted, by whether there was one in training."""


@dataclass(frozen=True)
class SpotOrigins:
    """Sections and patients of training spots.

    Attributes
    ----------
    section, patient
        [s] int64: part of the batch, and number of the patient, of each spot.
    names
        Names of the patients, by number; empty where the batch does not say them. Then `Training.groups` stand for
        patients where each section is of one group, and all sections are of one patient where not.
    own_groups
        [s] `Training.groups`.
    xy_um
        Positions [s 2].
    """

    section: np.ndarray
    patient: np.ndarray
    names: tuple[str, ...]
    own_groups: np.ndarray
    xy_um: np.ndarray

    @classmethod
    def of(cls, training: Training) -> SpotOrigins:
        """Of all spots of a training set."""
        batch, section = training.batch, training.batch.part_of_spot()
        if batch.patients:
            names = tuple(dict.fromkeys(batch.patients))
            patient = np.array([names.index(name) for name in batch.patients], dtype=np.int64)[section]
            return cls(section, patient, names, training.groups, batch.xy_um)
        pairs = np.unique(np.stack([section, training.groups]), axis=1)
        each_in_one = len(pairs[0]) == len(np.unique(section))
        patient = np.unique(training.groups, return_inverse=True)[1] if each_in_one else np.zeros_like(section)
        return cls(section, patient.reshape(-1), (), training.groups, batch.xy_um)

    def groups(self) -> np.ndarray:
        """[s] what is held out together: `Training.groups`, or where these are one, sections, or regions of one."""
        for labels in (self.own_groups, self.section):
            if len(np.unique(labels)) > 1:
                return labels
        return regions(self.xy_um)

    def folds_of_new(self) -> list[np.ndarray]:
        """Rows held out in turn to judge how a new patient is predicted: of a patient, else of a section or a region.

        An empty list where nothing can be held out.
        """
        return _rows(self.patient) if len(np.unique(self.patient)) > 1 else self._sections_or_regions()

    def folds_of_known(self) -> list[np.ndarray]:
        """Rows held out in turn to judge how a new section of a known patient is predicted.

        Those of a section whose patient has others; where no patient has two, those of `folds_of_new`.
        """
        several = [rows for rows in _rows(self.section) if (self.patient == self.patient[rows[0]]).sum() > len(rows)]
        return several or self.folds_of_new()

    def sections_with_siblings(self) -> np.ndarray:
        """[s] section of each spot whose patient has several of them, -1 for others: what is held out in turn."""
        labels = np.full(len(self.section), -1)
        for rows in _rows(self.section):
            if (self.patient == self.patient[rows[0]]).sum() > len(rows):
                labels[rows] = self.section[rows[0]]
        return labels

    def siblings_in_folds(self) -> np.ndarray:
        """[s] labels of sections held out together, so that siblings of each stay; -1 for a patient's only section.

        The first sections of all patients who have several, then the second ones, and so on.
        """
        labels = np.full(len(self.section), -1)
        for patient in np.unique(self.patient) if self.names else ():
            own = self.patient == patient
            sections = np.unique(self.section[own])
            if len(sections) > 1:
                labels[own] = np.searchsorted(sections, self.section[own]) % MOST_FOLDS
        return labels

    def pairs_in_folds(self, fewest: int, most: int) -> tuple[np.ndarray, np.ndarray]:
        """[s] labels of two sections of a patient each, held out together, and [s] the patient's number of sections.

        -1 for spots of patients with fewer or more sections than named, and for the section that makes no pair.
        """
        labels, n_sections = np.full(len(self.section), -1), np.zeros(len(self.section), dtype=np.int64)
        for patient in np.unique(self.patient) if self.names else ():
            own = self.patient == patient
            sections = np.unique(self.section[own])
            if fewest <= len(sections) <= most:
                number = np.searchsorted(sections, self.section[own])
                labels[own] = np.where(number < len(sections) // 2 * 2, number // 2, -1)
                n_sections[own] = len(sections)
        return labels, n_sections

    def sections_in_folds(self) -> np.ndarray:
        """[s] the labels of `siblings_in_folds`, and patients' only sections in turn beside them.

        `groups` where there is one section, or where the batch does not name patients.
        """
        if len(np.unique(self.section)) < 2 or not self.names:
            return self.groups()
        labels = self.siblings_in_folds()
        for count, section in enumerate(np.unique(self.section[labels < 0])):
            labels[self.section == section] = count % MOST_FOLDS
        return labels

    def patients_in_folds(self) -> np.ndarray:
        """[s] labels of what is held out to learn how a new patient is missed: patients, else sections or regions.

        Where the batch does not name patients, `Training.groups` stand for them, and stay as they are.
        """
        for labels in (self.patient, self.section) if self.names else ():
            if len(np.unique(labels)) > 1:
                return labels % MOST_FOLDS
        return self.own_groups

    def patient_of_section(self) -> np.ndarray:
        """[n] number of the patient of each section, by its number; sections without a spot are patient 0's."""
        found = np.zeros(int(self.section.max(initial=-1)) + 1, dtype=np.int64)
        found[self.section] = self.patient
        return found

    def take(self, rows: np.ndarray) -> SpotOrigins:
        """The origins of some spots; a patient who has none of them is not in it."""
        left = np.unique(self.patient[rows])
        names = tuple(self.names[number] for number in left) if self.names else ()
        renumbered = np.searchsorted(left, self.patient[rows])
        return SpotOrigins(self.section[rows], renumbered, names, self.own_groups[rows], self.xy_um[rows])

    def _sections_or_regions(self) -> list[np.ndarray]:
        labels = self.section if len(np.unique(self.section)) > 1 else self.groups()
        rows = _rows(labels)
        return rows if len(rows) > 1 else []


def _rows(labels: np.ndarray) -> list[np.ndarray]:
    """Rows of each label."""
    return [np.flatnonzero(labels == label) for label in np.unique(labels)]


def within_sections(values: np.ndarray, section: np.ndarray) -> np.ndarray:
    """Values [s g] less their mean over the section's spots, float64."""
    return values - section_means(values, section)[np.unique(section, return_inverse=True)[1].reshape(-1)]


def spread_within_sections(values: np.ndarray, section: np.ndarray) -> np.ndarray:
    """[g] mean square of values [s g] less their mean over the section's spots, float64; in blocks."""
    means, number = section_means(values, section), np.unique(section, return_inverse=True)[1].reshape(-1)
    squares = np.zeros(values.shape[1])
    for block in row_blocks(len(values), budget=_NUMBERS_AT_ONCE, per_row=values.shape[1]):
        squares += np.square(values[block] - means[number[block]]).sum(0)
    return squares / len(values)


def section_means(values: np.ndarray, section: np.ndarray) -> np.ndarray:
    """Means [sections g] of values [s g], float64, by growing number of the section."""
    return np.stack([_mean_of(values, np.flatnonzero(section == label)) for label in np.unique(section)])


def _mean_of(values: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """[g] mean of some rows of values [s g], float64."""
    totals = np.zeros(values.shape[1])
    for block in row_blocks(len(rows), budget=_NUMBERS_AT_ONCE, per_row=values.shape[1]):
        totals += values[rows[block]].sum(0, dtype=np.float64)
    return totals / len(rows)


@dataclass(frozen=True)
class Levels:
    """The level of each gene: what is added to a prediction that says nothing of it.

    Attributes
    ----------
    overall
        [g] for a patient who is not known.
    patients
        Known patients (p).
    own
        [p g] for each of them.
    """

    overall: np.ndarray
    patients: tuple[str, ...]
    own: np.ndarray

    @classmethod
    def of(cls, target: np.ndarray, origins: SpotOrigins) -> Levels:
        """Means of `target` [s g]: over all spots, and over those of each patient."""
        own = [_mean_of(target, np.flatnonzero(origins.patient == number)) for number in range(len(origins.names))]
        stacked = np.stack(own) if own else np.zeros((0, target.shape[1]))
        return cls(target.mean(0, dtype=np.float64), origins.names, stacked)

    @classmethod
    def of_sums(cls, sums: Sums, origins: SpotOrigins) -> Levels:
        """The same from sums over some spots: of the patients that these are of."""
        if not origins.names:
            return cls(sums.mean_y(), (), np.zeros((0, sums.y.shape[1])))
        patient = origins.patient_of_section()[sums.section]
        there = np.unique(patient)
        own = np.stack([sums.mean_y(patient == number) for number in there])
        return cls(sums.mean_y(), tuple(origins.names[number] for number in there), own)

    def known(self, patient: str) -> bool:
        """Whether a patient was trained on."""
        return patient in self.patients

    def known_spots(self, batch: Batch) -> np.ndarray:
        """Whether each spot is of a patient who was trained on, bool [s]."""
        of_part = np.array([self.known(patient) for patient in batch.patients], dtype=bool)
        return of_part[batch.part_of_spot()] if len(of_part) else np.zeros(len(batch), dtype=bool)

    def whose(self, patient: str) -> str:
        """In words, for whom a patient is taken."""
        return KINDS[self.known(patient)]

    def at(self, batch: Batch) -> np.ndarray:
        """[s g] or [1 g]: each spot's level, by the patient of its part."""
        if not any(self.known(patient) for patient in batch.patients):
            return self.overall[None]
        return self.of_parts(batch)[batch.part_of_spot()]

    def of_parts(self, batch: Batch) -> np.ndarray:
        """[b g] the level of each part, by its patient; of all parts that of a new one where nobody says."""
        patients = batch.patients or ("",) * (len(batch.starts) - 1)
        rows = [self.own[self.patients.index(p)] if self.known(p) else self.overall for p in patients]
        return np.stack(rows) if rows else np.zeros((0, len(self.overall)))

    def of_spots(self, origins: SpotOrigins, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Levels [r g] of some spots, by their origins, and whether their patient is known, bool [r]."""
        values = np.tile(self.overall, (len(rows), 1))
        known = np.zeros(len(rows), dtype=bool)
        for number, name in enumerate(origins.names):
            own = origins.patient[rows] == number
            if self.known(name):
                values[own], known[own] = self.own[self.patients.index(name)], True
        return values, known

    def arrays(self) -> dict[str, Tensor]:
        """Levels and names as tensors; `of_arrays` takes them back."""
        return {**tensors({"overall": self.overall, "own": self.own}), "patients": json_array(self.patients)}

    @classmethod
    def of_arrays(cls, arrays: Mapping[str, Tensor]) -> Levels:
        """What `arrays` gave."""
        return cls(arrays["overall"].numpy(), tuple(json_of(arrays["patients"])), arrays["own"].numpy())
