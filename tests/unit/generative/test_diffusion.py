"""The diffusion and its samplers against what can be computed without a network."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch

from eosin.generative.diffusion import (
    DDIM,
    Ancestral,
    DiffusionSampler,
    DPMSolver,
    Guess,
    Schedule,
    variational_bits,
)

LINEAR = Schedule.linear()
MEANS = torch.tensor([[-1.2, -0.8], [1.0, 0.9], [0.8, -1.0]])
SHARES, SD, N = torch.tensor([0.5, 0.3, 0.2]), 0.15, 3000


def mixture(n: int, seed: int) -> torch.Tensor:
    """Three normal clouds in the plane: a distribution of which no mean says anything."""
    rng = torch.Generator().manual_seed(seed)
    which = torch.multinomial(SHARES, n, True, generator=rng)
    return MEANS[which] + SD * torch.randn(n, 2, generator=rng)


def exact(x: torch.Tensor, t: int, asked: list[int] | None = None) -> Guess:
    """The noise that is expected in x, for data from `mixture`: what a perfect network would answer."""
    if asked is not None:
        asked.append(t)
    a, s = float(LINEAR.signal[t]), float(LINEAR.noise[t])
    variance = (a * SD) ** 2 + s**2
    offset = x[:, None] - a * MEANS
    weight = (SHARES.log() - offset.square().sum(-1) / (2 * variance)).softmax(-1)
    clean = (weight[..., None] * (MEANS + a * SD**2 / variance * offset)).sum(1)
    return Guess((x - a * clean) / s)


def energy_distance(a: torch.Tensor, b: torch.Tensor) -> float:
    """Unbiased estimate: 0 on average for draws of one distribution."""
    n, m = len(a), len(b)
    within = torch.cdist(a, a).sum() / (n * (n - 1)) + torch.cdist(b, b).sum() / (m * (m - 1))
    return float(2 * torch.cdist(a, b).mean() - within)


def drawn(sampler: DiffusionSampler, seed: int = 1) -> tuple[torch.Tensor, list[int]]:
    asked: list[int] = []
    rng = torch.Generator().manual_seed(seed)
    x = sampler(LINEAR, partial(exact, asked=asked), torch.randn(N, 2, generator=rng), rng)
    return x, asked


def test_the_schedule_is_the_published_one():
    assert LINEAR.n_times == 1000
    assert LINEAR.betas[[0, -1]] == pytest.approx([1e-4, 0.02])
    assert LINEAR.kept[-1] == pytest.approx(4.036e-5, rel=1e-3)  # the end is noise
    assert np.allclose(LINEAR.signal**2 + LINEAR.noise**2, 1)


def test_noising_has_the_moments_of_the_formula():
    t = torch.full((20_000,), 300)
    noisy = LINEAR.noised(torch.full((20_000, 1), 2.0), torch.randn(20_000, 1, generator=rng(0)), t)
    assert float(noisy.mean()) == pytest.approx(2 * LINEAR.signal[300], abs=0.02)
    assert float(noisy.std()) == pytest.approx(LINEAR.noise[300], abs=0.02)


def test_noise_and_data_determine_each_other():
    clean, noise = torch.randn(4, 3, generator=rng(1)), torch.randn(4, 3, generator=rng(2))
    for t in (0, 500, 999):
        noisy = LINEAR.noised(clean, noise, torch.full((4,), t))
        assert torch.allclose(LINEAR.clean(noisy, noise, t), clean, atol=1e-3)


def test_one_step_of_noise_and_the_step_back_agree():
    """Bayes: mean and variance of x_{t-1} given x_t and x_0 = 1, from many simulated pairs."""
    t, draws = 400, 200_000
    before = LINEAR.signal[t - 1] + LINEAR.noise[t - 1] * torch.randn(draws, generator=rng(3)).double()
    after = np.sqrt(1 - LINEAR.betas[t]) * before + np.sqrt(LINEAR.betas[t]) * torch.randn(draws, generator=rng(4))
    clean_weight, noisy_weight = (w[t] for w in LINEAR.posterior_weights())
    left = before - clean_weight - noisy_weight * after
    assert float(left.mean()) == pytest.approx(0, abs=5e-4)
    assert float((left * after).mean()) == pytest.approx(0, abs=5e-4)  # nothing of x_t is left in it
    assert float(left.var()) == pytest.approx(LINEAR.posterior_variance[t], rel=0.02)


@pytest.mark.parametrize(("sampler", "n"), [(Ancestral(), 1000), (DDIM(50), 50), (DPMSolver(20), 20)])
def test_every_sampler_draws_the_mixture_in_as_many_evaluations_as_it_says(sampler: DiffusionSampler, n: int):
    x, asked = drawn(sampler)
    assert len(asked) == sampler.n_evaluations(LINEAR) == n
    assert asked == sorted(set(asked), reverse=True)
    assert asked[0] == 999 and asked[-1] == 0
    # by chance alone it is 0 ± 0.001; one cloud missing is above 0.1
    assert energy_distance(x, mixture(N, 5)) < 0.004


def test_the_second_order_is_worth_it():
    few = {kind: energy_distance(drawn(kind(12))[0], mixture(N, 5)) for kind in (DDIM, DPMSolver)}
    assert few[DPMSolver] < 0.5 * few[DDIM]


@pytest.mark.parametrize("sampler", [DDIM(7), DPMSolver(7), DPMSolver(1), DDIM(1)])
def test_deterministic_samplers_take_no_noise(sampler: DiffusionSampler):
    start = torch.randn(5, 2, generator=rng(6))
    one, other = (sampler(LINEAR, exact, start, rng(seed)) for seed in (1, 2))
    assert torch.equal(one, other)
    assert torch.isfinite(one).all()


def test_ancestral_steps_take_the_variance_that_the_network_names():
    """A share of -1 is the posterior's variance, 1 the larger one, beta."""

    def with_share(share: float):
        schedule = Schedule(np.array([0.1, 0.5]))
        guess = lambda x, t: Guess(torch.zeros_like(x), torch.full_like(x, share))  # noqa: E731
        plain = lambda x, t: Guess(torch.zeros_like(x))  # noqa: E731
        start = torch.zeros(50_000, 1)
        learned = Ancestral()(schedule, guess, start, rng(7)).std()
        return float(learned), float(Ancestral()(schedule, plain, start, rng(7)).std()), schedule

    low, fixed, schedule = with_share(-1.0)
    assert low == pytest.approx(fixed, rel=1e-4)
    high, _, _ = with_share(1.0)
    assert (high / fixed) ** 2 == pytest.approx(schedule.betas[1] / schedule.posterior_variance[1], rel=1e-3)


