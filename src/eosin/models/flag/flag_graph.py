"""FLAG's graph of spots: neighbourhoods and fixed edges.

A neighbourhood is a list of rows per spot, itself first. Memory is spots times the longest list, whether the lists are
nearest neighbours or all spots of a block, so that it is linear in the spots of a slide.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize

from eosin.geometry import Neighbours, neighbours
from eosin.types import Batch


class Neighbourhood(ABC):
    """Which spots see one another."""

    @abstractmethod
    def of(self, xy_um: np.ndarray, starts: np.ndarray) -> Neighbours:
        """The other spots that each spot sees, never those of another part."""


@dataclass(frozen=True)
class Nearest(Neighbourhood):
    """The k nearest spots, none of them beyond `reach_um`: no seams, the same wherever the section begins."""

    k: int
    reach_um: float | None = None

    def of(self, xy_um: np.ndarray, starts: np.ndarray) -> Neighbours:
        """The k nearest of the same part; fewer are valid where a part has no more."""
        return neighbours(xy_um, self.k, starts=starts, reach_um=self.reach_um)


class Alone(Neighbourhood):
    """Nobody: every spot by itself."""

    def of(self, xy_um: np.ndarray, starts: np.ndarray) -> Neighbours:
        """Lists without entries."""
        none = np.zeros((len(xy_um), 0), dtype=np.int64)
        return Neighbours(none, none.astype(bool))


@dataclass(frozen=True)
class Blocks(Neighbourhood):
    """All spots of one square; squares begin at the part's own corner, and crowded ones are cut in two.

    FLAG cuts slides into squares of 2048 px from the slide's origin. From the corner of the spots instead, a margin
    of empty glass changes nothing. A square of more than `most` spots is cut at the median of its longer side, until
    all pieces are small enough: high-density platforms have tens of thousands of spots in a square.
    """

    size_um: float
    most: int = 512

    def of(self, xy_um: np.ndarray, starts: np.ndarray) -> Neighbours:
        """The others of the same block; blocks never cross parts."""
        blocks = [rows + a for a, b in pairwise(starts) for rows in self._cut(xy_um[a:b])]
        width = max((len(rows) for rows in blocks), default=1) - 1
        index = np.repeat(np.arange(len(xy_um))[:, None], width, axis=1)
        valid = np.zeros_like(index, dtype=bool)
        for rows in blocks:
            m = len(rows)
            others = np.broadcast_to(rows, (m, m))[~np.eye(m, dtype=bool)].reshape(m, m - 1)
            index[rows, : m - 1], valid[rows, : m - 1] = others, True
        return Neighbours(index, valid)

    def _cut(self, xy: np.ndarray) -> list[np.ndarray]:
        if len(xy) == 0:
            return []
        square = np.floor(np.round((xy - xy.min(0)) / self.size_um, 9)).astype(np.int64)
        _, label = np.unique(square, axis=0, return_inverse=True)
        order = np.argsort(label.reshape(-1), kind="stable")
        waiting = np.split(order, np.cumsum(np.bincount(label.reshape(-1)))[:-1])
        done = []
        while waiting:
            rows = waiting.pop()
            if len(rows) <= self.most:
                done.append(np.sort(rows))
                continue
            axis = int(np.argmax(np.ptp(xy[rows], axis=0)))
            sides = rows[np.lexsort((rows, xy[rows, axis]))]
            waiting += [sides[: len(sides) // 2], sides[len(sides) // 2 :]]
        return done


@dataclass
class Graph:
    """One prepared batch as the networks see it; n counts the spot itself and the others it sees."""

    features: Tensor  # [s f]
    index: Tensor  # [s n] rows; column 0 is the spot itself
    valid: Tensor  # [s n] bool
    edges: Tensor  # [s n 2] distance kernel and cosine of features (equations 58 and 59)
    pooled: Tensor  # [s f+2] mean features of the neighbourhood, and mean of its edges
    part: Tensor  # [s]
    pair: Tensor | None = None  # [s n] number of the unordered pair, where edges are diffused
    n_pairs: int = 0

    def __len__(self) -> int:
        return len(self.features)

    @property
    def others(self) -> Tensor:
        """[s n] bool: real neighbours, without the spot itself."""
        mask = self.valid.clone()
        mask[:, 0] = False
        return mask

    def symmetric(self, values: Tensor) -> Tensor:
        """[.. s n] each edge's value -> the mean over both directions of its pair, 0 at invalid ones and itself."""
        assert self.pair is not None
        flat, here = self.pair.flatten(), self.others.flatten().to(values.dtype)
        total = values.new_zeros(*values.shape[:-2], self.n_pairs).index_add(-1, flat, values.flatten(-2) * here)
        count = here.new_zeros(self.n_pairs).index_add(0, flat, here).clamp(min=1)
        return (total / count)[..., flat].unflatten(-1, self.pair.shape) * self.others


@dataclass(frozen=True)
class GraphBuilder:
    """Batch -> Graph.

    Attributes
    ----------
    length_um
        The distance kernel is exp(-d^2 / (2 length_um^2)).
    pairs
        Also number the unordered pairs, for edges that are diffused.
    pool_all
        Pool all edges among the spots that a spot sees, in a block those of the whole block; else its own edges only.
    """

    neighbourhood: Neighbourhood
    length_um: float
    pairs: bool = False
    pool_all: bool = False

    def build(self, batch: Batch, features: Tensor) -> Graph:
        """The graph of a batch, beside its inputs `features` [s f] and on their device."""
        around = self.neighbourhood.of(batch.xy_um, batch.starts)
        own = np.arange(len(batch))[:, None]
        index = np.concatenate([own, around.index], 1)
        valid = np.concatenate([np.ones_like(own, dtype=bool), around.valid], 1)
        offset = batch.xy_um[index] - batch.xy_um[:, None]
        kernel = np.exp(-np.square(offset).sum(-1) / (2 * self.length_um**2)) * valid
        device = features.device
        rows, mask = torch.from_numpy(index).to(device), torch.from_numpy(valid).to(device)
        cosine, mean = _compare(features, rows, mask)
        edges = torch.stack([torch.from_numpy(kernel.astype(np.float32)).to(device), cosine], -1)
        total, count = edges.sum(1), mask.sum(1, keepdim=True)
        if self.pool_all:
            total, count = ((of_spot[rows] * mask[..., None]).sum(1) for of_spot in (total, count))
        part = torch.from_numpy(batch.part_of_spot()).to(device)
        graph = Graph(features, rows, mask, edges, torch.cat([mean, total / count], -1), part)
        if self.pairs:
            graph.pair, graph.n_pairs = _number_pairs(index, device)
        return graph


def _compare(features: Tensor, index: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
    """Cosine [s n] of each spot with its neighbours (0 where invalid) and their mean features [s f].

    Neighbour by neighbour: [s n f] at once would be the largest array of all.
    """
    direction = normalize(features, dim=-1)
    cosine = features.new_zeros(index.shape)
    total = torch.zeros_like(features)
    for j in range(index.shape[1]):
        here = valid[:, j]
        cosine[:, j] = (direction * direction[index[:, j]]).sum(-1) * here
        total += features[index[:, j]] * here[:, None]
    return cosine, total / valid.sum(1, keepdim=True)


def _number_pairs(index: np.ndarray, device: torch.device) -> tuple[Tensor, int]:
    own = np.arange(len(index))[:, None]
    key = np.minimum(own, index) * len(index) + np.maximum(own, index)
    unique, number = np.unique(key, return_inverse=True)
    return torch.from_numpy(number.reshape(key.shape)).to(device), len(unique)
