"""Weighted mean of the values of the nearest keys, in bounded memory: what kNN and BLEEP answer with.

A query (the image of a spot) is compared with every key (one for each training spot). The values (expression) of the
k nearest keys are averaged.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import normalize, softmax

from eosin.row_blocks import row_blocks

_ENTRIES = 1 << 24  # numbers of the largest array held at once: 64 MiB


@dataclass(frozen=True)
class Comparison:
    """How queries are compared with keys.

    Attributes
    ----------
    compute
        (queries [r c], keys [m c]) -> [r m].
    largest
        True where a larger number means nearer (a similarity), False where a smaller one does (a distance).
    """

    compute: Callable[[Tensor, Tensor], Tensor]
    largest: bool


def cosine_similarity(queries: Tensor, keys: Tensor) -> Tensor:
    """Cosine of the angle between each query [r c] and each key [m c]: [r m]."""
    return normalize(queries, dim=1) @ normalize(keys, dim=1).T


def cosine_distance(queries: Tensor, keys: Tensor) -> Tensor:
    """1 - `cosine_similarity`."""
    return 1 - cosine_similarity(queries, keys)


COSINE_SIMILARITY = Comparison(cosine_similarity, largest=True)
COSINE_DISTANCE = Comparison(cosine_distance, largest=False)
EUCLIDEAN_DISTANCE = Comparison(torch.cdist, largest=False)


@dataclass(frozen=True)
class Retrieved:
    """The k nearest keys of some queries, nearest first.

    Attributes
    ----------
    queries
        [r c].
    keys
        [m c], all of them.
    index
        [r k], rows of `keys`.
    compared
        [r k], what the comparison gave for each of them.
    """

    queries: Tensor
    keys: Tensor
    index: Tensor
    compared: Tensor

    def first(self, k: int) -> Retrieved:
        """The k nearest only."""
        return Retrieved(self.queries, self.keys, self.index[:, :k], self.compared[:, :k])


Weights = Callable[[Retrieved], Tensor]
"""Weights [r k] of the retrieved keys, with sum 1 for each query."""


def uniform(retrieved: Retrieved) -> Tensor:
    """All alike."""
    return torch.full_like(retrieved.compared, 1 / retrieved.compared.shape[1])


def inverse_distance(retrieved: Retrieved) -> Tensor:
    """One over the distance that the comparison gave.

    Distances below 1e-6 of their mean count as that: a training spot that is seen again outweighs all others.
    """
    distance = retrieved.compared
    floor = 1e-6 * distance.mean(1, keepdim=True) + 1e-12
    weight = floor / torch.maximum(distance, floor)
    return weight / weight.sum(1, keepdim=True)


def gaussian(retrieved: Retrieved) -> Tensor:
    """exp(-squared Euclidean distance), whatever the comparison was."""
    distance = retrieved.keys[retrieved.index] - retrieved.queries[:, None]  # [r k c]
    return softmax(-distance.square().sum(2), dim=1)


@dataclass(frozen=True)
class Retrieval:
    """Compare, take the nearest, weigh, average.

    Attributes
    ----------
    comparison
        How queries are compared with keys.
    weights
        How much each retrieved key counts.
    counts_keys
        Whether arrays as wide as the keys [r k c] count in the bound of memory, beside those as wide as the values
        [r k g]: true where `weights` gathers the retrieved keys.
    """

    comparison: Comparison
    weights: Weights
    counts_keys: bool = False

    def means(
        self,
        inputs: Tensor,
        keys: Tensor,
        values: Tensor,
        numbers: Sequence[int],
        *,
        embed: Callable[[Tensor], Tensor] | None = None,
    ) -> Tensor:
        """Mean values for each number of nearest keys: [n s g]. No array of queries x keys is ever whole.

        Parameters
        ----------
        inputs
            [s f], one row for each query.
        keys
            [m c].
        values
            [m g], the values of the keys.
        numbers
            How many keys to average over (n of them); more than there are keys means all keys.
        embed
            Makes queries [r c] of some of the inputs [r f]; none: the inputs are the queries.
        """
        k_largest = min(max(numbers), len(keys))
        widest = max(values.shape[1], keys.shape[1]) if self.counts_keys else values.shape[1]
        means = values.new_empty(len(numbers), len(inputs), values.shape[1])
        for rows in row_blocks(len(inputs), budget=_ENTRIES, per_row=max(len(keys), k_largest * widest)):
            queries = inputs[rows] if embed is None else embed(inputs[rows])
            retrieved = self._nearest(queries, keys, k_largest)
            for number, k in enumerate(numbers):
                some = retrieved.first(k)
                means[number, rows] = torch.einsum("sk,skg->sg", self.weights(some), values[some.index])
        return means

    def _nearest(self, queries: Tensor, keys: Tensor, k: int) -> Retrieved:
        compared, index = self.comparison.compute(queries, keys).topk(k, dim=1, largest=self.comparison.largest)
        return Retrieved(queries, keys, index, compared)
