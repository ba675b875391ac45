"""Checks that every model must pass; they ship with eosin, so that plug-ins can run them too."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from eosin.models.base import Learned, Model, Solved, Training
from eosin.types import Batch


class Broken(AssertionError):
    """A model broke a rule of the interface; the message says which rule."""


def check_model(build: Callable[[], Model], training: Training, *, moved: bool = True) -> None:
    """Check that a model keeps the rules of the interface: let it learn a little, then draw.

    Parameters
    ----------
    build
        Makes a fresh, untrained model for `training`'s panel and features.
    training
        A small training set of at least two sections.
    moved
        Also demand that shifting all positions changes nothing.

    Raises
    ------
    Broken
        The model breaks a rule; the message is the rule.
    """
    torch.manual_seed(0)
    model = build()
    _learn(model, training)
    batch = Batch(training.batch.xy_um, training.batch.features, training.batch.starts)
    drawn = _draw(model, batch, 3)
    _need(drawn.shape[0] in (1, 3), f"asked for 3 draws, got {drawn.shape[0]}")
    _need(drawn.shape[1:] == training.target.shape, f"draws have shape {drawn.shape}")
    _need(np.isfinite(drawn).all(), "draws hold NaN or infinity")
    _need(np.array_equal(drawn, _draw(model, batch, 3)), "the same seed gives other draws")
    _need(model.n_parameters > 0, "no parameters are counted")
    fresh = build()
    if isinstance(fresh, Learned):
        fresh.eval()
    fresh.load_arrays(model.arrays())
    _need(np.array_equal(drawn, _draw(fresh, batch, 3)), "arrays() and load_arrays() do not restore the model")
    _need_apart(model, batch)
    _need_order(model, batch)
    alone = batch.regions([np.array([0])])
    _need(np.isfinite(_draw(model, alone, 2)).all(), "one spot alone gives NaN")
    if moved:
        shifted = Batch(batch.xy_um + 5000.0, batch.features, batch.starts)
        _need(np.allclose(drawn, _draw(model, shifted, 3), atol=1e-4), "shifting the section changes the draws")


def _learn(model: Model, training: Training) -> None:
    if isinstance(model, Solved):
        model.solve(training)
        return
    _need(isinstance(model, Learned), "a model is Solved or Learned")
    assert isinstance(model, Learned)
    model.observe(training)
    model.train()
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-3)
    rng = torch.Generator().manual_seed(0)
    goal = torch.from_numpy(training.target)
    for _ in range(2):
        loss = model.loss(model.prepare(training.batch), goal, rng)
        _need(loss.ndim == 0 and bool(torch.isfinite(loss)), "the loss is not a finite scalar")
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    unmoved = [name for name, p in model.named_parameters() if p.requires_grad and p.grad is None]
    _need(not unmoved, f"parameters without a gradient: {unmoved[:3]}")
    model.eval()


def _draw(model: Model, batch: Batch, k: int) -> np.ndarray:
    with torch.no_grad():
        return model.draw(model.prepare(batch), k, torch.Generator().manual_seed(7)).numpy()


def _need_apart(model: Model, batch: Batch) -> None:
    """What happens in one section must not reach another: compare with the other section moved and altered."""
    first, rest = batch.starts[1], slice(batch.starts[1], None)
    other = Batch(batch.xy_um.copy(), batch.features.copy(), batch.starts)
    other.xy_um[rest] += 123.0
    other.features[rest] = other.features[rest][::-1]
    _need(
        np.allclose(_draw(model, batch, 2)[:, :first], _draw(model, other, 2)[:, :first], atol=1e-4),
        "a section's draws depend on another section of the batch",
    )


def _need_order(model: Model, batch: Batch) -> None:
    """The order of spots must not matter to the mean of a point model, nor to the shape of any."""
    start, stop = batch.starts[0], batch.starts[1]
    order = np.random.default_rng(0).permutation(stop - start)
    plain = _draw(model, batch.regions([np.arange(start, stop)]), 1)
    turned = _draw(model, batch.regions([order]), 1)
    if plain.shape[0] == 1 and isinstance(model, Solved):
        _need(np.allclose(plain[:, order], turned, atol=1e-4), "the order of spots changes the prediction")


def _need(ok: object, rule: str) -> None:
    if not ok:
        raise Broken(rule)
