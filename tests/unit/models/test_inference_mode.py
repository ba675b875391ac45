"""Every model draws the same under `torch.inference_mode()`, with two threads."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

import toy
from eosin.models import MODELS
from eosin.types import Batch


@pytest.fixture
def two_threads() -> Iterator[None]:
    yield from toy.threads(2)


@pytest.mark.usefixtures("two_threads")
@pytest.mark.parametrize("name", ["stflow", "stem", "egnn", "e2cnn", "bleep", "histogene", "triplex", "ridge"])
def test_it_draws_the_same_as_without_gradients(name: str) -> None:
    training = toy.training(40)
    few = {"base": "ridge"} if "base" in MODELS[name].settings.model_fields else {}  # the kernel takes longer
    few |= {"n_steps": 2} if "n_steps" in MODELS[name].settings.model_fields else {}
    model = toy.solved(name, training) if name == "ridge" else toy.made(name, training, **few)
    if name != "ridge":
        model.observe(training)
        model.eval()
    batch = Batch.of([toy.section("C1", 300)])  # several pieces for the threads

    def draw() -> torch.Tensor:
        return model.draw(model.prepare(batch), 4, torch.Generator().manual_seed(0))

    with torch.no_grad():
        expected = draw()
    with torch.inference_mode():
        found = draw()
    assert torch.allclose(found, expected, atol=1e-4)
