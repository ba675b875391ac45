"""Spots in their context: the features of a spot beside the means over rings of its neighbours."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from eosin.geometry import ring_averages
from eosin.types import Batch


@dataclass(frozen=True)
class Context:
    """The features of spots, and what averages them over rings; made row by row, so that it stays small.

    A ring without a spot takes what the ring inside it says, the first one the spot's own features.

    Attributes
    ----------
    features
        [s f] of one member.
    rings
        One matrix [s s] for each ring.
    """

    features: np.ndarray
    rings: tuple[sparse.csr_matrix, ...]

    @classmethod
    def of(
        cls,
        batch: Batch,
        last_ranks: tuple[int, ...],
        columns: slice = slice(None),
        *,
        reach_um: float | None = None,
    ) -> Context:
        """Of all spots of a batch; `columns` are those of one member, `reach_um` the distance at which rings end."""
        rings = ring_averages(batch.xy_um, last_ranks, starts=batch.starts, reach_um=reach_um)
        return cls(batch.features[:, columns], rings)

    def member(self, columns: slice) -> Context:
        """The same with other columns of the features."""
        return Context(self.features[:, columns], self.rings)

    def rows(self, index: np.ndarray) -> np.ndarray:
        """[r (1 + rings) f] float64: features, then ring after ring, of some spots."""
        parts = [self.features[index].astype(np.float64)]
        for ring in self.rings:
            chosen = ring[index]
            mean = np.asarray(chosen @ self.features, dtype=np.float64)
            empty = np.diff(chosen.indptr) == 0
            parts.append(np.where(empty[:, None], parts[-1], mean))
        return np.hstack(parts)

    def __len__(self) -> int:
        return len(self.features)
