"""Sums over spots that most metrics are made of, gathered some spots at a time.

Tables [s g] may be larger than the memory (files without a name, see `eosin.storage.scratch`): they are read by blocks
of rows, and sums of blocks are joined without loss of digits (Chan, Golub & LeVeque 1983).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property, reduce

import numpy as np

from eosin.row_blocks import row_blocks
from eosin.storage.scratch import let_go

CONSTANT = 1e-6
"""A gene is constant where its sd is at most this share of its largest size: float32 draws cannot say less."""
VALUES_AT_ONCE = 1 << 20
"""Values of all tables that are looked at together, in float64: 8 MB."""


def table_blocks(*tables: np.ndarray, only: np.ndarray | None = None) -> Iterator[tuple[slice, list[np.ndarray]]]:
    """Rows, and those rows of each table [s g] in float64; tables that lie on disk are let go of after each block.

    `only` are the numbers of the rows to read, all by default; the slices are then of these.
    """
    n_values = sum(table.shape[1] for table in tables)
    for rows in row_blocks(len(tables[0]) if only is None else len(only), budget=VALUES_AT_ONCE, per_row=n_values):
        index = rows if only is None else only[rows]
        yield rows, [np.asarray(table[index], dtype=np.float64) for table in tables]
        let_go(*tables)


@dataclass(frozen=True, eq=False)
class Moments:
    """Of each gene of a table: number of spots, mean, sum of squares around it, largest size.

    Attributes
    ----------
    n
        Spots.
    mean, squares, largest
        [g] each; `largest` is of values without their sign.
    """

    n: int
    mean: np.ndarray
    squares: np.ndarray
    largest: np.ndarray

    @classmethod
    def of_block(cls, values: np.ndarray) -> Moments:
        """Of a table [s g] in memory."""
        if not len(values):
            nothing = np.zeros(values.shape[1])
            return cls(0, nothing, nothing, nothing)
        mean = values.mean(axis=0)
        centred = values - mean
        return cls(len(values), mean, np.einsum("sg,sg->g", centred, centred), np.abs(values).max(axis=0))

    def __add__(self, other: Moments) -> Moments:
        """Of the spots of both."""
        n, apart = self.n + other.n, other.mean - self.mean
        share = other.n / max(n, 1)
        squares = self.squares + other.squares + apart**2 * self.n * share
        return Moments(n, self.mean + apart * share, squares, np.maximum(self.largest, other.largest))

    @cached_property
    def variance(self) -> np.ndarray:
        """[g] over spots, divided by their number; 0 without spots."""
        return self.squares / max(self.n, 1)

    @cached_property
    def constant(self) -> np.ndarray:
        """Which genes [g] do not vary beyond rounding; all of them where there are fewer than two spots."""
        if self.n < 2:
            return np.ones(len(self.mean), dtype=bool)
        return np.sqrt(self.variance) <= CONSTANT * self.largest


@dataclass(frozen=True, eq=False)
class PairMoments:
    """Of each gene of truth and prediction, row for row the same spots.

    Attributes
    ----------
    truth, predicted
        Each by itself.
    products
        [g] sum of the products of both around their means.
    squared_error, absolute_error
        [g] sums over spots.
    """

    truth: Moments
    predicted: Moments
    products: np.ndarray
    squared_error: np.ndarray
    absolute_error: np.ndarray

    @classmethod
    def of_block(cls, truth: np.ndarray, predicted: np.ndarray) -> PairMoments:
        """Of two tables [s g] in memory."""
        first, second, apart = Moments.of_block(truth), Moments.of_block(predicted), truth - predicted
        products = np.einsum("sg,sg->g", truth - first.mean, predicted - second.mean)
        return cls(first, second, products, np.einsum("sg,sg->g", apart, apart), np.abs(apart).sum(axis=0))

    def __add__(self, other: PairMoments) -> PairMoments:
        """Of the spots of both."""
        apart = (other.truth.mean - self.truth.mean) * (other.predicted.mean - self.predicted.mean)
        between = apart * self.truth.n * other.truth.n / max(self.truth.n + other.truth.n, 1)
        return PairMoments(
            self.truth + other.truth,
            self.predicted + other.predicted,
            self.products + other.products + between,
            self.squared_error + other.squared_error,
            self.absolute_error + other.absolute_error,
        )

    @cached_property
    def pearson(self) -> np.ndarray:
        """Correlation [g]; NaN where truth or prediction is constant."""
        defined = ~(self.truth.constant | self.predicted.constant)
        result = np.full(len(defined), np.nan)
        size = np.sqrt(self.truth.squares[defined]) * np.sqrt(self.predicted.squares[defined])
        result[defined] = np.clip(self.products[defined] / size, -1.0, 1.0)
        return result

    @cached_property
    def pearson_counted(self) -> np.ndarray:
        """Correlation [g] as the headline counts it: NaN where truth is constant, 0 where only the prediction is."""
        return np.where(np.isnan(self.pearson) & ~self.truth.constant, 0.0, self.pearson)


def moments(values: np.ndarray, only: np.ndarray | None = None) -> Moments:
    """`Moments` of a table [s g] of any size, of all its rows or some."""
    values = np.asarray(values)
    blocks = (Moments.of_block(block) for _, (block,) in table_blocks(values, only=only))
    return reduce(Moments.__add__, blocks, Moments.of_block(np.zeros((0, values.shape[1]))))


def pair_moments(truth: np.ndarray, predicted: np.ndarray) -> PairMoments:
    """`PairMoments` of two tables [s g] of any size."""
    truth, predicted = np.asarray(truth), np.asarray(predicted)
    if truth.ndim != 2 or truth.shape != predicted.shape:
        raise ValueError(f"truth {truth.shape} and prediction {predicted.shape} must both be [s g]")
    return pairs_together((PairMoments.of_block(t, p) for _, (t, p) in table_blocks(truth, predicted)), truth.shape[1])


def pairs_together(parts: Iterable[PairMoments], n_genes: int) -> PairMoments:
    """Of the spots of all parts."""
    nothing = np.zeros((0, n_genes))
    return reduce(PairMoments.__add__, parts, PairMoments.of_block(nothing, nothing))


def products(values: np.ndarray, genes: np.ndarray, mean: np.ndarray, factor: np.ndarray | float = 1.0) -> np.ndarray:
    """Sums over spots of products [n n] of some genes of a table [s g], each as (x - mean) x factor."""
    total = np.zeros((len(genes), len(genes)))
    for _, (block,) in table_blocks(values):
        scaled = (block[:, genes] - mean) * factor
        total += scaled.T @ scaled
    return total
