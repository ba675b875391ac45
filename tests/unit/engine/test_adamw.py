"""The optimiser is torch's, to the bit; that it loads no compiler is seen in a cell's process (`test_process`)."""

from __future__ import annotations

import copy

import pytest
import torch

from eosin.engine.adamw import AdamW


def network() -> torch.nn.Module:
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.SiLU(), torch.nn.Linear(4, 1))


def steps(optimiser: torch.optim.Optimizer, model: torch.nn.Module, n: int) -> None:
    for i in range(n):
        model(torch.randn(5, 3, generator=torch.Generator().manual_seed(i))).square().sum().backward()
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        assert all(parameter.grad is None for parameter in model.parameters())


def weights(model: torch.nn.Module) -> list[torch.Tensor]:
    return [parameter.detach().clone() for parameter in model.parameters()]


@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
def test_steps_are_those_of_torch(weight_decay: float) -> None:
    found = []
    for kind in (torch.optim.AdamW, AdamW):
        model = network()
        steps(kind(model.parameters(), lr=1e-2, weight_decay=weight_decay), model, 5)
        found.append(weights(model))
    assert all(torch.equal(a, b) for a, b in zip(*found))
    assert not all(torch.equal(a, b) for a, b in zip(found[0], weights(network())))


def test_state_goes_out_and_comes_in_as_that_of_torch() -> None:
    model, other = network(), network()
    ours = AdamW(model.parameters(), lr=1e-2)
    steps(ours, model, 3)
    other.load_state_dict(model.state_dict())
    theirs = torch.optim.AdamW(other.parameters(), lr=1e-2)
    theirs.load_state_dict(copy.deepcopy(ours.state_dict()))
    again = AdamW(network().parameters(), lr=1.0)
    again.load_state_dict(theirs.state_dict())
    assert str(again.state_dict()) == str(ours.state_dict())
    steps(ours, model, 2)
    steps(theirs, other, 2)
    assert all(torch.equal(a, b) for a, b in zip(weights(model), weights(other)))


def test_no_gradient_is_recorded_by_a_step_and_a_closure_has_one() -> None:
    model = network()
    optimiser = AdamW(model.parameters(), lr=1e-2)

    def closure() -> torch.Tensor:
        loss = model(torch.ones(1, 3)).sum()
        loss.backward()
        return loss

    assert optimiser.step(closure).requires_grad
    assert all(not slot.requires_grad for state in optimiser.state.values() for slot in state.values())
