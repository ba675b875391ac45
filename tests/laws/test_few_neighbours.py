"""A neighbour that is missing changes nothing: four spots with k = 8 are four spots with k = 3."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import torch

import toy
from eosin.models import MODELS, Training
from eosin.types import Batch

CASES: dict[str, dict[str, Any]] = {
    "stflow": {"width": 16, "edge_width": 16, "n_heads": 2, "n_layers": 2},
    "egnn": {"width": 16, "n_layers": 2},
    "flag": {"width": 16, "n_layers": 2},
    "triplex": {"width": 16, "n_heads": 2},
}
"""Networks that look at a number of neighbours."""


def test_every_network_with_neighbours_is_asked() -> None:
    by_place = {n for n, e in MODELS.items() if "n_neighbours" in e.settings.model_fields}
    assert by_place - {"knn", "ridge", "kernel"} == set(CASES)  # closed forms have tests of their own


@pytest.fixture(scope="module")
def training() -> Training:
    return toy.training(30)


def pair(name: str, training: Training) -> list[Any]:
    """The same network twice, every parameter random: with 3 neighbours, and with 8."""
    models = []
    for k in (3, 8):
        known = {key: value for key, value in CASES[name].items() if key in MODELS[name].settings.model_fields}
        model = toy.made(name, training, **{"base": False, "dropout": 0.0, **known, "n_neighbours": k})
        model.observe(training)
        rng = torch.Generator().manual_seed(0)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.copy_(torch.randn(parameter.shape, generator=rng) * 0.3)
        models.append(model.eval())
    return models


def few(training: Training, *sizes: int) -> Batch:
    """Sections of so few spots, at uneven places."""
    rng, n = np.random.default_rng(4), sum(sizes)
    return Batch(rng.uniform(0, 400, (n, 2)), training.batch.features[:n], np.cumsum([0, *sizes]))


@pytest.mark.parametrize("name", CASES)
def test_draws_are_the_same(name: str, training: Training) -> None:
    """At inference, where layers are compiled."""
    batch = few(training, 4)
    drawn = [m.draw(m.prepare(batch), 2, torch.Generator().manual_seed(1)) for m in pair(name, training)]
    assert torch.allclose(drawn[0], drawn[1], atol=1e-4), (drawn[0] - drawn[1]).abs().max()


@pytest.mark.parametrize("name", CASES)
def test_losses_and_gradients_are_the_same(name: str, training: Training) -> None:
    batch, found = few(training, 4), []
    for model in pair(name, training):
        loss = model.loss(model.prepare(batch), torch.from_numpy(training.target[:4]), torch.Generator().manual_seed(1))
        loss.backward()
        grads = [torch.zeros_like(p) if p.grad is None else p.grad for p in model.parameters()]
        found.append(torch.cat([loss.detach().reshape(1), *(grad.flatten() for grad in grads)]))
    scale = found[0].abs().max()
    assert torch.allclose(found[0] / scale, found[1] / scale, atol=1e-5)


@pytest.mark.parametrize("name", sorted(CASES.keys() - {"flag"}))  # whose noise comes in the order of all spots
def test_a_small_section_beside_a_large_one_is_as_alone(name: str, training: Training) -> None:
    """The large one has all its neighbours: then some rows have missing ones, and others none."""
    (model,) = pair(name, training)[1:]
    batch = few(training, 4, 20)
    with _same_noise(model):
        both = model.draw(model.prepare(batch), 1, torch.Generator())[:, :4]
        alone = model.draw(model.prepare(batch.regions([np.arange(4)])), 1, torch.Generator())
    assert torch.allclose(both, alone, atol=1e-4)


@contextmanager
def _same_noise(model: Any) -> Iterator[None]:
    """Start flows from 0, so that draws of different numbers of spots can be compared."""
    prior = getattr(model, "prior", None)
    if prior is None:
        yield
        return
    kept, prior.sample = prior.sample, lambda k, places, g, rng: torch.zeros(k, len(places), g)
    try:
        yield
    finally:
        prior.sample = kept
