"""The compiled operations on edges against the same formulas in double precision, forwards and backwards."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

from eosin.models.stflow import edge_kernels as kernels
from eosin.models.stflow.edge_ops import Dropout, GatedMLP, Neighbourhood, attention_logits, frame_average, mix, softmax

SPOTS, CENTRES, NEAR, HEADS, HALF, GENES = 700, 300, 5, 3, 24, 7


def _random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def _near() -> Neighbourhood:
    index = torch.randint(SPOTS, (CENTRES, NEAR), generator=torch.Generator().manual_seed(1))
    index[:, 1] = 3  # one spot that all attend to, and many that nobody attends to
    return Neighbourhood(index, SPOTS)


def _mlp(n_in: int, n_out: int, dropout: float = 0.0) -> GatedMLP:
    torch.manual_seed(0)
    mlp = GatedMLP(n_in, 2 * HALF, n_out, dropout)
    torch.nn.init.normal_(mlp.norm.weight, 1.0, 0.3)
    torch.nn.init.normal_(mlp.norm.bias, 0.0, 0.3)
    return mlp


def _same(function, mlp: torch.nn.Module | None, inputs: list[torch.Tensor]) -> None:
    """`function(mlp, *inputs)` in float32 (compiled) and float64 (whole tensors): values and all gradients."""
    results = []
    for kind in (torch.float32, torch.float64):
        part = None if mlp is None else copy.deepcopy(mlp).to(kind)
        given = [x.detach().to(kind, copy=True).requires_grad_() for x in inputs]
        out = function(part, *given)
        (out * _random(*out.shape, seed=5).to(kind)).sum().backward()
        grads = [x.grad for x in given] + ([] if part is None else [p.grad for p in part.parameters()])
        results.append([out.detach(), *grads])
    for fast, exact in zip(*results):
        assert (fast is None) == (exact is None)
        if fast is not None and exact is not None:
            scale = exact.abs().max().clamp(min=1)
            assert ((fast.double() - exact) / scale).abs().max() < 2e-5


@pytest.mark.parametrize("draws", [1, 3])
@pytest.mark.parametrize("edges", [True, False])
def test_logits(draws: int, *, edges: bool) -> None:
    near = _near()
    inputs = [_random(draws, SPOTS, HEADS, 2 * HALF), _random(draws, CENTRES, HEADS, 2 * HALF, seed=2)]
    if edges:
        inputs.append(_random(CENTRES, NEAR, HEADS, 2 * HALF, seed=3))

    def run(mlp, beside, centre, along=None):
        return attention_logits(mlp, along, beside, centre, near)

    _same(run, _mlp(4, 1), inputs)


@pytest.mark.parametrize("draws", [1, 2])
@pytest.mark.parametrize("edges", [True, False])
def test_mix(draws: int, *, edges: bool) -> None:
    near = _near()
    inputs = [_random(draws, CENTRES, NEAR, HEADS), _random(1, SPOTS, HEADS, 6, seed=2)]
    if edges:
        inputs.append(_random(CENTRES, NEAR, HEADS, 4, seed=3))
    _same(lambda _, share, v, e=None: mix(share, v, e, near), None, inputs)


def test_frame_average() -> None:
    edges = _random(CENTRES, NEAR, 3)

    def run(mlp, e):
        return frame_average(mlp, e.detach())  # positions are given, not learned

    mlp = _mlp(3, 8)
    _same(run, mlp, [edges])
    turned = edges * torch.tensor([-1.0, 1.0, 1.0])
    assert torch.allclose(frame_average(mlp, edges), frame_average(mlp, turned), atol=1e-6)


def test_dropout_is_the_hashed_mask() -> None:
    """With its mask written out, the compiled way with dropout equals whole tensors times that mask."""
    near, mlp = _near(), _mlp(4, 1, dropout=0.25)
    beside, centre = _random(1, SPOTS, HEADS, 2 * HALF), _random(1, CENTRES, HEADS, 2 * HALF, seed=2)
    beside.requires_grad_()
    torch.manual_seed(9)
    out = attention_logits(mlp, None, beside, centre, near)
    out.sum().backward()
    torch.manual_seed(9)
    mask = np.empty((CENTRES * NEAR * HEADS, HALF), np.float32)
    kernels.dropout_mask(mask, *mlp.dropout.hashed())
    assert abs((mask == 0).mean() - 0.25) < 0.01
    assert set(np.unique(mask)) == {np.float32(0), np.float32(256 / 192)}
    again = beside.detach().clone().requires_grad_()
    u, w = (near.gather(again) + centre[:, :, None]).chunk(2, -1)
    z = torch.nn.functional.silu(u) * w * torch.from_numpy(mask).view(1, CENTRES, NEAR, HEADS, HALF)
    literal = mlp.dropout(mlp.fc2(mlp.norm(z)).squeeze(-1))  # the generator stands where it stood then
    literal.sum().backward()
    assert torch.allclose(out, literal, atol=2e-5)
    assert beside.grad is not None and again.grad is not None
    assert torch.allclose(beside.grad, again.grad, atol=2e-4)


def test_masks_differ_between_steps_and_rows() -> None:
    dropout = Dropout(0.5)
    masks = [np.empty((64, 64), np.float32) for _ in range(2)]
    for mask in masks:
        kernels.dropout_mask(mask, *dropout.hashed())
    assert 0.4 < (masks[0] == masks[1]).mean() < 0.6
    assert 0.4 < (masks[0][0] == masks[0][1]).mean() < 0.6
    together = np.asarray(np.corrcoef(masks[0]))[np.triu_indices(64, 1)]
    assert abs(together.mean()) < 0.02


def test_softmax_without_neighbours() -> None:
    logits = _random(1, 4, NEAR, HEADS)
    valid = torch.zeros(4, NEAR, dtype=torch.bool)
    valid[1:, :2] = True
    share = softmax(logits, valid)
    assert (share[0, 0] == 0).all() and (share[0, 1:, 2:] == 0).all()
    assert torch.allclose(share[0, 1:].sum(1), torch.ones(3, HEADS))


def test_nan_shows() -> None:
    """A run that diverges must not be smoothed over by fast arithmetic."""
    beside = _random(1, SPOTS, HEADS, 2 * HALF)
    beside[0, 3] = float("nan")
    with torch.no_grad():
        out = attention_logits(_mlp(4, 1), None, beside, _random(1, CENTRES, HEADS, 2 * HALF), _near())
    assert out[:, :, 1].isnan().all()


@pytest.mark.parametrize("rate", [0.0004, 0.001, 0.003, 0.05, 0.2, 0.9995])
def test_the_rate_of_dropout_is_the_one_asked_for(rate: float) -> None:
    dropout, n = Dropout(rate), 2000 * 1024
    mask = np.empty((2000, 1024), np.float32)
    torch.manual_seed(0)
    kernels.dropout_mask(mask, *dropout.hashed())
    for made in (mask, dropout(torch.ones(2000, 1024)).numpy()):
        error = 5 * np.sqrt(rate * (1 - rate) / n)  # five standard deviations of a share
        assert (made == 0).mean() == pytest.approx(rate, rel=0.02, abs=error)
        assert made.max() == pytest.approx(1 / (1 - rate), rel=0.02)
        assert made.mean(dtype=np.float64) == pytest.approx(1, abs=5 * np.sqrt(rate / (1 - rate) / n))


@pytest.mark.parametrize("rate", [0.05, 0.1, 0.2, 0.25, 0.5])
def test_a_byte_is_enough_for_usual_rates(rate: float) -> None:
    """Their masks are those of earlier versions."""
    dropout = Dropout(rate)
    assert (dropout.levels, dropout.dropped) == (256, round(256 * rate))
    assert dropout.hashed()[1] == round(256 * rate) << 24
