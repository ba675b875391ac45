"""Where a flow on a base starts: as wide, as smooth and as much together as what the base left over."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import toy
from eosin.generative import SpotPlaces
from eosin.models.parts.spatial_residual import SpatialResidual

SIDE, PITCH = 20, 100.0


def places(n_sections: int) -> SpotPlaces:
    """Lattices that lie on one another."""
    lattice = PITCH * np.stack(np.meshgrid(np.arange(SIDE), np.arange(SIDE)), -1).reshape(-1, 2).astype(float)
    return SpotPlaces(np.tile(lattice, (n_sections, 1)), np.repeat(np.arange(n_sections), len(lattice)))


def neighbours_correlation(values: np.ndarray) -> np.ndarray:
    """Of each gene [g] of values [k s g], between the spots of a row of the lattice and those beside them."""
    grid = values.reshape(len(values), -1, SIDE, SIDE, values.shape[-1])
    return np.array(
        [np.corrcoef(grid[..., :-1, j].ravel(), grid[..., 1:, j].ravel())[0, 1] for j in range(values.shape[-1])]
    )


@pytest.fixture(scope="module")
def fitted() -> tuple[SpatialResidual, np.ndarray]:
    """A prior, and what it was fitted to: a rough gene, a smooth one, and one that follows it."""
    rng, where = np.random.default_rng(0), places(5)
    grids = rng.normal(size=(5, SIDE + 4, SIDE + 4))
    smooth = sum(grids[:, i : i + SIDE, j : j + SIDE] for i in range(5) for j in range(5)).reshape(-1) / 5
    values = np.stack([rng.normal(size=len(where)), smooth, smooth + 0.3 * rng.normal(size=len(where))], 1)
    values = values * [2.0, 0.5, 1.0] + [0.3, 0.0, -0.2]
    prior = SpatialResidual(3)
    prior.observe(values, values, where)
    return prior, values


def test_draws_have_mean_width_smoothness_and_company_of_what_was_left_over(
    fitted: tuple[SpatialResidual, np.ndarray],
) -> None:
    prior, values = fitted
    drawn = prior.sample(64, places(1), 3, torch.Generator().manual_seed(1)).numpy()
    np.testing.assert_allclose(drawn.mean((0, 1)), values.mean(0), atol=1e-5)  # mirrored draws have it exactly
    np.testing.assert_allclose(drawn.reshape(-1, 3).std(0), values.std(0), rtol=0.1)
    np.testing.assert_allclose(neighbours_correlation(drawn), neighbours_correlation(values[None]), atol=0.1)
    assert np.corrcoef(drawn.reshape(-1, 3).T)[1, 2] == pytest.approx(np.corrcoef(values.T)[1, 2], abs=0.08)


def test_sections_that_lie_on_one_another_have_noise_of_their_own(fitted: tuple[SpatialResidual, np.ndarray]) -> None:
    drawn = fitted[0].sample(200, places(2), 3, torch.Generator().manual_seed(1)).numpy()
    one, other = np.split(drawn - drawn.mean((0, 1)), 2, axis=1)
    assert abs(np.corrcoef(one.ravel(), other.ravel())[0, 1]) < 0.02


def test_a_section_that_is_moved_has_the_same_noise(fitted: tuple[SpatialResidual, np.ndarray]) -> None:
    where = places(2)
    moved = SpotPlaces(where.xy_um + np.array([5000.0, -700.0]), where.section)
    one, other = (fitted[0].sample(3, at, 3, torch.Generator().manual_seed(1)) for at in (where, moved))
    assert torch.allclose(one, other, atol=1e-4)


def test_one_seed_one_noise_and_arrays_carry_it(fitted: tuple[SpatialResidual, np.ndarray]) -> None:
    prior, again = fitted[0], SpatialResidual(3)
    again.load_state_dict(prior.state_dict())
    one, same, other = (
        which.sample(3, places(2), 3, torch.Generator().manual_seed(seed))
        for which, seed in ((prior, 1), (again, 1), (prior, 2))
    )
    assert torch.equal(one, same) and not torch.equal(one, other)


@pytest.mark.parametrize("n_spots", [1, 2, 30])
def test_few_spots_and_constant_genes_give_finite_noise(n_spots: int) -> None:
    prior, where = SpatialResidual(4), places(1).take(np.arange(n_spots))
    values = np.zeros((n_spots, 4))
    values[:, 0] = np.arange(n_spots)
    prior.observe(values, values, where)
    drawn = prior.sample(5, where, 4, torch.Generator().manual_seed(0))
    assert drawn.shape == (5, n_spots, 4) and bool(drawn.isfinite().all())
    assert float(drawn[..., 1:].abs().max()) < 1e-4


def test_more_genes_than_factors_keep_their_width() -> None:
    rng, where = np.random.default_rng(0), places(2)
    values = rng.normal(size=(len(where), 3)) @ rng.normal(size=(3, 90)) + rng.normal(size=(len(where), 90))
    prior = SpatialResidual(90)
    prior.observe(values, values, where)
    drawn = prior.sample(16, where, 90, torch.Generator().manual_seed(0)).numpy()
    np.testing.assert_allclose(drawn.reshape(-1, 90).std(0), values.std(0), rtol=0.15)


def test_a_flow_on_a_base_starts_from_it_unless_told_otherwise() -> None:
    train = toy.training()
    assert isinstance(toy.made("stflow", train).prior, SpatialResidual)
    for other in ({"prior": "residual"}, {"base": "none"}):
        assert not isinstance(toy.made("stflow", train, **other).prior, SpatialResidual)
