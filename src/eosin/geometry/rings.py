"""Averages over rings of neighbours, by rank of distance, as sparse matrices."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from scipy import sparse

from eosin.geometry.nearest import neighbours

_TIE = 1e-6  # distances that agree to this fraction are the same distance: they differ by rounding only


def ring_averages(
    xy_um: np.ndarray,
    last_ranks: Sequence[int],
    *,
    starts: np.ndarray | None = None,
    reach_um: float | None = None,
) -> tuple[sparse.csr_matrix, ...]:
    """One matrix [s s] for each ring: row i times values [s f] is their mean over the ring's spots around spot i.

    The first ring holds the spots of rank 1 to `last_ranks[0]` by distance, the second the next ones to
    `last_ranks[1]`, and so on; the spot itself has rank 0. Spots at the same distance share their ranks: where a ring
    ends among them, each belongs to it in part. So nothing depends on the order of the spots, nor on how the section
    lies. A ring without a spot has an empty row.

    Parameters
    ----------
    xy_um
        Positions [s 2], µm.
    last_ranks
        Last rank of each ring, growing.
    starts
        [b+1] first row of each section in a concatenation; one section if absent. Sections do not mix.
    reach_um
        Spots further away than this, µm, are in no ring; None: however far.

    Raises
    ------
    ValueError
        Ranks that do not grow from at least 1.
    """
    if not all(a < b for a, b in pairwise((0, *last_ranks))):
        raise ValueError(f"last ranks {tuple(last_ranks)} do not grow from 1")
    if not last_ranks:
        return ()
    bounds = [0, len(xy_um)] if starts is None else [int(row) for row in starts]
    parts = [  # one section at a time: tables are wide
        _of_section(xy_um[a:b], last_ranks, reach_um) for a, b in pairwise(bounds) if b > a
    ]
    return tuple(_below_one_another(matrices, len(xy_um)) for matrices in zip(*parts)) if parts else _none(last_ranks)


def _none(last_ranks: Sequence[int]) -> tuple[sparse.csr_matrix, ...]:
    return tuple(sparse.csr_matrix((0, 0)) for _ in last_ranks)


def _below_one_another(blocks: Sequence[sparse.csr_matrix], n: int) -> sparse.csr_matrix:
    """[n n] with blocks on its diagonal."""
    starts = np.cumsum([0, *(len(block.indptr) - 1 for block in blocks)])
    ends = np.cumsum([0, *(block.nnz for block in blocks)])
    indices = np.concatenate([block.indices + start for block, start in zip(blocks, starts)])
    indptr = np.concatenate([[0], *(block.indptr[1:] + end for block, end in zip(blocks, ends))])
    return sparse.csr_matrix((np.concatenate([block.data for block in blocks]), indices, indptr), shape=(n, n))


def _of_section(xy_um: np.ndarray, last_ranks: Sequence[int], reach_um: float | None) -> list[sparse.csr_matrix]:
    """The matrices of one section."""
    around = neighbours(xy_um, last_ranks[-1], include_ties=True, reach_um=reach_um)
    offset = xy_um[around.index] - xy_um[:, None]
    distance = np.where(around.valid, np.hypot(offset[..., 0], offset[..., 1]), np.inf)
    order = np.argsort(distance, axis=1, kind="stable")
    index, distance = (np.take_along_axis(array, order, 1) for array in (around.index, distance))
    first, last = _shared_ranks(distance)
    rows = np.repeat(np.arange(len(xy_um))[:, None], index.shape[1], axis=1)
    matrices = []
    for start, stop in pairwise((0, *last_ranks)):
        inside = np.clip(np.minimum(last, stop) - np.maximum(first, start), 0, None)
        weight = np.where(np.isfinite(distance), inside / (last - first), 0.0)
        total = weight.sum(1, keepdims=True)
        weight = np.divide(weight, total, out=np.zeros_like(weight), where=total > 0)
        used = weight > 0
        shape = (len(xy_um), len(xy_um))
        matrices.append(sparse.csr_matrix((weight[used], (rows[used], index[used])), shape=shape))
    return matrices


def _shared_ranks(distance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of sorted distances [s n]: the number of nearer spots, and that of spots no further away, both [s n]."""
    n = distance.shape[1]
    finite = np.where(np.isfinite(distance), distance, 0.0)
    grows = np.ones(distance.shape, dtype=bool)
    grows[:, 1:] = ~(finite[:, 1:] <= finite[:, :-1] * (1 + _TIE)) | ~np.isfinite(distance[:, 1:])
    place = np.arange(n)
    first = np.maximum.accumulate(np.where(grows, place, 0), axis=1)
    ends = np.ones(distance.shape, dtype=bool)
    ends[:, :-1] = grows[:, 1:]
    last = np.minimum.accumulate(np.where(ends, place + 1, n)[:, ::-1], axis=1)[:, ::-1]
    return first, last
