"""Random forest on frozen features: the probe behind the names "UNI", "GigaPath", "Ciga" in STFlow's tables.

70 trees on the encoder's vectors as they are (HEST offers the same probe). scikit-learn grows the trees. They are kept
as plain arrays and read by `Trees`, so that a checkpoint needs neither scikit-learn nor pickle.

Where eosin differs: the publications grow one forest per gene on a GPU, with depth 16 and binned features; the
default here is one forest for all genes, whose leaves hold a mean per gene. That is as many times faster as there are
genes, and correlated genes share their splits. Preset `paper` grows one per gene, to depth 16, without bins.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from eosin.config import Settings
from eosin.models.base import MODELS, MOST_IN_MEMORY, ModelEntry, Solved, Training
from eosin.models.parts.pieces import Hop
from eosin.row_blocks import row_blocks
from eosin.types import Batch, GenePanel

_ROWS = 4096  # spots that are taken down the trees at once


class ForestSettings(Settings):
    """How many trees, for which genes, and how they grow."""

    n_trees: int = Field(70, ge=1, description="trees; for each gene, where every gene has its own")
    per_gene: bool = Field(False, description="grow a forest for every gene instead of one for all")
    max_depth: int | None = Field(None, ge=1, description="deepest a tree may grow; none: until leaves are small")
    min_leaf: int = Field(5, ge=1, description="fewest training spots in a leaf")
    max_features: float = Field(0.1, gt=0, le=1, description="share of the features that a split chooses from")


@dataclass(frozen=True)
class Trees:
    """Grown trees as arrays over the nodes [n] of all of them, one after another.

    Attributes
    ----------
    roots
        [h t] int64: first node of each of the t trees of each of the h forests.
    left, right
        [n] int32: the node to go to, at most and above the threshold; at a leaf both are the leaf itself.
    feature
        [n] int32: the feature that is compared with the threshold; 0 at a leaf.
    threshold
        [n] float64; infinite at a leaf.
    leaf
        [n] int32: row of `values` at a leaf, -1 elsewhere.
    values
        [l w] float32: mean expression of the spots of each leaf; forest i gives the genes i w to (i + 1) w.
    """

    roots: np.ndarray
    left: np.ndarray
    right: np.ndarray
    feature: np.ndarray
    threshold: np.ndarray
    leaf: np.ndarray
    values: np.ndarray

    @classmethod
    def of(cls, forests: Sequence[Any]) -> Trees:
        """The trees of fitted scikit-learn forests (`RandomForestRegressor`), in order."""
        roots, parts, first_node, first_leaf = [], [], 0, 0
        for tree in (member.tree_ for forest in forests for member in forest.estimators_):
            is_leaf, own = tree.children_left < 0, np.arange(tree.node_count)
            parts.append(
                (
                    np.where(is_leaf, own, tree.children_left) + first_node,
                    np.where(is_leaf, own, tree.children_right) + first_node,
                    np.where(is_leaf, 0, tree.feature),
                    np.where(is_leaf, np.inf, tree.threshold),
                    np.where(is_leaf, np.cumsum(is_leaf) - 1 + first_leaf, -1),
                    tree.value[is_leaf, :, 0].astype(np.float32),
                )
            )
            roots.append(first_node)
            first_node, first_leaf = first_node + tree.node_count, first_leaf + int(is_leaf.sum())
        left, right, feature, threshold, leaf, values = (np.concatenate(part) for part in zip(*parts))
        left, right, feature, leaf = (a.astype(np.int32) for a in (left, right, feature, leaf))
        return cls(np.array(roots).reshape(len(forests), -1), left, right, feature, threshold, leaf, values)

    @classmethod
    def none(cls, n_genes: int) -> Trees:
        """A single leaf of value 0 for every gene."""
        zero = np.zeros(1, dtype=np.int32)
        roots, values = np.zeros((1, 1), dtype=np.int64), np.zeros((1, n_genes), dtype=np.float32)
        return cls(roots, zero, zero, zero, np.array([np.inf]), zero, values)

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Mean over trees [s g] for features [s f] float32."""
        return np.concatenate([self._predict(x[rows]) for rows in row_blocks(len(x), budget=_ROWS)])

    def _predict(self, x: np.ndarray) -> np.ndarray:
        forests = []
        rows = np.arange(len(x))
        for roots in self.roots:
            total = np.zeros((len(x), self.values.shape[1]))
            for root in roots:
                total += self.values[self.leaf[self._walk(x, rows, root)]]
            forests.append(total / len(roots))
        return np.concatenate(forests, 1)

    def _walk(self, x: np.ndarray, rows: np.ndarray, root: np.integer) -> np.ndarray:
        """The leaf of one tree that each spot ends in."""
        node = np.full(len(x), root)
        while (inner := self.leaf[node] < 0).any():
            low = x[rows[inner], self.feature[node[inner]]] <= self.threshold[node[inner]]
            node[inner] = np.where(low, self.left[node[inner]], self.right[node[inner]])
        return node


class Forest(Solved):
    """Features -> mean over trees; one draw."""

    def __init__(self, settings: ForestSettings, n_features: int, panel: GenePanel):
        del n_features
        self.settings = settings
        self.seed = int(torch.randint(2**31 - 1, (1,)))  # torch's global state carries the run's seed
        self.trees = Trees.none(len(panel))

    @property
    def reach(self) -> tuple[Hop, ...]:
        """A spot by itself."""
        return ()

    @property
    def most_spots(self) -> int:
        """Of a cohort on disk some spots are taken into memory."""
        return MOST_IN_MEMORY

    def solve(self, training: Training) -> None:
        """Grow the trees by scikit-learn, and keep them as arrays."""
        s, target = self.settings, training.target.astype(np.float64)
        columns = np.split(target, target.shape[1], axis=1) if s.per_gene else [target]
        self.trees = Trees.of([self._grow(training.batch.features, column) for column in columns])

    def _grow(self, x: np.ndarray, y: np.ndarray) -> Any:
        from sklearn.ensemble import RandomForestRegressor

        s = self.settings
        forest = RandomForestRegressor(
            s.n_trees,
            max_depth=s.max_depth,
            min_samples_leaf=s.min_leaf,
            max_features=s.max_features,
            random_state=self.seed,
            n_jobs=torch.get_num_threads(),
        )
        return forest.fit(x, y if y.shape[1] > 1 else y[:, 0])

    def draw(self, context: Batch, n_draws: int, rng: torch.Generator) -> Tensor:
        """[1 s g]."""
        return torch.from_numpy(self.trees.predict(context.features).astype(np.float32))[None]

    def arrays(self) -> dict[str, Tensor]:
        """The fields of `Trees`."""
        return {f.name: torch.from_numpy(np.ascontiguousarray(getattr(self.trees, f.name))) for f in fields(Trees)}

    def load_arrays(self, arrays: Mapping[str, Tensor]) -> None:
        """Take what `arrays` gave."""
        self.trees = Trees(**{f.name: arrays[f.name].numpy() for f in fields(Trees)})

    @property
    def n_parameters(self) -> int:
        """A feature and a threshold for each split, and the values of the leaves."""
        return 2 * int((self.trees.leaf < 0).sum()) + self.trees.values.size


MODELS.add(
    "forest",
    ModelEntry(
        Forest,
        ForestSettings,
        "random forest on frozen features",
        "HEST-1k (Jaume et al., NeurIPS 2024); STFlow (Huang et al., ICML 2025)",
        presets={
            "paper": {"model": {"per_gene": True, "max_depth": 16, "min_leaf": 1, "max_features": 1.0}},
            "small": {},
        },
    ),
)
