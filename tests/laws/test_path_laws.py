"""Laws of paths and samplers, which hold whatever the numbers."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from eosin.generative import LinearPath, NoPath, euler, even_times, heun, release_times

numbers = st.floats(-5, 5)


@given(numbers, numbers, st.floats(0.01, 0.95))
def test_slope_is_the_derivative_of_the_path(x0, x1, t):
    path = LinearPath()
    a, b = torch.tensor(x0, dtype=torch.float64), torch.tensor(x1, dtype=torch.float64)
    ts = torch.tensor(t, dtype=torch.float64)
    h = 1e-5
    numeric = (path.at(a, b, ts + h) - path.at(a, b, ts - h)) / (2 * h)
    assert float(path.slope(a, b, ts)) == pytest.approx(float(numeric), abs=1e-6)


@given(numbers, numbers, st.floats(0.0, 0.95))
def test_velocity_from_the_right_end_is_the_slope(x0, x1, t):
    path = LinearPath()
    a, b = torch.tensor(x0, dtype=torch.float64), torch.tensor(x1, dtype=torch.float64)
    ts = torch.tensor(t, dtype=torch.float64)
    assert float(path.velocity(path.at(a, b, ts), b, ts)) == pytest.approx(float(path.slope(a, b, ts)), abs=1e-9)


@given(numbers, numbers)
def test_paths_begin_at_the_prior_and_end_at_the_data(x0, x1):
    a, b = torch.tensor(x0), torch.tensor(x1)
    assert float(LinearPath().at(a, b, torch.tensor(0.0))) == pytest.approx(x0)
    assert float(LinearPath().at(a, b, torch.tensor(1.0))) == pytest.approx(x1)
    assert float(NoPath().at(a, b, torch.tensor(0.0))) == pytest.approx(x0)


def literal_algorithm_2(denoise, y, n_steps):
    for s in range(n_steps):
        t1, t2 = s / n_steps, (s + 1) / n_steps
        guess = denoise(y, t1)
        if s == n_steps - 1:
            return guess
        y = y + (guess - y) / (1 - t1) * (t2 - t1)
    return y


@pytest.mark.parametrize("n_steps", [1, 2, 5, 16])
def test_euler_to_one_is_the_papers_algorithm_2(n_steps):
    def denoise(y, t):
        return torch.sin(3 * y) + t

    def velocity(y, t):
        return LinearPath().velocity(y, denoise(y, t), torch.tensor(t, dtype=torch.float64))

    start = torch.randn(7, dtype=torch.float64)
    got = euler(velocity, start, even_times(n_steps))
    assert torch.allclose(got, literal_algorithm_2(denoise, start, n_steps))


def test_release_grid_has_one_pass_less():
    assert release_times(5) == pytest.approx([0.01, 0.2575, 0.505, 0.7525, 1.0])
    assert len(even_times(5)) == 6


@pytest.mark.parametrize(("sampler", "order"), [(euler, 1), (heun, 2)])
def test_order_of_convergence(sampler, order):
    """Halving the step divides the error by 2 to the order, on a field whose solution is known."""

    def velocity(x, t):
        return x * torch.cos(torch.tensor(3.0 * t, dtype=torch.float64))

    def error(n):
        times = [0.9 * i / n for i in range(n + 1)]
        exact = torch.exp(torch.sin(torch.tensor(2.7, dtype=torch.float64)) / 3)
        return abs(float(sampler(velocity, torch.ones((), dtype=torch.float64), times) - exact))

    assert error(80) / error(160) == pytest.approx(2**order, rel=0.1)


def test_heun_ends_with_an_euler_step_where_the_velocity_is_not_defined():
    def velocity(x, t):
        assert t < 1
        return (2.0 - x) / (1 - t)

    assert float(heun(velocity, torch.tensor(0.0), even_times(4))) == pytest.approx(2.0)
