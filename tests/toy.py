"""Small sections with a known relation between features and counts, for tests of models and engine."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from scipy import sparse

from eosin import parallel
from eosin.engine.train import gather
from eosin.generative import SpotPlaces
from eosin.genes import choose_panel
from eosin.models import MODELS, Model, Training
from eosin.types import Batch, Features, Section, Spots

N_FEATURES, N_GENES = 12, 10


def section(name: str, n: int = 60, *, patient: str | None = None, seed: int | None = None) -> Section:
    """Spots on a jittered lattice; counts are Poisson with a log-linear rate in the features."""
    rng = np.random.default_rng(abs(hash_of(name)) if seed is None else seed)
    side = int(np.ceil(np.sqrt(n)))
    lattice = np.stack(np.meshgrid(np.arange(side), np.arange(side)), -1).reshape(-1, 2)[:n] * 100.0
    xy = lattice + rng.normal(0, 12, (n, 2)) + 200
    features = rng.normal(size=(n, N_FEATURES))
    weight = np.random.default_rng(3).normal(size=(N_FEATURES, N_GENES)) * 0.4
    counts = rng.poisson(np.exp(features @ weight + 1))
    return Section(
        name,
        patient or name[0],
        Spots(xy, 100.0, tuple(f"{name}-{i}" for i in range(n))),
        features=Features(features, "toy", "toy-1"),
        counts=sparse.csr_matrix(counts),
        genes=tuple(f"GENE{j}" for j in range(N_GENES)),
    )


def serial(name: str, *, seed: int, angle: float = 0.0, of: int = 0, n: tuple[int, int] = (12, 9)) -> Section:
    """A section through the tissue `of`: slow patterns, of which the features show half, in noise."""
    rng = np.random.default_rng(seed)
    grid = np.stack(np.meshgrid(np.arange(n[0]), np.arange(n[1])), -1).reshape(-1, 2) * 200.0 + 500
    grid = grid + rng.normal(0, 20, grid.shape)
    x, y = (grid / 350.0).T
    waves = np.random.default_rng(of).uniform(-1, 1, (6, 3)) * [1.0, 1.0, 6.0]
    patterns = np.stack([np.sin(a * x + b * y + c) for a, b, c in waves], 1)
    features = patterns @ np.random.default_rng(1).normal(size=(6, 10)) + rng.normal(0, 1.0, (len(grid), 10))
    rates = np.exp(1.2 + patterns @ np.random.default_rng(2).normal(size=(6, 8)) * 0.5)
    cos, sin = np.cos(angle), np.sin(angle)
    return Section(
        name,
        name[0],
        Spots(grid @ np.array([[cos, sin], [-sin, cos]]), 100.0, tuple(f"{name}-{i}" for i in range(len(grid)))),
        features=Features(features, "toy", "toy-1"),
        counts=sparse.csr_matrix(rng.poisson(rates)),
        genes=tuple(f"GENE{j}" for j in range(8)),
    )


def hash_of(name: str) -> int:
    return sum(ord(letter) * 31**i for i, letter in enumerate(name)) % (2**31)


def cohort(n: int = 60) -> list[Section]:
    return [section(name, n) for name in ("A1", "A2", "B1", "B2")]


def training(n: int = 60, genes: str = "var:6") -> Training:
    sections = cohort(n)
    return gather(sections, choose_panel(genes, sections))


def made(name: str, training: Training, **settings: Any) -> Any:
    """A model as its entry builds it, not trained yet."""
    entry = MODELS[name]
    return entry.build(entry.settings.of(settings), training.batch.features.shape[1], training.panel)


def solved(name: str, training: Training, **settings: Any) -> Any:
    """A closed-form model of these spots."""
    model = made(name, training, **settings)
    model.solve(training)
    return model


def threads(n: int) -> Iterator[None]:
    """For a fixture: torch computes with `n` threads, and eosin's pool is made anew before and after."""
    before = torch.get_num_threads()
    torch.set_num_threads(n)
    parallel._pool.cache_clear()
    yield
    torch.set_num_threads(before)
    parallel._pool.cache_clear()


def fitted(name: str, training: Training, n_steps: int, **settings: Any) -> Any:
    """A network after some steps over all these spots at once."""
    torch.manual_seed(0)
    model = made(name, training, **settings)
    model.observe(training)
    model.train()
    optimiser = torch.optim.AdamW(model.parameters(), lr=3e-3)
    goal, rng = torch.from_numpy(training.target), torch.Generator().manual_seed(0)
    context = model.prepare(training.batch)
    for _ in range(n_steps):
        optimiser.zero_grad()
        model.loss(context, goal, rng).backward()
        optimiser.step()
    return model.eval()


def anywhere(n: int) -> SpotPlaces:
    """Places of n spots of one section, for priors that do not look at them."""
    return SpotPlaces(np.zeros((n, 2)), np.zeros(n, dtype=np.int64))


def point(model: Model, batch: Batch) -> np.ndarray:
    """What a point model says of spots [s g], as of spots that it was not trained on."""
    context = model.prepare(replace(batch, training_rows=None))
    return model.draw(context, 1, torch.Generator())[0].numpy()
