"""Local frames: principal axes of each neighbourhood, and neighbourhoods that have none."""

from __future__ import annotations

import numpy as np

from eosin.geometry import local_frames, neighbours


def test_frames_are_the_eigenvectors_up_to_sign():
    xy = np.random.default_rng(1).normal(size=(50, 2)) * 100
    near = neighbours(xy, 8)
    frames = local_frames(xy, near, min_gap=0)
    for i in range(50):
        offset = xy[near.index[i]] - xy[i]
        centred = offset - offset.mean(0)
        axes = np.linalg.eigh(centred.T @ centred)[1]
        assert np.allclose(np.abs(centred @ axes), np.abs(frames.along[i]), atol=1e-3)
        assert np.allclose(np.linalg.norm(offset, axis=1), frames.distance[i], rtol=1e-5)


def test_square_lattice_interiors_have_no_axes_and_say_so():
    rows, columns = np.mgrid[0:7, 0:7]
    xy = np.column_stack([columns.ravel(), rows.ravel()]) * 100.0
    near = neighbours(xy, 8)
    frames = local_frames(xy, near)
    inside = ((rows > 0) & (rows < 6) & (columns > 0) & (columns < 6)).ravel()
    assert frames.degenerate[inside].all()
    assert not frames.along[inside][..., 0].any()


def test_missing_neighbours_change_nothing():
    """Four spots with k = 8 are four spots with k = 3; the missing ones have no place of their own."""
    xy = np.array([[0.0, 0], [130, 20], [40, 210], [300, 90]])
    few, many = (local_frames(xy, neighbours(xy, k)) for k in (3, 8))
    assert np.allclose(few.along, many.along[:, :3]) and np.allclose(few.distance, many.distance[:, :3])
    assert not few.degenerate.any() and not many.degenerate.any()
    assert not many.along[:, 3:].any() and not many.distance[:, 3:].any()
