"""What the denoiser of a flow is given in training: times, and states between prior and data."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import toy
from eosin.models import Training

SMALL = {"width": 16, "edge_width": 16, "n_layers": 1, "n_heads": 2, "dropout": 0.0, "base": False}


@pytest.fixture(scope="module")
def training() -> Training:
    return toy.training(20)


def given(model: Any, training: Training, seed: int, *, target: torch.Tensor | None = None) -> tuple[Any, Any]:
    """States [s g] and times that the denoiser gets in one training step."""
    calls: list[Any] = []
    hook = model.denoiser.register_forward_pre_hook(lambda _, args: calls.append(args[1:]))
    goal = torch.from_numpy(training.target) if target is None else target
    model.loss(model.prepare(training.batch), goal, torch.Generator().manual_seed(seed))
    hook.remove()
    ((y, t),) = calls
    return y[0].detach(), t.detach()


def flow(training: Training, **settings: Any) -> Any:
    model = toy.made("stflow", training, **{**SMALL, **settings})
    model.observe(training)
    return model.eval()


def test_every_part_has_a_time_of_its_own(training: Training) -> None:
    _, t = given(flow(training), training, 0)
    t = t.expand(len(training.target))
    per_part = [set(t[training.batch.part_of_spot() == part].tolist()) for part in range(4)]
    assert all(len(times) == 1 for times in per_part)
    assert len(set.union(*per_part)) == 4


def test_the_state_lies_between_a_prior_draw_and_the_truth(training: Training) -> None:
    model = flow(training, prior="zero")
    y, t = given(model, training, 3)
    truth = (torch.from_numpy(training.target) - model.scale.mean) / model.scale.sd
    start = (0 - model.scale.mean) / model.scale.sd
    assert torch.allclose(y, (1 - t[:, None]) * start + t[:, None] * truth, atol=1e-5)


def test_without_flow_matching_nothing_of_the_truth_and_nothing_random_is_seen(training: Training) -> None:
    model = flow(training, flow_matching=False, prior="gaussian")
    y, t = given(model, training, 0)
    assert not t.any()
    assert torch.allclose(y, -(model.scale.mean / model.scale.sd).expand_as(y), atol=1e-6)  # no expression
    again, _ = given(model, training, 1, target=torch.from_numpy(training.target[::-1].copy()))
    assert torch.equal(y, again)
    drawn = [model.draw(model.prepare(training.batch), 2, torch.Generator().manual_seed(seed)) for seed in (0, 1)]
    assert torch.equal(drawn[0], drawn[1]) and torch.equal(drawn[0][0], drawn[0][1])


def test_without_flow_matching_one_evaluation_is_the_answer(training: Training) -> None:
    model, calls = flow(training, flow_matching=False, n_steps=7), []
    model.denoiser.register_forward_pre_hook(lambda _, args: calls.append(args[2]))
    model.draw(model.prepare(training.batch), 1, torch.Generator())
    assert len(calls) == 1 and np.allclose(calls[0].numpy(), 0)
