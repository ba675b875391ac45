"""A network's inputs: standardised features, decomposed only where components are asked for."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from eosin.models.parts.scaling import InputMap


def features(n: int = 50) -> np.ndarray:
    """[n 6] on very different scales; the fourth is constant."""
    values = np.random.default_rng(0).normal(size=(n, 6)) * [1, 100, 0.01, 0, 5, 2] + [0, 7, 0, 3, -2, 1]
    return values.astype(np.float32)


def test_standardising_alone_decomposes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("an eigendecomposition for nothing")

    monkeypatch.setattr(np.linalg, "eigh", refuse)
    inputs, x = InputMap(6, None), features()
    inputs.observe(x)
    z = inputs(torch.from_numpy(x)).numpy()
    assert np.allclose(z.mean(0), 0, atol=1e-5) and np.allclose(z.std(0), [1, 1, 1, 0, 1, 1], atol=1e-5)


def test_both_kinds_standardise_alike() -> None:
    x, plain, reduced = features(), InputMap(6, None), InputMap(6, 2)
    plain.observe(x)
    reduced.observe(x)
    assert torch.equal(plain.shift, reduced.shift) and torch.equal(plain.scale, reduced.scale)
    assert plain.basis is None and reduced(torch.from_numpy(x)).shape == (50, 2)
