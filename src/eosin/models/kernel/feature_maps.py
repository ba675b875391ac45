"""What a member says of very many spots at once: its regression at one penalty, as maps of features.

The linear part of the kernel makes the regression a linear map of a spot's features in their context, and the Gaussian
part looks at some linear combinations of these. Means over rings commute with linear maps. So features of each spot are
mapped once, and what is averaged over rings is short: for few genes a tenth of the work of the kernel with all anchors.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce

import numpy as np
from scipy import sparse

from eosin.models.kernel.context import Context
from eosin.models.kernel.member import Member, Near
from eosin.parallel import each, one_blas_thread
from eosin.row_blocks import row_blocks

_NUMBERS_AT_ONCE = 2**24
"""Mapped features that are kept together: 128 MiB."""
_BLOCK = 2**20
"""Features, and values of the kernel, that a thread looks at together: 8 MiB, of which a core's cache holds much."""


def maps_pay(member: Member, n_genes: int) -> bool:
    """Whether there are so few genes that this is less work than the kernel itself."""
    return 2 * n_genes <= len(member.anchors.linear)


@dataclass(frozen=True)
class Maps:
    """A regression of a member at one penalty, in the precision that the member's kernel sees spots in.

    Attributes
    ----------
    member
        The member.
    features
        [f (c + g)] features in their context, less their mean -> what the Gaussian part sees, and values.
    constant
        [c + g] that is added to these.
    n_curved
        c, the combinations that the Gaussian part sees.
    weights
        [m g] of the kernel with each anchor.
    """

    member: Member
    features: np.ndarray
    constant: np.ndarray
    n_curved: int
    weights: np.ndarray

    @classmethod
    def of(cls, member: Member, penalty: float) -> Maps:
        """The member's own regression."""
        spectrum = member.spectrum
        shrunk = spectrum.cross / (spectrum.eigenvalues + penalty)[:, None]
        return cls.by_weights(member, spectrum.back @ shrunk, spectrum.shift @ shrunk)

    @classmethod
    def by_weights(cls, member: Member, weights: np.ndarray, level: np.ndarray) -> Maps:
        """Of weights [m g] of the kernel with each anchor, and what is added to the values [g]."""
        likeness, linear, dtype = member.likeness, member.anchors.linear, member.likeness.scale.dtype
        n_genes, n_curved = weights.shape[1], likeness.basis.shape[1] if likeness.width > 0 else 0
        own = weights.astype(dtype, copy=False)
        if not linear.shape[1]:  # it sees places only
            return cls(member, np.zeros((0, n_genes), dtype), level.astype(dtype), 0, own)
        by_feature = linear.T @ weights / likeness.total if likeness.total > 0 else np.zeros((linear.shape[1], n_genes))
        standard = np.hstack([likeness.basis[:, :n_curved], by_feature])  # of standardised features
        constant = np.concatenate([-likeness.centre @ likeness.basis[:, :n_curved], level])
        features = standard / likeness.scale[:, None]
        return cls(member, features.astype(dtype, copy=False), constant.astype(dtype), n_curved, own)

    def values(self, context: Context, rows: np.ndarray, near: Near | None = None) -> np.ndarray:
        """Values [r g] of some spots, without their level; `near` has the places of all spots of the context."""
        result = np.empty((len(rows), self.weights.shape[1]), dtype=self.weights.dtype)
        self._put(context, rows, near, result)
        return result

    def _put(self, context: Context, rows: np.ndarray, near: Near | None, result: np.ndarray) -> None:
        if not len(self.features):
            seen = np.tile(self.constant, (len(rows), 1))
        else:
            rings = _filled(context.rings, rows)
            needed = reduce(np.union1d, (ring.indices for ring in rings), np.unique(rows))
            n_numbers = len(needed) * len(self.constant) * len(rings)
            if len(rows) > 1 and n_numbers > _NUMBERS_AT_ONCE:
                half = len(rows) // 2
                self._put(context, rows[:half], near, result[:half])
                self._put(context, rows[half:], near, result[half:])
                return
            seen = self.constant + self._mapped(context, rings, needed)
        result[:] = seen[:, self.n_curved :]
        self._add_kernel(seen[:, : self.n_curved], rows, near, result)

    def _mapped(self, context: Context, rings: list[sparse.csr_matrix], needed: np.ndarray) -> np.ndarray:
        """[r (c + g)] of spots whose features are averaged by `rings`, the first of which is the spot itself."""
        width, n_out = context.features.shape[1], len(self.constant)
        by_ring = np.hstack([self.features[j * width : (j + 1) * width] for j in range(len(rings))])
        mapped = np.empty((len(needed), by_ring.shape[1]), dtype=by_ring.dtype)
        mean = self.member.likeness.mean[:width]

        def put(block: slice) -> None:
            mapped[block] = (context.features[needed[block]] - mean).astype(by_ring.dtype, copy=False) @ by_ring

        with one_blas_thread():
            each(put, row_blocks(len(needed), budget=_BLOCK, per_row=width))
        n_rows = len(rings[0].indptr) - 1
        total = np.zeros((n_rows, n_out), dtype=by_ring.dtype)
        for j, ring in enumerate(rings):
            shape = n_rows, len(needed)
            averages = ring.data.astype(by_ring.dtype, copy=False)
            local = sparse.csr_matrix((averages, np.searchsorted(needed, ring.indices), ring.indptr), shape=shape)
            total += local @ mapped[:, j * n_out : (j + 1) * n_out]
        return total

    def _add_kernel(self, curved: np.ndarray, rows: np.ndarray, near: Near | None, result: np.ndarray) -> None:
        """Add the parts of the kernel that are no linear maps."""
        member, anchors = self.member, self.member.anchors.curved
        places = member.near is not None and near is not None
        if not self.n_curved and not places:
            return
        of_anchors = np.square(anchors).sum(1) if self.n_curved else 0.0

        def add(block: slice) -> None:
            kernel = np.zeros((block.stop - block.start, len(self.weights)), dtype=self.weights.dtype)
            if self.n_curved:
                some = curved[block]
                np.matmul(some, anchors.T * -2, out=kernel)
                kernel += np.square(some).sum(1)[:, None]
                kernel += of_anchors
                np.maximum(kernel, 0, out=kernel)
                kernel *= -1 / (2 * member.likeness.width)
                np.exp(kernel, out=kernel)
            if places:
                assert near is not None and member.near is not None
                own = near.places.take(rows[block])
                kernel += member.near.weight * own.nearness(member.near.places, member.near.length, kernel.dtype)
            result[block] += kernel @ self.weights

        with one_blas_thread():
            each(add, row_blocks(len(rows), budget=_BLOCK, per_row=len(self.weights)))


def _filled(rings: tuple[sparse.csr_matrix, ...], rows: np.ndarray) -> list[sparse.csr_matrix]:
    """What averages the spot itself and each ring [r s]; an empty ring is the one inside it, as in `Context`."""
    n = len(rings[0].indptr) - 1 if rings else int(rows.max(initial=-1)) + 1
    shape = len(rows), n
    found = [sparse.csr_matrix((np.ones(len(rows)), rows, np.arange(len(rows) + 1)), shape=shape)]
    for ring in rings:
        own = ring[rows]
        empty = np.diff(own.indptr) == 0
        found.append(sparse.csr_matrix(own + sparse.diags(empty.astype(float)) @ found[-1]) if empty.any() else own)
    return found
