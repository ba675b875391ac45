"""The interface of losses, and the one that most models take."""

from __future__ import annotations

import torch

from eosin.models.parts.objective import squared_error


def test_squared_error_is_a_mean_over_all_guesses() -> None:
    guess = torch.tensor([[[1.0, 2.0]], [[3.0, 5.0]]], requires_grad=True)  # [2 1 2]
    cost = squared_error(guess, torch.tensor([[1.0, 1.0]]))
    assert cost.ndim == 0 and cost.item() == (0 + 1 + 4 + 16) / 4
    cost.backward()
    assert guess.grad is not None and torch.equal(guess.grad, torch.tensor([[[0.0, 0.5]], [[1.0, 2.0]]]))
