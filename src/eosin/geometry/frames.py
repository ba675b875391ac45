"""Local frames: the offsets to a spot's neighbours in axes that turn and mirror with the tissue."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from eosin.geometry.nearest import Neighbours


@dataclass(frozen=True)
class LocalFrames:
    """Neighbour offsets seen in each spot's own axes.

    Attributes
    ----------
    along
        [s n 2] float32: coordinates of the centred offsets along the minor and the major axis of the
        neighbourhood, in units of `unit_um`. The signs are arbitrary: an invariant function must average over the
        four sign pairs.
    distance
        [s n] float32: length of the offset itself (not centred), in units of `unit_um`.
    degenerate
        [s] bool: the neighbourhood has no preferred axis.
    """

    along: np.ndarray
    distance: np.ndarray
    degenerate: np.ndarray


def local_frames(xy_um: np.ndarray, near: Neighbours, *, unit_um: float = 1.0, min_gap: float = 0.01) -> LocalFrames:
    """Principal axes of each neighbourhood in closed form, and the offsets along them (STFlow, equation 5).

    A neighbourhood whose two eigenvalues agree (relative gap below `min_gap`: every interior spot of a square
    lattice with k = 8, of a hexagonal one with k = 6) has no principal axes: any choice would depend on rounding
    and break the invariance. There each centred offset takes its own direction as axis, so that its coordinates
    are (0, its length): a choice that rotates and mirrors with the tissue.

    Parameters
    ----------
    xy_um
        Positions [s 2], µm.
    near
        The neighbours of each spot.
    unit_um
        Length that counts as 1 in the result.
    min_gap
        Smallest (major - minor) / (major + minor) at which axes are trusted; 0 trusts all.
    """
    offset = (xy_um[near.index] - xy_um[:, None]) / unit_um  # [s n 2]
    distance = np.hypot(offset[..., 0], offset[..., 1])
    weight = near.valid[..., None].astype(offset.dtype)
    count = np.maximum(weight.sum(1, keepdims=True), 1)
    centred = (offset - (offset * weight).sum(1, keepdims=True) / count) * weight
    xx, yy = (centred[..., 0] ** 2).sum(1), (centred[..., 1] ** 2).sum(1)
    xy = (centred[..., 0] * centred[..., 1]).sum(1)
    total, gap = xx + yy, np.hypot(xx - yy, 2 * xy)  # sum and difference of the eigenvalues
    degenerate = gap <= min_gap * total
    angle = 0.5 * np.arctan2(2 * xy, xx - yy)[:, None]  # of the major axis
    cos, sin = np.cos(angle), np.sin(angle)
    major = centred[..., 0] * cos + centred[..., 1] * sin
    minor = centred[..., 1] * cos - centred[..., 0] * sin
    length = np.hypot(centred[..., 0], centred[..., 1])
    flat = degenerate[:, None]
    along = np.stack([np.where(flat, 0.0, minor), np.where(flat, length, major)], axis=-1)
    return LocalFrames(along.astype(np.float32), distance.astype(np.float32), degenerate)
