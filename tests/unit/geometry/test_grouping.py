"""Groups for inner validation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eosin.errors import EosinError
from eosin.geometry.grouping import grouped, regions

XY = np.random.default_rng(0).uniform(0, 1000, (50, 2))


def test_several_patients_group_by_patient() -> None:
    labels, level = grouped(["P", "Q", "P"], ["a", "b", "c"], [XY[:2], XY[:3], XY[:1]])
    assert level == "patient" and [one.tolist() for one in labels] == [[0, 0], [1, 1, 1], [0]]


def test_one_patient_groups_by_section() -> None:
    labels, level = grouped(["P", "P"], ["a", "b"], [XY[:2], XY[:1]])
    assert level == "section" and [one.tolist() for one in labels] == [[0, 0], [1]]


def test_one_section_groups_by_compact_region() -> None:
    labels, level = grouped(["P"], ["a"], [XY])
    assert level == "region" and sorted(np.bincount(labels[0])) == [12, 12, 13, 13]
    within = np.mean([np.var(XY[labels[0] == k], axis=0).sum() for k in range(4)])
    assert within < 0.5 * np.var(XY, axis=0).sum()  # scattered labels would give 1


@given(st.integers(0, 40), st.integers(0, 2**32 - 1))
def test_regions_do_not_depend_on_the_order_of_spots(n: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    xy = np.unique(rng.integers(0, 12, (n, 2)).astype(float), axis=0)  # a lattice: many ties
    order = rng.permutation(len(xy))
    assert np.array_equal(regions(xy)[order], regions(xy[order]))


@given(st.integers(0, 40))
def test_regions_are_even_and_numbered_from_zero(n: int) -> None:
    sizes = np.bincount(regions(np.random.default_rng(n).uniform(size=(n, 2))), minlength=0)
    assert len(sizes) == min(n, 4) and (n == 0 or sizes.max() - sizes.min() <= 1 or n < 8)


def test_bad_input() -> None:
    with pytest.raises(EosinError, match="no sections"):
        grouped([], [], [])
    with pytest.raises(EosinError, match="same name"):
        grouped(["P", "P"], ["a", "a"], [XY, XY])
