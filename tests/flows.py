"""What any denoiser inside a flow is asked: to learn, to generalise, and to draw what cannot be predicted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

import toy
from eosin.engine.train import gather
from eosin.genes import choose_panel
from eosin.metrics import pearson_per_gene
from eosin.models import MODELS, Model, Training
from eosin.types import Batch, GenePanel

ALONE = {"base": False, "precondition": False, "dropout": 0.0}
"""Settings with which the network has to do all the work."""


def learned(name: str, training: Training, n_updates: int, *, lr: float = 1e-2, **settings: Any) -> Model:
    """A model after some steps on the whole training set."""
    torch.manual_seed(0)
    entry = MODELS[name]
    model: Any = entry.build(entry.settings.of(settings), training.batch.features.shape[1], training.panel)
    model.observe(training)
    rng, goal = torch.Generator().manual_seed(0), torch.from_numpy(training.target)
    optimiser = torch.optim.Adam(model.parameters(), lr=lr)
    context = model.prepare(training.batch)
    for step in range(n_updates):
        optimiser.param_groups[0]["lr"] = lr * min(1.0, 2 * (1 - step / n_updates))
        loss = model.loss(context, goal, rng)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return model.eval()


def drawn(model: Model, batch: Batch, k: int = 4) -> np.ndarray:
    with torch.no_grad():
        return model.draw(model.prepare(batch), k, torch.Generator().manual_seed(5)).numpy()


def denoised(
    network: Any, xy: np.ndarray, features: np.ndarray, y: torch.Tensor, starts: np.ndarray | None = None
) -> torch.Tensor:
    """What a denoiser says [s g] of one noisy state at time 0.4; one section if `starts` does not part the spots."""
    batch = Batch(xy, features, np.array([0, len(xy)]) if starts is None else starts)
    with torch.no_grad():
        return network(network.geometry(batch, torch.from_numpy(features)), y[None], torch.tensor([0.4]))[0]


def chunks_change_nothing(network: Any, batch: Batch, y: torch.Tensor, shrink: Callable[[], None]) -> bool:
    """Whether answers and gradients stay what they were once `shrink` has lowered the sizes of chunks."""
    geometry = network.geometry(batch, torch.from_numpy(batch.features))
    draws, t = torch.stack([y, y + 1]), torch.tensor([0.4])

    def gradients() -> list[torch.Tensor]:
        network.zero_grad()
        network(geometry, draws, t).square().sum().backward()
        return [p.grad.clone() for p in network.parameters()]

    whole, slopes = network(geometry, draws, t).detach(), gradients()
    shrink()
    with torch.no_grad():
        same = torch.allclose(network(network.precompute(geometry), draws, t), whole, atol=1e-5)
    geometry.embedded = None
    return same and all(torch.allclose(a, b, rtol=1e-3, atol=1e-4) for a, b in zip(slopes, gradients()))


def training_pcc(name: str, n_updates: int, **settings: Any) -> float:
    """Correlation on the spots of the one section that was trained on."""
    sections = [toy.section("A1", 60)]
    training = gather(sections, choose_panel("var:6", sections))
    model = learned(name, training, n_updates, **{**ALONE, **settings})
    return float(pearson_per_gene(training.target, drawn(model, training.batch).mean(0)).mean())


def held_out_gain(name: str, n_updates: int, **settings: Any) -> float:
    """Share of the gene mean's squared error that is gone on a section that was not trained on."""
    sections = toy.cohort(60)
    panel = choose_panel("var:6", sections[:3])
    training, judged = gather(sections[:3], panel), gather(sections[3:], panel)
    model = learned(name, training, n_updates, **{**ALONE, **settings})
    error = np.square(drawn(model, judged.batch, 16).mean(0) - judged.target).mean()
    return float(1 - error / np.square(training.target.mean(0) - judged.target).mean())


def coin(seed: int = 0, n_parts: int = 100, side: int = 3) -> Training:
    """Two genes that a hidden coin puts at +1 and -1, or at -1 and +1, beside what the one feature says."""
    rng = np.random.default_rng(seed)
    one = np.stack(np.meshgrid(np.arange(side), np.arange(side)), -1).reshape(-1, 2) * 100.0
    n = n_parts * side**2
    feature, sign = rng.normal(size=(n, 1)).astype(np.float32), rng.choice([-1.0, 1.0], (n, 1))
    values = (feature + sign * [1, -1] + rng.normal(0, 0.3, (n, 2)) + 4).astype(np.float32)
    batch = Batch(np.tile(one, (n_parts, 1)), feature, np.arange(n_parts + 1) * side**2)
    return Training(batch, values, np.round(np.expm1(values)), batch.part_of_spot(), GenePanel(("A", "B")))


def energy_distance(a: np.ndarray, b: np.ndarray) -> float:
    """Between two samples of vectors; 0 where they have one distribution."""

    def mean_gap(one: np.ndarray, other: np.ndarray) -> float:
        return float(np.linalg.norm(one[:, None] - other[None], axis=-1).mean())

    return 2 * mean_gap(a, b) - mean_gap(a, a) - mean_gap(b, b)


def coin_distances(name: str, n_updates: int, **settings: Any) -> tuple[float, float]:
    """Energy distances of a draw, and of the mean over draws, to the truth of new spots; less the feature's part."""
    model = learned(name, coin(), n_updates, **{**ALONE, "n_steps": 8, **settings})
    truth = coin(seed=1)
    found, part = drawn(model, truth.batch, 8), truth.batch.features + 4
    left = truth.target - part
    return energy_distance(found[0] - part, left), energy_distance(found.mean(0) - part, left)
