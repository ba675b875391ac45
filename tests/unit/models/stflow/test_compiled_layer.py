"""A compiled layer against the same layer by whole tensors in double precision."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

from eosin.models.stflow import edge_kernels as kernels
from eosin.models.stflow.edge_geometry import EdgeGeometry
from eosin.models.stflow.spatial_layer import SpatialLayer
from eosin.models.stflow.stflow_compiled import CompiledLayer

SPOTS, NEAR, WIDTH, EDGE_WIDTH, HEADS, GENES = 1300, 5, 24, 40, 2, 7


def _layer(*, use_edges: bool) -> SpatialLayer:
    torch.manual_seed(0)
    layer = SpatialLayer(WIDTH, EDGE_WIDTH, HEADS, GENES, 0.2, use_edges=use_edges).eval()
    for parameter in layer.parameters():  # every bias, gain and shift counts
        torch.nn.init.normal_(parameter, 0.1, 0.3)
    return layer


def _geometry(*, all_exist: bool) -> EdgeGeometry:
    rng = torch.Generator().manual_seed(1)
    index = torch.randint(SPOTS, (SPOTS, NEAR), generator=rng)
    valid = torch.rand(SPOTS, NEAR, generator=rng) < 0.7
    valid[:9] = False  # some spots have no neighbour at all
    features, edges = torch.zeros(SPOTS, 1), torch.randn(SPOTS, NEAR, 3, generator=rng)
    return EdgeGeometry(features, index, None if all_exist else valid, edges)


def _exact(layer: SpatialLayer, h: torch.Tensor, y: torch.Tensor, geometry: EdgeGeometry) -> list[torch.Tensor]:
    precise = EdgeGeometry(geometry.features.double(), geometry.index, geometry.valid, geometry.edges.double())
    return list(copy.deepcopy(layer).double()(h.double(), y.double(), precise, None))


@pytest.mark.parametrize("use_edges", [True, False])
@pytest.mark.parametrize("all_exist", [True, False])
@pytest.mark.parametrize(("of_h", "of_y"), [(1, 1), (1, 3), (3, 3)])
def test_it_equals_whole_tensors(of_h: int, of_y: int, *, use_edges: bool, all_exist: bool) -> None:
    layer, geometry = _layer(use_edges=use_edges), _geometry(all_exist=all_exist)
    rng = torch.Generator().manual_seed(2)
    h, y = torch.randn(of_h, SPOTS, WIDTH, generator=rng), torch.randn(of_y, SPOTS, GENES, generator=rng)
    with torch.no_grad():
        exact = _exact(layer, h, y, geometry)
        fast = CompiledLayer(layer)(h.clone(), y.clone(), geometry, None)
    for made, expected in zip(fast, exact):
        assert made.shape == expected.shape
        assert (made - expected).abs().max() < 2e-6 * expected.abs().max()


@pytest.mark.parametrize("shape", [(1, 5, 3), (70, 128, 512), (33, 1100, 1000), (0, 4, 4)])
def test_products_by_few_rows_are_whole_products(shape: tuple[int, int, int]) -> None:
    n_rows, n_in, n_out = shape
    rng = np.random.default_rng(0)
    x, weight = (rng.normal(size=s).astype(np.float32) for s in ((n_rows, n_in), (n_in, n_out)))
    out = np.full((n_rows, n_out), np.nan, np.float32)
    kernels.product(x, weight, out)
    assert np.allclose(out, x.astype(np.float64) @ weight, atol=1e-3)


def test_exp_is_that_of_double_precision() -> None:
    x = np.linspace(-80, 80, 20_001).astype(np.float32)
    made = np.empty_like(x)
    kernels.exponential(x, made)
    exact = np.exp(x.astype(np.float64))
    assert (np.abs(made - exact) <= (2e-7 + 8e-8 * np.abs(x)) * exact).all()
