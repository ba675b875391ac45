"""STFlow does not care how the section lies on the slide, nor in which order its spots are listed."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from eosin.models.stflow.stflow_net import Denoiser, STFlowNetwork
from eosin.types import Batch

G, F = 5, 6


def net(**given):
    torch.manual_seed(0)
    shape = {"width": 16, "edge_width": 16, "n_layers": 2, "n_heads": 2, "dropout": 0.1, "n_neighbours": 8}
    return Denoiser(F, G, STFlowNetwork.of(shape, {"absolute_expression": False, **given})).eval()


NET = net()


def scene(kind, seed):
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[0:8, 0:8]
    xy = np.column_stack([columns.ravel(), rows.ravel()]) * 100.0
    if kind == "jittered":
        xy = xy + rng.normal(0, 15, xy.shape)
    return xy, rng.normal(size=(64, F)).astype(np.float32), torch.from_numpy(rng.random((64, G)).astype(np.float32))


def run(xy, features, y, starts=None, network=NET):
    batch = Batch(xy, features, np.array([0, len(xy)]) if starts is None else starts)
    with torch.no_grad():
        return network(network.geometry(batch, torch.from_numpy(features)), y[None], torch.tensor([0.4]))[0]


@settings(max_examples=15, deadline=None)
@given(st.floats(0, 2 * np.pi), st.booleans(), st.floats(-1e4, 1e4), st.integers(0, 5))
def test_rotation_reflection_and_shift_change_nothing(angle, mirrored, shift, seed):
    xy, features, y = scene("jittered", seed)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    if mirrored:
        turn = turn @ np.diag([1.0, -1.0])
    assert torch.allclose(run(xy, features, y), run(xy @ turn + shift, features, y), atol=2e-4)


@pytest.mark.parametrize("angle", [np.pi / 2, 0.3, 1.1])
def test_exact_square_lattice_is_invariant_too(angle):
    """Interior spots have no principal axes; border spots do, or are as symmetric as a quarter turn."""
    network = net(include_ties=True)
    xy, features, y = scene("exact", 0)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    plain, turned = run(xy, features, y, network=network), run(xy @ turn, features, y, network=network)
    assert torch.allclose(plain, turned, atol=2e-4)


def test_without_the_guard_the_exact_lattice_is_not_invariant():
    """The defect that `min_gap` mends: with axes taken from rounding, a turned lattice gives other numbers."""
    network = net(min_gap=0.0, include_ties=True)
    xy, features, y = scene("exact", 0)
    turn = np.array([[np.cos(0.3), -np.sin(0.3)], [np.sin(0.3), np.cos(0.3)]])
    plain, turned = run(xy, features, y, network=network), run(xy @ turn, features, y, network=network)
    assert not torch.allclose(plain, turned, atol=2e-4)


@pytest.mark.parametrize("kind", ["jittered", "exact"])
def test_order_of_spots_does_not_matter(kind):
    xy, features, y = scene(kind, 0)
    order = np.random.default_rng(0).permutation(len(xy))
    assert torch.allclose(run(xy, features, y)[order], run(xy[order], features[order], y[order]), atol=1e-5)


def test_other_sections_of_a_batch_do_not_matter():
    xy, features, y = scene("jittered", 0)
    alone = run(xy, features, y)
    beside = run(
        np.vstack([xy, xy + 10]), np.vstack([features, -features]), torch.cat([y, y + 1]), np.array([0, 64, 128])
    )
    assert torch.allclose(alone, beside[:64], atol=1e-5)


def test_a_constant_added_to_all_expression_changes_nothing_unless_the_absolute_input_is_on():
    xy, features, y = scene("jittered", 0)
    assert torch.allclose(run(xy, features, y), run(xy, features, y + 3), atol=1e-4)
    network = net(absolute_expression=True)
    assert not torch.allclose(
        run(xy, features, y, network=network), run(xy, features, y + 3, network=network), atol=1e-2
    )


@pytest.mark.parametrize("n", [1, 2, 5])
def test_fewer_spots_than_neighbours_work(n):
    xy, features, y = scene("jittered", 0)
    assert torch.isfinite(run(xy[:n], features[:n], y[:n])).all()


def test_all_spots_at_one_place_work():
    xy, features, y = scene("jittered", 0)
    assert torch.isfinite(run(np.zeros_like(xy), features, y)).all()


def test_small_regions_in_a_batch_equal_themselves_alone():
    """Regions of 1, 3 and 60 spots side by side: nothing is padded and nothing leaks."""
    xy, features, y = scene("jittered", 0)
    starts = np.array([0, 1, 4, 64])
    together = run(xy, features, y, starts)
    for a, b in pairwise(starts):
        assert torch.allclose(together[a:b], run(xy[a:b], features[a:b], y[a:b]), atol=1e-5)
