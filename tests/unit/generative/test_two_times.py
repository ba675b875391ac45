"""Two evaluations of a diffusion are spent where there is noise to guess: at the first time and halfway."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from eosin.generative.diffusion import DDIM, DPMSolver, Guess, Schedule

SCHEDULE = Schedule.linear(1000, 1e-4, 0.02)


@pytest.mark.parametrize("sampler", [DDIM, DPMSolver])
@pytest.mark.parametrize(("n", "ends_at_0"), [(1, False), (2, False), (3, True), (20, True)])
def test_times_go_down_from_the_first(sampler: type, n: int, *, ends_at_0: bool) -> None:
    times = sampler(n).times(SCHEDULE)
    assert len(times) == n == sampler(n).n_evaluations(SCHEDULE)
    assert times[0] == 999 and times == sorted(times, reverse=True) and (times[-1] == 0) == ends_at_0


def test_the_second_of_two_is_halfway() -> None:
    assert DDIM(2).times(SCHEDULE) == [999, 500]
    ratio = SCHEDULE.log_ratio
    half = DPMSolver(2).times(SCHEDULE)[1]
    assert abs(ratio[half] - (ratio[0] + ratio[-1]) / 2) < 0.1


@pytest.mark.parametrize("sampler", [DDIM, DPMSolver])
def test_two_evaluations_draw_a_spread_and_the_mean(sampler: type) -> None:
    """Of values of mean 2 and sd 1, by the exact guess: two times that end at 0 would give the mean alone."""
    mean, noise = 2.0, torch.from_numpy(np.random.default_rng(0).normal(size=(4000, 1)))

    def exact(x: torch.Tensor, t: int) -> Guess:
        signal, spread = float(SCHEDULE.signal[t]), float(SCHEDULE.noise[t])
        return Guess(spread * (x - signal * mean) / (signal**2 + spread**2), None)

    drawn = sampler(2)(SCHEDULE, exact, noise, torch.Generator())
    assert float(drawn.mean()) == pytest.approx(mean, abs=0.05)
    assert 0.25 < float(drawn.std()) < 1.05
