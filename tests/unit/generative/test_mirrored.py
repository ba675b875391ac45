"""Mirrored draws: pairs that cancel, for any number of draws."""

from __future__ import annotations

import pytest
import torch

from eosin.generative.mirrored import independent, mirrored


@pytest.mark.parametrize("k", [1, 2, 5, 6])
def test_every_second_draw_is_the_negative_of_the_one_before(k: int) -> None:
    asked: list[int] = []

    def draw(n: int) -> torch.Tensor:
        asked.append(n)
        return torch.randn(n, 3, 2, generator=torch.Generator().manual_seed(0))

    drawn = mirrored(draw, k)
    assert drawn.shape == (k, 3, 2) and asked == [(k + 1) // 2]
    assert torch.equal(drawn[1::2], -drawn[: 2 * (k // 2) : 2])
    assert torch.equal(drawn[::2], draw((k + 1) // 2))  # the others are the draws themselves, in their order


def test_independent_draws_are_asked_for_all_at_once() -> None:
    assert torch.equal(independent(lambda n: torch.arange(float(n)), 4), torch.tensor([0.0, 1.0, 2.0, 3.0]))
