from __future__ import annotations

import numpy as np
import pytest

from eosin.metrics.depth import partial_pcc
from eosin.trust import LeftOver
from eosin.trust.genes import trust_in_genes


def made(n: int = 400) -> tuple[LeftOver, np.ndarray]:
    """Genes: known beyond depth, known by depth alone, not known at all, constant. Two slides."""
    rng = np.random.default_rng(0)
    depth, signal = rng.normal(size=n), rng.normal(size=n)
    noise = rng.normal(size=(n, 3))
    measured = np.stack([signal + depth + 0.3 * noise[:, 0], depth + 0.5 * noise[:, 1], noise[:, 2], np.ones(n)], 1)
    predicted = np.stack([signal + depth, depth + 0.3 * rng.normal(size=n), rng.normal(size=n), np.ones(n)], 1)
    slide = np.repeat([0, 1], n // 2)
    predicted[slide == 1] += 5  # another level of a slide changes no correlation
    return LeftOver(measured - predicted, slide, slide, measured, depth), predicted


def test_genes_are_told_apart_by_what_is_known_of_them() -> None:
    left_over, _ = made()
    found = trust_in_genes(left_over, "known patient")
    assert found is not None and found.kind == "known patient"
    assert found.verdicts == ("map", "map", "no", "no")
    assert found.inner_pcc[:2].min() > 0.8 and np.isnan(found.inner_pcc[3])
    assert found.beyond_depth[0] > 0.9 and abs(found.beyond_depth[1]) < 0.15
    few = trust_in_genes(
        LeftOver(
            *(a[:2] for a in (left_over.residual, left_over.slide, left_over.patient)),
            left_over.measured[:2],
            left_over.depth[:2],
        ),
        "x",
    )
    assert few is not None and np.isnan(few.inner_pcc).all() and set(few.verdicts) == {"no"}


def test_without_depth_or_values_nothing_is_made_up() -> None:
    left_over, _ = made()
    bare = LeftOver(left_over.residual, left_over.slide, left_over.patient)
    assert trust_in_genes(bare, "x") is None
    no_depth = trust_in_genes(LeftOver(bare.residual, bare.slide, bare.patient, left_over.measured), "x")
    assert no_depth is not None and np.isnan(no_depth.beyond_depth).all() and no_depth.inner_pcc[0] > 0.8


def test_partial_correlation_is_that_of_the_formula() -> None:
    """(r_xy - r_xz r_yz) / sqrt((1 - r_xz^2)(1 - r_yz^2))."""
    rng = np.random.default_rng(1)
    x, y, z = rng.normal(size=(3, 60))
    x, y = x + z, y - 0.5 * z + 0.4 * x
    r = np.corrcoef([x, y, z])
    expected = (r[0, 1] - r[0, 2] * r[1, 2]) / np.sqrt((1 - r[0, 2] ** 2) * (1 - r[1, 2] ** 2))
    assert partial_pcc(x[:, None], y[:, None], z)[0] == pytest.approx(expected)
    assert np.isnan(partial_pcc(2 * z[:, None] + 1, y[:, None], z)[0])  # nothing is left of it
