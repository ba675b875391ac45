"""ST-Net's training of a linear head, step by step with torch's own optimiser."""

from __future__ import annotations

import numpy as np
import torch


def head(x: np.ndarray, y: np.ndarray) -> torch.nn.Linear:
    """Weights of zero, bias of the training mean."""
    layer = torch.nn.Linear(x.shape[1], y.shape[1]).double()
    with torch.no_grad():
        layer.weight.zero_()
        layer.bias.copy_(torch.from_numpy(y.mean(0, dtype=np.float64)))
    return layer


def descend(
    x: np.ndarray, y: np.ndarray, *, lr: float, momentum: float, batch_size: int, n_steps: int, seed: int | None
) -> tuple[np.ndarray, np.ndarray]:
    """Weights [f g] and bias [g]; the loss is summed over a batch's spots and averaged over genes.

    With a seed, batches are drawn with replacement; without, every step takes all spots, scaled to a batch's size.
    """
    layer, rng = head(x, y), np.random.default_rng(seed)
    optimiser = torch.optim.SGD(layer.parameters(), lr=lr, momentum=momentum)
    everything = np.arange(len(x))
    for _ in range(n_steps):
        rows = everything if seed is None else rng.integers(len(x), size=batch_size)
        error = layer(torch.from_numpy(x[rows])) - torch.from_numpy(y[rows])
        loss = error.square().mean(1).sum() * batch_size / len(rows)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return layer.weight.detach().numpy().T.copy(), layer.bias.detach().numpy().copy()
