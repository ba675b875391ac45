"""A member's regression as maps of features says what its kernel with all anchors says."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import toy
from eosin.geometry import ring_averages
from eosin.models.kernel import feature_maps as maps
from eosin.models.kernel.context import Context
from eosin.models.kernel.feature_maps import Maps
from eosin.models.kernel.member import Member, Near
from eosin.models.kernel.registered import Places
from eosin.models.kernel.settings import KernelSettings


def context(n: int, *, seed: int, rings: tuple[int, ...] = (8, 24), reach_um: float | None = None) -> Context:
    rng = np.random.default_rng(seed)
    xy = rng.uniform(0, 1000, (n, 2))
    features = rng.normal(size=(n, toy.N_FEATURES)).astype(np.float32) + 3
    features[:, 2] = 1.0  # a constant feature has no scale
    return Context(features, ring_averages(xy, rings, reach_um=reach_um))


@pytest.mark.parametrize("rings", [(), (8,), (8, 24)])
@pytest.mark.parametrize(("linear", "rbf"), [(True, True), (True, False), (False, True)])
@pytest.mark.parametrize("reach_um", [None, 60.0])  # with 60 µm many rings are empty
@pytest.mark.parametrize("at_once", [2**24, 500])
def test_maps_are_the_regression(
    rings: tuple[int, ...],
    linear: bool,  # noqa: FBT001
    rbf: bool,  # noqa: FBT001
    reach_um: float | None,
    at_once: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(maps, "_NUMBERS_AT_ONCE", at_once)
    monkeypatch.setattr(maps, "_BLOCK", at_once)
    settings = KernelSettings.of({"rings": rings, "linear": linear, "rbf": rbf})
    rng, n = np.random.default_rng(0), 80
    trained = context(n, seed=1, rings=rings, reach_um=reach_um)
    member = Member.of(trained, rng.normal(size=(n, 5)), np.zeros(n, int), np.arange(n), settings)
    asked, rows = context(150, seed=2, rings=rings, reach_um=reach_um), np.array([3, 1, 149, *range(20, 90)])
    for penalty in (1e-4, 0.3):
        expected = member.spectrum.values(member.coordinates(asked, rows), penalty)
        of_member = Maps.of(member, penalty)
        np.testing.assert_allclose(of_member.values(asked, rows), expected, atol=1e-8)
        level = member.spectrum.shift @ (member.spectrum.cross / (member.spectrum.eigenvalues + penalty)[:, None])
        quick = Maps.by_weights(member.in_single_precision(), of_member.weights, level).values(asked, rows)
        assert quick.dtype == np.float32
        np.testing.assert_allclose(quick, expected, atol=2e-4)


@pytest.mark.parametrize("alone", [True, False])
def test_maps_with_places(alone: bool) -> None:  # noqa: FBT001
    rng, n = np.random.default_rng(0), 60
    trained, asked = context(n, seed=1), context(90, seed=2)
    near = Near(Places(np.zeros(n, int), rng.uniform(0, 9, (n, 2))), 0.5, 1.5)
    target, section = rng.normal(size=(n, 4)), np.zeros(n, int)
    settings = KernelSettings.of({"linear": not alone, "rbf": not alone})
    member = Member.of(trained, target, section, np.arange(n), settings, near)
    there, rows = replace(near, places=Places(np.zeros(90, int), rng.uniform(0, 9, (90, 2)))), np.arange(10, 70)
    expected = member.spectrum.values(member.coordinates(asked, rows, there), 0.1)
    np.testing.assert_allclose(Maps.of(member, 0.1).values(asked, rows, there), expected, atol=1e-8)
