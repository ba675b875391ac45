from __future__ import annotations

import numpy as np
import pytest
import torch

import toy
from eosin.generative import ZINB, EmpiricalZINB, Gaussian, Residual, Zero
from eosin.generative.prior import fit_zinb


def drawn(prior, n=200_000, g=1, seed=0):
    return prior.sample(1, toy.anywhere(n), g, torch.Generator().manual_seed(seed))[0].numpy()


@pytest.mark.parametrize(
    ("mean", "dispersion", "empty", "empty_logits"), [(0.1, 1.0, 0.955, 0.738), (0.4, 4.0, 0.842, 0.513)]
)
def test_zero_rates_of_both_readings_of_the_paper(mean, dispersion, empty, empty_logits):
    plain = ZINB(mean, dispersion, 0.5, torch.log1p)
    logits = ZINB.from_logits(mean, dispersion, 0.5, torch.log1p)
    assert (drawn(plain) == 0).mean() == pytest.approx(empty, abs=0.004)
    assert (drawn(logits) == 0).mean() == pytest.approx(empty_logits, abs=0.004)


def test_zinb_draws_have_the_stated_moments_and_are_log_counts():
    counts = np.expm1(drawn(ZINB(3.0, 2.0, 0.25, torch.log1p)))
    assert np.allclose(counts, np.round(counts), atol=1e-3)
    assert counts.mean() == pytest.approx(0.75 * 3.0, rel=0.02)
    within = 3.0 + 3.0**2 / 2.0
    assert counts.var() == pytest.approx(0.75 * (within + 9.0) - 2.25**2, rel=0.03)


def test_same_seed_same_draws_and_another_seed_others():
    prior = ZINB(3.0, 2.0, 0.25, torch.log1p)
    assert np.array_equal(drawn(prior, 100), drawn(prior, 100))
    assert not np.array_equal(drawn(prior, 100), drawn(prior, 100, seed=1))


def test_gaussian_is_standard_normal_and_zero_is_zero():
    values = drawn(Gaussian())
    assert values.mean() == pytest.approx(0, abs=0.01)
    assert values.std() == pytest.approx(1, abs=0.01)
    assert not drawn(Zero(), 10).any()


def test_fit_recovers_planted_parameters():
    rng = np.random.default_rng(0)
    mean, phi, pi = np.array([2.0, 10.0, 0.5]), np.array([2.0, 5.0, 1.0]), np.array([0.3, 0.1, 0.0])
    counts = rng.negative_binomial(phi, phi / (phi + mean), (200_000, 3)) * (rng.random((200_000, 3)) >= pi)
    got_mean, got_phi, got_pi = fit_zinb(counts)
    assert got_mean == pytest.approx(mean, rel=0.05)
    assert got_phi == pytest.approx(phi, rel=0.15)
    assert got_pi == pytest.approx(pi, abs=0.05)


def test_empirical_prior_matches_each_genes_mean_and_zeros():
    rng = np.random.default_rng(1)
    counts = rng.negative_binomial([1.0, 8.0], [0.2, 0.5], (50_000, 2)) * (rng.random((50_000, 2)) > [0.4, 0.0])
    prior = EmpiricalZINB(2, torch.log1p)
    prior.observe(counts, counts, toy.anywhere(len(counts)))
    again = np.expm1(drawn(prior, 50_000, 2))
    assert again.mean(0) == pytest.approx(counts.mean(0), rel=0.05)
    assert (again == 0).mean(0) == pytest.approx((counts == 0).mean(0), abs=0.03)


def test_empirical_prior_of_scaled_counts_is_fitted_at_the_median_depth():
    """A spot of twice the depth shows twice the counts, which is no variance of its genes."""
    rng = np.random.default_rng(2)
    depth = rng.choice([0.5, 1.0, 2.0], (40_000, 1))
    counts = rng.poisson(depth * [6.0, 40.0, 200.0]).astype(float)
    scaled = counts / counts.sum(1, keepdims=True) * 1e4
    prior = EmpiricalZINB(3, torch.log1p, torch.expm1)
    prior.observe(counts, np.log1p(scaled), toy.anywhere(len(counts)))
    assert float(prior.fitted.per_count) == pytest.approx(np.median(1e4 / counts.sum(1)), rel=1e-4)
    assert prior.fitted.mean.numpy() == pytest.approx([6.0, 40.0, 200.0], rel=0.05)
    again = np.expm1(drawn(prior, 20_000, 3))
    assert again.mean(0) == pytest.approx(scaled.mean(0), rel=0.05)


@pytest.mark.parametrize("counts", [np.zeros((5, 2)), np.full((5, 2), 7.0), np.array([[0.0, 3.0]])])
def test_empirical_prior_survives_constant_genes_and_one_spot(counts):
    prior = EmpiricalZINB(2, torch.log1p)
    prior.observe(counts, counts, toy.anywhere(len(counts)))
    assert np.isfinite(drawn(prior, 100, 2)).all()


def test_gaussian_has_the_width_that_it_was_given():
    drawn = Gaussian(0.3).sample(20, toy.anywhere(100), 5, torch.Generator().manual_seed(0))
    assert drawn.shape == (20, 100, 5)
    assert float(drawn.std()) == pytest.approx(0.3, rel=0.05) and abs(float(drawn.mean())) < 0.02


def test_residual_prior_has_the_mean_and_covariance_of_what_is_left_over():
    rng = np.random.default_rng(0)
    values = rng.normal(size=(400, 3)) @ np.array([[1.0, 0.8, 0], [0, 0.5, -0.4], [0, 0, 0.2]]) + [0.7, -1.1, 0.2]
    prior = Residual(3)
    prior.observe(np.zeros((400, 3)), values.astype(np.float32), toy.anywhere(400))
    drawn = prior.sample(40, toy.anywhere(500), 3, torch.Generator().manual_seed(1)).numpy()
    assert drawn.mean((0, 1)) == pytest.approx(values.mean(0), abs=1e-4)  # mirrored draws have it exactly
    assert np.cov(drawn.reshape(-1, 3).T) == pytest.approx(np.cov(values.T), abs=0.04)
