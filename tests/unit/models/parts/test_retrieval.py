from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from eosin.models.parts import retrieval
from eosin.models.parts.retrieval import (
    COSINE_DISTANCE,
    COSINE_SIMILARITY,
    EUCLIDEAN_DISTANCE,
    Comparison,
    Retrieval,
    Weights,
    gaussian,
    inverse_distance,
    uniform,
)

RNG = np.random.default_rng(0)
QUERIES, KEYS, VALUES = (RNG.normal(size=shape) for shape in ((11, 4), (30, 4), (30, 3)))


def means(comparison: Comparison, weights: Weights, numbers: tuple[int, ...], **given) -> np.ndarray:
    tensors = (torch.from_numpy(x) for x in (QUERIES, KEYS, VALUES))
    return Retrieval(comparison, weights, **given).means(*tensors, numbers).numpy()


def expected(order: str, weigh: str, k: int) -> np.ndarray:
    """The same in loops: sort all keys, weigh the first k, average."""
    rows = []
    for query in QUERIES:
        euclidean = np.sqrt(((KEYS - query) ** 2).sum(1))
        cosine = 1 - KEYS @ query / np.linalg.norm(KEYS, axis=1) / np.linalg.norm(query)
        compared = {"euclidean": euclidean, "cosine": cosine}[order]
        near = np.argsort(compared)[:k]
        weight = {
            "uniform": np.ones(len(near)),
            "inverse": 1 / compared[near],
            "gaussian": np.exp(-(euclidean[near] ** 2)),
        }[weigh]
        rows.append(np.average(VALUES[near], axis=0, weights=weight))
    return np.array(rows)


@pytest.mark.parametrize(
    ("comparison", "order"),
    [(COSINE_SIMILARITY, "cosine"), (COSINE_DISTANCE, "cosine"), (EUCLIDEAN_DISTANCE, "euclidean")],
)
@pytest.mark.parametrize(("weights", "weigh"), [(uniform, "uniform"), (gaussian, "gaussian")])
def test_means_are_the_definition(comparison: Comparison, order: str, weights: Weights, weigh: str) -> None:
    found = means(comparison, weights, (1, 5, 1000))
    for number, k in enumerate((1, 5, 1000)):
        np.testing.assert_allclose(found[number], expected(order, weigh, k), atol=1e-10)


@pytest.mark.parametrize(("comparison", "order"), [(COSINE_DISTANCE, "cosine"), (EUCLIDEAN_DISTANCE, "euclidean")])
def test_inverse_distance_is_the_definition(comparison: Comparison, order: str) -> None:
    np.testing.assert_allclose(means(comparison, inverse_distance, (6,))[0], expected(order, "inverse", 6), atol=1e-10)


def test_a_key_that_is_met_exactly_outweighs_all_others() -> None:
    keys, values = torch.from_numpy(KEYS), torch.from_numpy(VALUES)
    found = Retrieval(EUCLIDEAN_DISTANCE, inverse_distance).means(keys, keys, values, (20,))[0]
    np.testing.assert_allclose(found, VALUES, atol=1e-4)


@pytest.mark.parametrize("counts_keys", [False, True])
def test_blocks_bound_what_is_held_at_once_and_change_nothing(
    monkeypatch: pytest.MonkeyPatch, *, counts_keys: bool
) -> None:
    whole = means(EUCLIDEAN_DISTANCE, gaussian, (2, 12), counts_keys=counts_keys)
    sizes: list[int] = []

    def watched(queries: Tensor, keys: Tensor) -> Tensor:
        sizes.append(len(queries))
        return torch.cdist(queries, keys)

    monkeypatch.setattr(retrieval, "_ENTRIES", 100)
    parts = means(Comparison(watched, largest=False), gaussian, (2, 12), counts_keys=counts_keys)
    np.testing.assert_allclose(parts, whole, atol=1e-10)
    per_query = max(len(KEYS), 12 * (KEYS if counts_keys else VALUES).shape[1])
    assert sum(sizes) == len(QUERIES) and max(sizes) == 100 // per_query


def test_queries_are_made_of_the_inputs_a_block_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    inputs, keys, values = (torch.from_numpy(x) for x in (QUERIES, KEYS, VALUES))
    plain = Retrieval(COSINE_SIMILARITY, gaussian).means(2 * inputs, keys, values, (4,))
    monkeypatch.setattr(retrieval, "_ENTRIES", 90)
    sizes: list[int] = []

    def embed(some: Tensor) -> Tensor:
        sizes.append(len(some))
        return 2 * some

    found = Retrieval(COSINE_SIMILARITY, gaussian).means(inputs, keys, values, (4,), embed=embed)
    np.testing.assert_allclose(found, plain, atol=1e-10)
    assert sizes == [3, 3, 3, 2]
