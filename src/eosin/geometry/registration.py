"""Lay one section over another by what their spots look like: a turn, maybe a mirror, and a shift."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
from scipy.spatial import cKDTree

from eosin.geometry.spacing import nearest_spacing

_ANGLES = np.arange(24) * (2 * np.pi / 24)
_SHIFTS = (-2.0, 0.0, 2.0)
_N_REFINEMENTS = 5
_SMALLEST = 10
"""Spots below which a section is not laid over another: chance alone would fit them."""
_MOST = 2000
"""Spots of a section that take part in the search, evenly from its centre outwards."""


@dataclass(frozen=True)
class Placement:
    """Where a section lies over a reference.

    Attributes
    ----------
    xy
        [s 2] positions of its spots on the reference, in pitches from the reference's centroid.
    score
        Correlation of what lies over one another, times the square root of the matched share of the larger section.
    """

    xy: np.ndarray
    score: float


@dataclass(frozen=True)
class Reference:
    """A section that others are laid over.

    Attributes
    ----------
    xy_um
        [s 2] positions of its spots.
    values
        [s c] what they look like, centred over the section.
    """

    xy_um: np.ndarray
    values: np.ndarray

    @property
    def pitch_um(self) -> float:
        """Distance between neighbouring spots."""
        return nearest_spacing(self.xy_um)

    def own_places(self) -> np.ndarray:
        """[s 2] its own positions, in pitches from its centroid."""
        return (self.xy_um - self.xy_um.mean(0)) / self.pitch_um

    def place(self, xy_um: np.ndarray, values: np.ndarray) -> Placement | None:
        """Lay a section over this one.

        Both mirrors, every 15 degrees and shifts of two pitches are tried from centroid to centroid, and the best is
        refined. The angles count from the section's own principal axes: how it lies on its slide changes nothing.

        Parameters
        ----------
        xy_um
            [t 2] positions of its spots.
        values
            [t c] what they look like, centred over the section.

        Returns
        -------
        Placement | None
            None where a section is too small, or nowhere half of the smaller one has a counterpart within a pitch.
        """
        if min(len(xy_um), len(self.xy_um)) < _SMALLEST or not self.pitch_um > 0:
            return None
        own = (xy_um - xy_um.mean(0)) / self.pitch_um
        reach = max(1.0, nearest_spacing(own))
        axes = np.linalg.eigh(own.T @ own)[1]
        own = own @ axes
        outwards = np.argsort(np.linalg.norm(own, axis=1), kind="stable")  # does not depend on order, turn or mirror
        some = outwards[np.unique(np.linspace(0, len(own) - 1, min(len(own), _MOST)).astype(int))]
        search = _Search(cKDTree(self.own_places()), self.values, own[some], values[some], reach, len(own))
        moves = np.array([(m, a, x, y) for m, a, x, y in product((1.0, -1.0), _ANGLES, _SHIFTS, _SHIFTS)])
        best, score = search.best(moves)
        angle, shift = np.pi / 24, 1.0
        for _ in range(_N_REFINEMENTS):
            steps = np.array([(0, a, x, y) for a, x, y in product((-angle, 0, angle), *[(-shift, 0, shift)] * 2)])
            best, score = search.best(best + steps)
            angle, shift = angle / 2, shift / 2
        return Placement(_moved(own, best), score) if np.isfinite(score) else None


@dataclass(frozen=True)
class _Search:
    """What moves are judged by."""

    tree: cKDTree
    reference: np.ndarray
    xy: np.ndarray
    values: np.ndarray
    reach: float
    n_all: int

    def best(self, moves: np.ndarray) -> tuple[np.ndarray, float]:
        """The move [4] of the highest score, and that; -inf where none is allowed."""
        scores = np.concatenate([self._scores(part) for part in np.array_split(moves, max(1, len(moves) // 48))])
        number = int(np.argmax(scores))
        return moves[number], float(scores[number])

    def _scores(self, moves: np.ndarray) -> np.ndarray:
        """[m] of moves [m 4]; -inf where fewer than half of the smaller section match."""
        n, n_reference = len(self.xy), len(self.reference)
        moved = np.stack([_moved(self.xy, move) for move in moves])  # [m t 2]
        distance, index = self.tree.query(moved.reshape(-1, 2), distance_upper_bound=self.reach * (1 + 1e-9))
        matched = np.isfinite(distance).reshape(len(moves), n)
        index = np.where(matched, index.reshape(len(moves), n), 0)
        weight = matched[..., None] / np.maximum(matched.sum(1), 1)[:, None, None] / self.values.shape[1]
        own, other = np.broadcast_to(self.values, (*matched.shape, self.values.shape[1])), self.reference[index]
        own = own - (weight * own).sum((1, 2), keepdims=True)
        other = other - (weight * other).sum((1, 2), keepdims=True)
        product_, square = (weight * own * other).sum((1, 2)), (weight * own**2).sum((1, 2))
        norm = np.sqrt(square * (weight * other**2).sum((1, 2)))
        correlation = np.divide(product_, norm, out=np.zeros_like(norm), where=norm > 1e-12)
        n_matched = matched.sum(1) * (self.n_all / n)
        enough = n_matched >= min(self.n_all, n_reference) / 2
        share = np.minimum(n_matched / max(self.n_all, n_reference), 1)
        return np.where(enough, correlation * np.sqrt(share), -np.inf)


def _moved(xy: np.ndarray, move: np.ndarray) -> np.ndarray:
    """Positions [t 2] mirrored or not, turned and shifted."""
    mirror, angle, *shift = move
    cos, sin = np.cos(angle), np.sin(angle)
    return (xy * [mirror, 1.0]) @ np.array([[cos, sin], [-sin, cos]]) + shift
