"""Laying one section over another."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eosin.geometry.registration import Reference


def look_of(xy: np.ndarray) -> np.ndarray:
    """Three slow patterns [s 3] over the plane, in µm, centred."""
    x, y = (xy / 300.0).T
    values = np.stack([np.sin(x) + 0.3 * y, np.cos(1.3 * y + 0.4 * x), np.sin(0.7 * x - 0.9 * y)], 1)
    return values - values.mean(0)


def spots(n_x: int, n_y: int, seed: int = 0) -> np.ndarray:
    grid = np.stack(np.meshgrid(np.arange(n_x), np.arange(n_y)), -1).reshape(-1, 2) * 200.0
    return grid + np.random.default_rng(seed).normal(0, 15, grid.shape)


REFERENCE = spots(14, 10)


def moved(xy: np.ndarray, angle: float, *, mirrored: bool, shift: tuple[float, float]) -> np.ndarray:
    cos, sin = np.cos(angle), np.sin(angle)
    return (xy @ np.array([[cos, sin], [-sin, cos]]) * [-1 if mirrored else 1, 1]) + shift


@settings(deadline=None, max_examples=8)
@given(angle=st.floats(0, 2 * np.pi), mirrored=st.booleans(), shift=st.tuples(*[st.floats(-1e4, 1e4)] * 2))
def test_a_turned_mirrored_shifted_copy_is_found(angle: float, mirrored: bool, shift: tuple[float, float]) -> None:  # noqa: FBT001
    reference = Reference(REFERENCE, look_of(REFERENCE))
    copy = moved(REFERENCE, angle, mirrored=mirrored, shift=shift)
    found = reference.place(copy, look_of(REFERENCE))
    assert found is not None and found.score > 0.97
    off = np.linalg.norm(found.xy - reference.own_places(), axis=1)
    assert off.mean() < 0.35  # pitches


@settings(deadline=None, max_examples=8)
@given(angle=st.floats(0, 2 * np.pi), mirrored=st.booleans())
def test_how_the_section_lies_on_its_slide_changes_nothing(angle: float, mirrored: bool) -> None:  # noqa: FBT001
    reference = Reference(REFERENCE, look_of(REFERENCE))
    section, values = spots(12, 9, 1), look_of(spots(12, 9, 1) + 120)
    plain = reference.place(section, values)
    other = reference.place(moved(section, angle, mirrored=mirrored, shift=(3e3, -2e3)), values)
    assert plain is not None and other is not None
    assert np.allclose(other.xy, plain.xy, atol=1e-6)
    assert other.score == pytest.approx(plain.score)


def test_a_part_of_a_section_is_found_and_of_too_small_a_part_nothing() -> None:
    reference = Reference(REFERENCE, look_of(REFERENCE))
    rows = np.flatnonzero(REFERENCE[:, 0] > 800)
    part = REFERENCE[rows]
    found = reference.place(part, look_of(REFERENCE)[rows] - look_of(REFERENCE)[rows].mean(0))
    assert found is not None and found.score < 0.95  # less than the whole
    assert reference.place(REFERENCE[:9], look_of(REFERENCE)[:9]) is None
    assert reference.place(REFERENCE[:1], look_of(REFERENCE)[:1]) is None


def test_other_tissue_fits_worse() -> None:
    reference = Reference(REFERENCE, look_of(REFERENCE))
    noise = np.random.default_rng(3).normal(size=(len(REFERENCE), 3))
    found = reference.place(REFERENCE, noise - noise.mean(0))
    assert found is not None and found.score < 0.6


def test_sections_of_another_pitch_are_laid_over_all_the_same() -> None:
    fine = np.stack(np.meshgrid(np.arange(28), np.arange(20)), -1).reshape(-1, 2) * 100.0
    found = Reference(REFERENCE, look_of(REFERENCE)).place(fine, look_of(fine))
    assert found is None or np.isfinite(found.xy).all()
    coarse = Reference(fine, look_of(fine)).place(REFERENCE, look_of(REFERENCE))
    assert coarse is None or np.isfinite(coarse.xy).all()


def test_spots_at_one_place_are_no_reference() -> None:
    assert Reference(np.zeros((20, 2)), np.zeros((20, 3))).place(REFERENCE, look_of(REFERENCE)) is None
