"""The transformer over genes, and draws of Stem, against the formulas written out for one spot at a time."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from eosin.models import MODELS
from eosin.models.parts.dit import GeneDiT, TimeEmbedding
from eosin.types import Batch, GenePanel

Weights = dict[str, Tensor]


def linear(x: Tensor, weights: Weights, name: str) -> Tensor:
    return x @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]


def normed(x: Tensor) -> Tensor:
    return (x - x.mean(-1, keepdim=True)) / torch.sqrt(x.var(-1, unbiased=False, keepdim=True) + 1e-6)


def gelu(x: Tensor) -> Tensor:
    return 0.5 * x * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def silu(x: Tensor) -> Tensor:
    return x / (1 + torch.exp(-x))


def literal_time(t: float, weights: Weights) -> Tensor:
    waves = [math.exp(-math.log(10_000) * i / 128) for i in range(128)]
    phases = torch.tensor([math.cos(t * w) for w in waves] + [math.sin(t * w) for w in waves])
    return linear(silu(linear(phases, weights, "mlp.0")), weights, "mlp.2")


def literal_dit(x: Tensor, condition: Tensor, weights: Weights, depth: int, n_heads: int, tap: int):
    """One spot: x [g], condition [w] -> [g channels] and the tokens [g w] after block `tap`."""
    width = len(condition)
    h = linear(silu(linear(x[:, None], weights, "value.0")), weights, "value.2") + weights["gene"]
    tapped = h
    for block in (f"blocks.{i}" for i in range(depth)):
        b1, s1, a1, b2, s2, a2 = linear(silu(condition), weights, f"{block}.modulate").split(width)
        seen = linear(normed(h) * (1 + s1) + b1, weights, f"{block}.qkv")
        heads = []
        for head in range(n_heads):
            d = width // n_heads
            q, k, v = (seen[:, part * width + head * d : part * width + (head + 1) * d] for part in range(3))
            heads.append(torch.softmax(q @ k.T / math.sqrt(d), -1) @ v)
        h = h + a1 * linear(torch.cat(heads, -1), weights, f"{block}.join")
        inner = gelu(linear(normed(h) * (1 + s2) + b2, weights, f"{block}.mlp.0"))
        h = h + a2 * linear(inner, weights, f"{block}.mlp.2")
        if block == f"blocks.{tap - 1}":
            tapped = h
    b, s = linear(silu(condition), weights, "modulate").split(width)
    return linear(normed(h) * (1 + s) + b, weights, "out"), tapped


def stirred(module: torch.nn.Module, seed: int = 0) -> torch.nn.Module:
    """Weights of a trained kind: none is 0, as many are at the start."""
    rng = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for p in module.parameters():
            p.copy_(0.3 * torch.randn(p.shape, generator=rng))
    return module.eval()


def test_the_transformer_is_the_formula():
    dit = stirred(GeneDiT(5, 24, 3, 4, out_channels=2, tap=2))
    rng = torch.Generator().manual_seed(1)
    x, condition = torch.randn(2, 3, 5, generator=rng), torch.randn(3, 24, generator=rng)  # 2 draws of 3 spots
    with torch.no_grad():
        answer, tapped = dit(x, condition)
        for draw in range(2):
            for spot in range(3):
                wanted, tokens = literal_dit(x[draw, spot], condition[spot], dit.state_dict(), 3, 4, 2)
                assert torch.allclose(answer[draw, spot], wanted, atol=1e-4)
                assert torch.allclose(tapped[draw, spot], tokens, atol=1e-4)


def test_the_time_is_embedded_by_the_formula():
    time = stirred(TimeEmbedding(16))
    found = time(torch.tensor([0.0, 3.0, 999.0]))
    wanted = torch.stack([literal_time(t, dict(time.state_dict())) for t in (0.0, 3.0, 999.0)])
    assert torch.allclose(found, wanted, atol=1e-3)


@pytest.mark.parametrize("precondition", [False, True])
def test_ancestral_draws_are_the_papers_algorithm(*, precondition: bool):
    """One spot by itself, from the same noise: mu of the paper, sigma of the paper, 30 levels."""
    settings = {"sampler": "ancestral", "n_times": 30, "base": False, "mirrored": False, "n_components": None}
    entry = MODELS["stem"]
    small = {"width": 16, "depth": 1, "n_heads": 2, "precondition": precondition}
    model = entry.build(entry.settings.of(settings, small), 4, GenePanel(("A", "B", "C")))
    stirred(model)
    features = np.random.default_rng(0).normal(size=(1, 4)).astype(np.float32)
    found = model.draw(model.prepare(Batch(np.zeros((1, 2)), features, np.array([0, 1]))), 1, rng(5))[0, 0]

    weights = dict(model.net.state_dict())
    part = {name: {k.removeprefix(f"{name}."): v for k, v in weights.items()} for name in ("dit", "time")}
    beta = np.linspace(1e-4, 0.02, 30)
    kept = np.cumprod(1 - beta)
    stream = rng(5)
    x = torch.randn(1, 1, 3, generator=stream)[0, 0]
    looked = linear(torch.from_numpy(features[0]), weights, "condition.0")
    looked = linear(silu(looked), weights, "condition.2")
    with torch.no_grad():
        for t in reversed(range(30)):
            answer = literal_dit(x, looked + literal_time(t, part["time"]), part["dit"], 1, 2, 1)[0][:, 0]
            noise = answer
            if precondition:
                noise = math.sqrt(1 - kept[t]) * x + math.sqrt(kept[t]) * answer
            x = (x - beta[t] / math.sqrt(1 - kept[t]) * noise) / math.sqrt(1 - beta[t])
            if t:
                variance = (1 - kept[t - 1]) / (1 - kept[t]) * beta[t]
                x = x + math.sqrt(variance) * torch.randn(1, 1, 3, generator=stream)[0, 0]
    assert torch.allclose(found, x, atol=1e-3, rtol=1e-3)


def rng(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)
