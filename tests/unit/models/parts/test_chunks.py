from __future__ import annotations

import pytest
import torch
from torch import Tensor

from eosin.models.parts.chunks import by_rows


def result(chunk: int, rows_seen: list[int], *, n_rows: int = 10) -> tuple[Tensor, Tensor]:
    """by_rows of a small network on rows, and the gradient of its weights."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, n_rows, 3, generator=generator)
    weight = torch.randn(3, 4, generator=generator, requires_grad=True)

    def function(rows: slice) -> Tensor:
        rows_seen.append(rows.stop - rows.start)
        return (x[:, rows] @ weight).tanh()

    out = by_rows(function, n_rows, chunk)
    out.square().sum().backward()
    assert weight.grad is not None
    return out.detach(), weight.grad


@pytest.mark.parametrize("chunk", [1, 3, 10, 50])
def test_chunks_change_neither_values_nor_gradients(chunk: int) -> None:
    (values, gradient), (expected, expected_gradient) = result(chunk, []), result(1000, [])
    assert torch.allclose(values, expected, atol=1e-6)
    assert torch.allclose(gradient, expected_gradient, atol=1e-5)


def test_inner_values_are_computed_again_only_where_there_are_several_chunks() -> None:
    several: list[int] = []
    one: list[int] = []
    result(4, several)
    result(10, one)
    assert sorted(several) == [2, 2, 4, 4, 4, 4] and one == [10]


def test_without_gradients_each_chunk_is_computed_once() -> None:
    seen: list[int] = []

    def function(rows: slice) -> Tensor:
        seen.append(rows.stop - rows.start)
        return torch.zeros(1, seen[-1])

    with torch.no_grad():
        by_rows(function, 5, 2)
    assert seen == [2, 2, 1]


def test_no_rows_are_one_empty_chunk() -> None:
    assert by_rows(lambda rows: torch.zeros(2, rows.stop - rows.start, 3), 0, 4).shape == (2, 0, 3)
