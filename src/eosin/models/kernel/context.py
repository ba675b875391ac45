"""Spots in their context: the features of a spot beside the means over rings of its neighbours."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from functools import reduce
from typing import Any, TypeVar

import numpy as np
from scipy import sparse

from eosin.geometry import ring_averages
from eosin.storage.lazy_rows import LazyRows
from eosin.types import Batch

NUMBERS_AT_ONCE = 2**23
"""Features of spots and their neighbours that are looked at together: 64 MiB."""
Made = TypeVar("Made")


@dataclass(frozen=True, eq=False)
class Context:
    """The features of spots, and what averages them over rings; made row by row, so that it stays small.

    A ring without a spot takes what the ring inside it says, the first one the spot's own features.

    Attributes
    ----------
    features
        [s f] of one member: an array, or rows of files.
    rings
        One matrix [s s] for each ring.
    made
        What was made of some of the spots and is asked for again, see `once`.
    """

    features: np.ndarray | LazyRows
    rings: tuple[sparse.csr_matrix, ...]
    made: dict[Hashable, Any] = field(default_factory=dict, repr=False)

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
        return cls(batch.features, rings).member(columns)

    def member(self, columns: slice) -> Context:
        """The same with other columns of the features."""
        features = self.features
        chosen = features.chosen(columns=columns) if isinstance(features, LazyRows) else features[:, columns]
        return Context(chosen, self.rings)

    def rows(
        self, index: np.ndarray, less: np.ndarray | float = 0.0, dtype: np.dtype | type = np.float64
    ) -> np.ndarray:
        """[r (1 + rings) f]: features, then ring after ring, of some spots.

        Only these spots and their neighbours are looked at: one product with all spots would first make another copy
        of all features.

        Parameters
        ----------
        index
            The spots.
        less
            [f] taken from the features of each spot, before they are rounded to `dtype` and averaged.
        dtype
            float64 or float32.
        """
        result = np.empty((len(index), (1 + len(self.rings)) * self.features.shape[1]), dtype=dtype)
        self._put_rows(index, np.asarray(less, dtype=np.float64), result)
        return result

    def once(self, key: Hashable, make: Callable[[], Made]) -> Made:
        """What `make` gives, made the first time that it is asked for by this key; it has to be small."""
        if key not in self.made:
            self.made[key] = make()
        return self.made[key]

    def _put_rows(self, index: np.ndarray, less: np.ndarray, result: np.ndarray) -> None:
        rings, width = [ring[index] for ring in self.rings], self.features.shape[1]
        needed = reduce(np.union1d, (ring.indices for ring in rings), np.unique(index))
        if len(index) > 1 and len(needed) * width > NUMBERS_AT_ONCE:  # spots that lie apart share no neighbours
            half = len(index) // 2
            self._put_rows(index[:half], less, result[:half])
            self._put_rows(index[half:], less, result[half:])
            return
        seen = (self.features[needed] - less).astype(result.dtype, copy=False)
        result[:, :width] = seen[np.searchsorted(needed, index)]
        for number, ring in enumerate(rings, start=1):
            shape = len(index), len(needed)
            weights = ring.data.astype(result.dtype, copy=False)
            local = sparse.csr_matrix((weights, np.searchsorted(needed, ring.indices), ring.indptr), shape=shape)
            part = result[:, number * width : (number + 1) * width]
            part[:] = local @ seen
            empty = np.diff(ring.indptr) == 0
            part[empty] = result[empty, (number - 1) * width : number * width]

    def __len__(self) -> int:
        return len(self.features)
