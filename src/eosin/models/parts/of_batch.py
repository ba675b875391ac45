"""What was made of the spots that a model was last given, for as long as these are in use."""

from __future__ import annotations

import weakref
from typing import Generic, TypeVar

from eosin.types import Batch

Made = TypeVar("Made")


class OfBatch(Generic[Made]):
    """One thing that was made of one batch; it goes with the batch, and a copy has none."""

    def __init__(self) -> None:
        self._of: tuple[weakref.ref[Batch], Made] | None = None

    def put(self, batch: Batch, made: Made) -> Made:
        """Keep what was made of a batch, instead of what was made of another."""
        self._of = weakref.ref(batch, self._forget), made
        return made

    def get(self, batch: Batch) -> Made | None:
        """What was made of this batch; None where nothing was."""
        return self._of[1] if self._of is not None and self._of[0]() is batch else None

    def _forget(self, _: object) -> None:
        self._of = None

    def __deepcopy__(self, memo: object) -> OfBatch[Made]:
        return OfBatch()

    def __reduce__(self) -> tuple[type[OfBatch[Made]], tuple[()]]:
        return OfBatch, ()
