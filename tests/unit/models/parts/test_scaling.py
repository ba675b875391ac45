"""Scales of what goes into a network and of what comes out."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from eosin.models.parts.scaling import InputMap, ValueScale


def test_a_gene_that_hardly_varies_is_not_blown_up() -> None:
    values = np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32) * [2.0, 0.01, 0.0] + [1.0, 2.0, 3.0]
    scale = ValueScale(3, standardise=True)
    scale.observe(values.astype(np.float32))
    assert scale.mean.tolist() == pytest.approx(values.mean(0).tolist(), abs=1e-5)
    assert scale.sd.tolist() == pytest.approx([values[:, 0].std(), 0.05, 0.05], rel=1e-5)


def test_genes_that_are_not_standardised_keep_their_scale() -> None:
    scale = ValueScale(2, standardise=False)
    scale.observe(np.array([[1.0, 5.0], [3.0, 9.0]], dtype=np.float32))
    assert scale.mean.tolist() == [0, 0] and scale.sd.tolist() == [1, 1]


def test_inputs_are_standardised_and_a_constant_feature_is_0() -> None:
    features = np.random.default_rng(1).normal(size=(40, 3)).astype(np.float32) * [5, 0.1, 0] + [3, -2, 7]
    features = features.astype(np.float32)
    inputs = InputMap(3, None)
    inputs.observe(features)
    out = inputs(torch.from_numpy(features)).numpy()
    assert out.std(0) == pytest.approx([1, 1, 0], abs=1e-4) and out.mean(0) == pytest.approx([0, 0, 0], abs=1e-4)


def test_components_are_half_way_to_whitened_and_the_largest_come_first() -> None:
    rng = np.random.default_rng(2)
    hidden = rng.normal(size=(300, 2)) * [2.0, 0.7]
    features = (hidden @ rng.normal(size=(2, 5)) + rng.normal(0, 0.1, (300, 5))).astype(np.float32)
    inputs = InputMap(5, 3)
    inputs.observe(features)
    out = inputs(torch.from_numpy(features)).numpy()
    variance = np.linalg.eigvalsh(np.corrcoef(features.T))[::-1][:3]
    assert out.shape == (300, 3)
    assert out.var(0) == pytest.approx(np.sqrt(variance), rel=1e-3)