def test_the_bits_are_the_divergence_and_the_density():
    """Against torch's own, at an inner time and at the first."""
    clean, noise = torch.randn(2, 3, generator=rng(8)), torch.randn(2, 3, generator=rng(9))
    t = torch.tensor([0, 250])
    noisy = LINEAR.noised(clean, noise, t)
    guess = Guess(noise + 0.3, torch.full((2, 3), 0.4))
    found = variational_bits(LINEAR, clean, noisy, t, guess)
    low, high = LINEAR.log_variances
    clean_weight, noisy_weight = LINEAR.posterior_weights()
    for row, time in enumerate((0, 250)):
        guessed = LINEAR.clean(noisy[row], guess.noise[row], time)
        mean = clean_weight[time] * guessed + noisy_weight[time] * noisy[row]
        ours = torch.distributions.Normal(mean, float(np.exp(0.5 * (0.7 * high[time] + 0.3 * low[time]))))
        if time == 0:
            wanted = -ours.log_prob(clean[row])
        else:
            centre = clean_weight[time] * clean[row] + noisy_weight[time] * noisy[row]
            true = torch.distributions.Normal(centre, float(np.exp(0.5 * low[time])))
            wanted = torch.distributions.kl_divergence(true, ours)
        assert float(found[row]) == pytest.approx(float(wanted.mean() / np.log(2)), rel=1e-3)


def test_the_bits_do_not_move_the_mean():
    noise = torch.randn(4, 2, generator=rng(10)).requires_grad_()
    share = torch.zeros(4, 2, requires_grad=True)
    clean, t = torch.zeros(4, 2), torch.tensor([0, 1, 500, 999])
    noisy = LINEAR.noised(clean, torch.ones(4, 2), t)
    variational_bits(LINEAR, clean, noisy, t, Guess(noise, share)).sum().backward()
    assert noise.grad is None
    assert share.grad is not None and share.grad.abs().sum() > 0


def rng(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_a_learned_variance_lies_between_the_posteriors_and_beta():
    """The posterior's is 0 at the first time, where the next one's stands in."""
    low, high = LINEAR.log_variances
    kept = np.cumprod(1 - LINEAR.betas)
    posterior = LINEAR.betas[1:] * (1 - kept[:-1]) / (1 - kept[1:])
    np.testing.assert_allclose(np.exp(low), [posterior[0], *posterior], rtol=1e-9)
    np.testing.assert_allclose(np.exp(high), LINEAR.betas, rtol=1e-12)
