"""The input of a model: positions and features of spots."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from eosin.errors import EosinError
from eosin.storage.lazy_rows import LazyRows, StackedRows
from eosin.types.section import Section


@dataclass(frozen=True)
class Batch:
    """Spots of one or several sections or regions, concatenated and never padded: all that a model may see.

    Attributes
    ----------
    xy_um
        Positions [s 2] float64, µm.
    features
        [s f] float32: an array, or for models that read by rows (`Model.reads_rows`) what reads them from files.
    starts
        [b+1] int64: part i (a section or region) is the rows starts[i] to starts[i+1]. No part affects another.
    training_rows
        [s] int64 where the spots are training spots: their rows in the whole training batch, so that a model can
        use what it knows of them out of fold. None at inference.
    turned
        [s 7 f] float32 features of the images flipped and turned, None unless all sections have them. Training
        replaces the features of some spots by them; no model reads this field.
    patients
        Patient of each part (b), for what is known of a patient from training; empty where nobody says.
    blocks
        Numbers of features of the encoders that stand side by side; empty where there is one. See `Features`.
    """

    xy_um: np.ndarray
    features: np.ndarray
    starts: np.ndarray
    training_rows: np.ndarray | None = None
    turned: np.ndarray | None = None
    patients: tuple[str, ...] = ()
    blocks: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if self.blocks and sum(self.blocks) != self.features.shape[1]:  # a model put others in their place
            object.__setattr__(self, "blocks", ())

    @classmethod
    def of(cls, sections: Sequence[Section]) -> Batch:
        """Whole sections, concatenated: one part for each.

        Raises
        ------
        EosinError
            A section has no features, or the sections' features come from several encoders or settings.
        """
        keys = {section.need_features().key for section in sections}
        if not all(section.need_features().fits(key) for section in sections for key in keys):
            raise EosinError(
                f"the sections' features come from {len(keys)} encoders or settings: {', '.join(sorted(keys))}",
                fix="encode all sections alike",
            )
        turned = [turned for section in sections if (turned := section.need_features().turned) is not None]
        return cls(
            np.concatenate([section.spots.xy_um for section in sections]),
            _stacked([section.need_features().values for section in sections]),
            np.cumsum([0, *(len(section) for section in sections)]),
            turned=np.concatenate(turned) if len(turned) == len(sections) > 0 else None,
            patients=tuple(section.patient for section in sections),
            blocks=next((blocks for section in sections if (blocks := section.need_features().blocks)), ()),
        )

    def regions(self, rows: Sequence[np.ndarray]) -> Batch:
        """Some of its spots as a new batch: one part for each array of rows, of the patient of its first spot.

        Features on disk stay there.
        """
        chosen = np.concatenate(rows)
        training_rows = None if self.training_rows is None else self.training_rows[chosen]
        turned = None if self.turned is None else self.turned[chosen]
        starts = np.cumsum([0, *(len(part) for part in rows)])
        patients = self._patients_of(rows) if self.patients else ()
        lazy = isinstance(self.features, LazyRows)
        features: Any = self.features.chosen(chosen) if lazy else self.features[chosen]
        return Batch(self.xy_um[chosen], features, starts, training_rows, turned, patients, self.blocks)

    def _patients_of(self, rows: Sequence[np.ndarray]) -> tuple[str, ...]:
        part = self.part_of_spot()
        return tuple(self.patients[part[piece[0]]] if len(piece) else "" for piece in rows)

    def in_memory(self) -> Batch:
        """The same with all features in memory."""
        return replace(self, features=np.asarray(self.features)) if isinstance(self.features, LazyRows) else self

    def part_of_spot(self) -> np.ndarray:
        """Index of the part that each spot belongs to, int64 [s], from 0."""
        return np.repeat(np.arange(len(self.starts) - 1), np.diff(self.starts))

    def __len__(self) -> int:
        return len(self.xy_um)


def _stacked(tables: Sequence[np.ndarray | LazyRows]) -> Any:
    """Tables one below another: in memory, or read by rows where one of them is on disk."""
    if any(isinstance(table, LazyRows) for table in tables):
        return StackedRows(tables)
    return np.concatenate([np.asarray(table) for table in tables])
