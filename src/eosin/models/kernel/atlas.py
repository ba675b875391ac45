"""Where spots lie on a reference section of their patient, found from what they look like."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from eosin.geometry.registration import Placement, Reference
from eosin.models.kernel.context import Context
from eosin.models.kernel.gram import half_whitened, scales
from eosin.models.parts.named_arrays import tensors
from eosin.models.parts.patients import SpotOrigins
from eosin.row_blocks import row_blocks
from eosin.types import Batch

NOWHERE = -1
_NUMBERS_AT_ONCE = 2**23


@dataclass(frozen=True)
class Places:
    """Positions of spots on reference sections.

    Attributes
    ----------
    frame
        [s] int64: number of the reference; NOWHERE without one.
    xy
        [s 2] in pitches of the reference.
    """

    frame: np.ndarray
    xy: np.ndarray

    @classmethod
    def nowhere(cls, n: int) -> Places:
        """Of spots that are laid over nothing."""
        return cls(np.full(n, NOWHERE, dtype=np.int64), np.zeros((n, 2)))

    def take(self, rows: np.ndarray) -> Places:
        """Those of some spots."""
        return Places(self.frame[rows], self.xy[rows])

    def nearness(self, other: Places, length: float) -> np.ndarray:
        """[s t]: exp(-distance² / 2 length²) on the same reference, 0 on different ones."""
        near = np.zeros((len(self.frame), len(other.frame)))
        for frame in np.setdiff1d(np.intersect1d(self.frame, other.frame), NOWHERE):
            own, there = np.flatnonzero(self.frame == frame), np.flatnonzero(other.frame == frame)
            one, two = self.xy[own], other.xy[there]
            squared = np.square(one[:, None, 0] - two[:, 0]) + np.square(one[:, None, 1] - two[:, 1])
            squared /= -2 * length**2
            near[np.ix_(own, there)] = np.exp(squared, out=squared)
        return near


@dataclass(frozen=True)
class Atlas:
    """The largest training section of each patient, and the few numbers by which sections are laid over it.

    Attributes
    ----------
    mean, scale
        [f] of the features in training.
    basis
        [f c] half-whitened principal components of half a spot's features and half its ring's.
    references
        One section for each patient, by the patients' numbers.
    """

    mean: np.ndarray
    scale: np.ndarray
    basis: np.ndarray
    references: tuple[Reference, ...]

    @classmethod
    def of(cls, batch: Batch, origins: SpotOrigins, n_components: int, rows: np.ndarray) -> Atlas:
        """From all training spots; `rows` are those that principal components are fitted to."""
        context = Context.of(batch, (8,))
        mean, scale = scales(batch.features, np.arange(len(batch)))
        seen = _blended(context, rows, mean, scale)
        basis = half_whitened(seen - seen.mean(0), n_components)
        bare, references = cls(mean, scale, basis, ()), []
        for number in range(int(origins.patient.max()) + 1):
            own = origins.section[origins.patient == number]
            labels, sizes = np.unique(own, return_counts=True)
            largest = np.flatnonzero(origins.section == labels[np.argmax(sizes)])
            references.append(Reference(batch.xy_um[largest], bare.numbers(context, largest)))
        return cls(mean, scale, basis, tuple(references))

    def numbers(self, context: Context, rows: np.ndarray) -> np.ndarray:
        """[r c] what the spots of one section look like, centred over the section."""
        seen = self.seen(context, rows)
        return seen - seen.mean(0)

    def seen(self, context: Context, rows: np.ndarray) -> np.ndarray:
        """[r c] what some spots look like."""
        seen = np.empty((len(rows), self.basis.shape[1]))
        for block in row_blocks(len(rows), budget=_NUMBERS_AT_ONCE, per_row=2 * len(self.mean)):
            seen[block] = _blended(context, rows[block], self.mean, self.scale) @ self.basis
        return seen

    @property
    def largest(self) -> int:
        """Number of the largest reference: that of patients who are not known."""
        return int(np.argmax([len(reference.xy_um) for reference in self.references]))

    def lay(self, batch: Batch, rows: np.ndarray, context: Context, frame: int) -> Placement | None:
        """Lay the spots of one section, rows of the batch, over a reference."""
        reference = self.references[frame]
        return reference.place(batch.xy_um[rows], self.numbers(context, rows))

    def places_of_training(self, batch: Batch, origins: SpotOrigins) -> Places:
        """Where the training spots lie: each section on its own patient's reference, which lies on itself."""
        context, places = Context.of(batch, (8,)), Places.nowhere(len(batch))
        for label in np.unique(origins.section):
            rows = np.flatnonzero(origins.section == label)
            frame = int(origins.patient[rows[0]])
            reference = self.references[frame]
            if np.array_equal(batch.xy_um[rows], reference.xy_um):
                laid = reference.own_places() if len(rows) > 1 else None
            else:
                placement = self.lay(batch, rows, context, frame)
                laid = None if placement is None else placement.xy
            if laid is not None:
                places.frame[rows], places.xy[rows] = frame, laid
        return places

    def arrays(self) -> dict[str, Tensor]:
        """All of it, by name."""
        parts = {"mean": self.mean, "scale": self.scale, "basis": self.basis}
        for number, reference in enumerate(self.references):
            parts |= {f"reference.{number}.xy_um": reference.xy_um, f"reference.{number}.values": reference.values}
        return tensors(parts)

    @classmethod
    def of_arrays(cls, arrays: Mapping[str, Tensor]) -> Atlas:
        """What `arrays` gave."""
        n = sum(name.endswith(".xy_um") for name in arrays)
        references = [
            Reference(*(arrays[f"reference.{number}.{part}"].numpy() for part in ("xy_um", "values")))
            for number in range(n)
        ]
        mean, scale, basis = (arrays[name].numpy() for name in ("mean", "scale", "basis"))
        return cls(mean, scale, basis, tuple(references))


def _blended(context: Context, rows: np.ndarray, mean: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """[r f] half of each spot's standardised features and half of its ring's."""
    both = context.rows(rows)
    n = len(mean)
    return ((both[:, :n] + both[:, n:]) / 2 - mean) / scale
