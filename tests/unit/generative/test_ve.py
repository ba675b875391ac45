"""Variance-exploding diffusion: schedule, outputs, sampler."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from eosin.generative.ve import LOG_SIGMA, SIGMA, VE, LinearGuess, Score, heun_back

NOISE = VE()


def test_schedule_is_the_published_one():
    t = torch.tensor([0.0, 0.01, 1.0])
    assert torch.allclose(NOISE.sigma(t), torch.tensor([0.01, 0.01 * 1000**0.01, 10.0]))
    assert torch.allclose(NOISE.time(NOISE.sigma(t)), t, atol=1e-6)


def test_levels_fall_from_the_largest():
    even, curved = NOISE.even_levels(100), NOISE.curved_levels(18)
    assert len(even) == 101 and len(curved) == 19
    assert even[0] == pytest.approx(10) and even[-1] == pytest.approx(0.01 * 1000**0.01)
    assert curved[0] == pytest.approx(10) and curved[-1] == pytest.approx(0.01)
    for levels in (even, curved):
        assert (np.diff(levels) < 0).all()
    ratios = np.diff(np.log(even))
    assert np.allclose(ratios, ratios[0])


def test_training_times_are_uniform_and_spread():
    rng = torch.Generator().manual_seed(0)
    drawn = torch.stack([NOISE.sample_times(4, rng) for _ in range(3000)])
    for column in drawn.T:  # each by itself is uniform
        assert float(column.min()) < 0.02 and float(column.max()) > 0.99
        assert abs(float(column.mean()) - 0.505) < 0.02 and abs(float(column.std()) - 0.99 / 12**0.5) < 0.02
    quarters = ((drawn - 0.01) / 0.99 * 4).floor().sort(1).values
    assert (quarters == torch.arange(4.0)).float().mean() > 0.99  # together they cover all quarters


@pytest.mark.parametrize("clock, levels", [(SIGMA, NOISE.curved_levels), (LOG_SIGMA, NOISE.even_levels)])
def test_sampler_is_of_second_order(clock, levels):
    """For normal data of sd 1 the flow is known: x scales with sqrt(1 + sigma^2)."""
    x = torch.tensor([[[3.0]]], dtype=torch.float64)

    def denoise(x, sigma):
        return x / (1 + sigma**2)

    def error(n):
        grid = levels(n)
        exact = x / np.sqrt(1 + grid[0] ** 2) / np.sqrt(1 + grid[-1] ** 2)
        return float((heun_back(denoise, x, grid, clock) - exact).abs())

    assert error(40) < 1e-2
    assert 3.0 < error(40) / error(80) < 5.0


def test_sampler_takes_two_evaluations_a_step_and_one():
    seen = []
    heun_back(lambda x, s: seen.append(s) or x * 0, torch.ones(1, 1, 1), NOISE.even_levels(100), LOG_SIGMA)
    assert len(seen) == 201


def test_sampler_in_t_is_algorithm_2():
    """Written out as in the paper, with the score and g(t)."""
    levels = NOISE.even_levels(7)
    t = [float(NOISE.time(torch.tensor(s, dtype=torch.float64))) for s in levels]
    x = y = torch.linspace(-3, 3, 5, dtype=torch.float64)

    def score(x, sigma):
        return (torch.tanh(x) - x) / sigma**2

    def slope(x, sigma):
        g_squared = 2 * np.log(1000) * sigma**2
        return -0.5 * g_squared * score(x, sigma)

    for i in range(7):
        d_1 = slope(x, levels[i])
        euler = x + (t[i + 1] - t[i]) * d_1
        x = x + 0.5 * (t[i + 1] - t[i]) * (d_1 + slope(euler, levels[i + 1]))
    x = x + levels[-1] ** 2 * score(x, levels[-1])
    assert torch.allclose(heun_back(lambda x, _: torch.tanh(x), y, levels, LOG_SIGMA), x, atol=1e-8)


def test_score_output_has_the_published_loss():
    rng = torch.Generator().manual_seed(0)
    clean, noise, answer = (torch.randn(1, 5, 3, generator=rng, dtype=torch.float64) for _ in range(3))
    sigma = torch.tensor([[0.3]], dtype=torch.float64)
    x = clean + sigma * noise
    output = Score()
    assert torch.equal(output.enter(x, sigma), x)
    assert torch.allclose(output.error(output.guess(x, answer, sigma), clean, sigma), sigma * answer + noise)


def correlated(n: int = 4000) -> np.ndarray:
    rng = np.random.default_rng(0)
    return rng.normal(size=(n, 4)) @ np.array([[1, 0.9, 0, 0], [0, 0.3, 0, 0], [0, 0, 0.5, 0.5], [0, 0, 0, 0.2]])


def test_linear_guess_is_the_best_linear_one():
    values = correlated()
    output = LinearGuess(4)
    output.observe(values)
    rng = np.random.default_rng(1)
    for level in (0.1, 1.0, 5.0):
        noisy = values + level * rng.normal(size=values.shape)
        best = noisy @ np.linalg.lstsq(noisy, values, rcond=None)[0]
        x, sigma = torch.from_numpy(noisy).float(), torch.tensor([[level]])
        guess = output.guess(x, torch.zeros_like(x), sigma)
        rms = np.sqrt(np.square(guess.numpy() - values).mean(0))
        assert np.allclose(rms, np.sqrt(np.square(best - values).mean(0)), rtol=0.01)
        spread = output.error(guess, torch.from_numpy(values).float(), sigma).std(0)
        assert torch.allclose(spread, torch.ones(4), atol=0.05)  # the network's target has sd 1 at every level
        assert torch.allclose(output.enter(x, sigma).std(0), torch.ones(4), atol=0.05)


def test_untrained_linear_guess_samples_the_covariance():
    values = correlated()
    output = LinearGuess(4)
    output.observe(values)
    one = torch.ones(1, 1)
    noise = torch.randn(1, 20000, 4, generator=torch.Generator().manual_seed(0))
    levels = NOISE.curved_levels(18)
    drawn = heun_back(
        lambda x, s: output.guess(x, torch.zeros_like(x), s * one), output.start(noise, levels[0] * one), levels
    )
    assert np.allclose(np.cov(drawn[0].numpy().T), np.cov(values.T), atol=0.06)


def test_linear_guess_of_few_or_constant_values_is_finite():
    for values in (np.zeros((1, 3)), np.zeros((10, 3)), np.ones((2, 3))):
        output = LinearGuess(3)
        output.observe(values)
        x = torch.randn(1, 2, 3)
        for level in (0.01, 10.0):
            sigma = torch.tensor([[level]])
            assert torch.isfinite(output.guess(x, x, sigma)).all()
            assert torch.isfinite(output.error(x, x + 1, sigma)).all()
