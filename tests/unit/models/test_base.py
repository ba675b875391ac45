"""Some of the training spots as a training set of their own."""

from __future__ import annotations

import numpy as np

import toy
from eosin.types import Batch


def test_every_array_of_a_part_is_of_the_rows_that_were_asked_for() -> None:
    """Rows from the middle of several sections, unordered, one section left out."""
    whole = toy.training(20)
    rows = np.array([71, 65, 3, 30, 38, 31, 17])
    part = whole.take(rows)
    in_sections = np.array([3, 17, 30, 38, 31, 71, 65])  # sections in their order, rows within one as asked
    assert part.batch.starts.tolist() == [0, 2, 5, 7]
    for name in ("target", "counts", "groups"):
        assert np.array_equal(getattr(part, name), getattr(whole, name)[in_sections]), name
    for name in ("xy_um", "features"):
        assert np.array_equal(getattr(part.batch, name), getattr(whole.batch, name)[in_sections]), name
    assert part.batch.training_rows is not None and part.batch.training_rows.tolist() == list(range(7))
    assert part.panel == whole.panel


def test_turned_features_go_with_their_spots() -> None:
    rng = np.random.default_rng(0)
    batch = Batch(
        rng.normal(size=(6, 2)),
        rng.normal(size=(6, 3)).astype(np.float32),
        np.array([0, 2, 6]),
        np.arange(6),
        rng.normal(size=(6, 7, 3)).astype(np.float32),
    )
    part = batch.regions([np.array([5, 1]), np.array([2])])
    assert part.turned is not None and batch.turned is not None
    assert np.array_equal(part.turned, batch.turned[[5, 1, 2]])
    assert part.training_rows is not None and part.training_rows.tolist() == [5, 1, 2]
