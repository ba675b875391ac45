"""Random connected regions of sections: what one training step sees (STFlow, appendix A)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy.spatial import cKDTree

from eosin.types import Batch


class Regions:
    """Draws regions from a training batch; a region is a random spot and a random share of its nearest spots.

    Parameters
    ----------
    batch
        Training spots of all sections.
    rows
        The spots to draw from, as rows of the batch.
    min_share
        Smallest share of a section's spots in a region, 0 to 1.
    most
        Spots in a region at most, however large its share of a section would be.
    """

    def __init__(self, batch: Batch, rows: np.ndarray, min_share: float, most: int):
        part = batch.part_of_spot()[rows]
        self.rows = [rows[part == p] for p in np.unique(part)]  # per section, as rows of the batch
        self.trees = [cKDTree(batch.xy_um[r]) for r in self.rows]
        self.min_share, self.most = min_share, most

    def draw(self, section: int, rng: np.random.Generator) -> np.ndarray:
        """Rows of the batch that form one region of one section."""
        tree, rows = self.trees[section], self.rows[section]
        share = rng.uniform(self.min_share, 1.0)
        n = min(max(2, int(share * len(rows))), len(rows), self.most)
        centre = tree.data[rng.integers(len(rows))]
        return rows[np.sort(np.atleast_1d(tree.query(centre, k=n)[1]))]

    def epoch(self, per_section: int, per_step: int, rng: np.random.Generator) -> Iterator[list[np.ndarray]]:
        """One pass: `per_section` regions of every section, shuffled, `per_step` at a time."""
        order = rng.permutation(np.repeat(np.arange(len(self.rows)), per_section))
        for start in range(0, len(order), per_step):
            yield [self.draw(int(section), rng) for section in order[start : start + per_step]]

    def n_steps(self, per_section: int, per_step: int) -> int:
        """Steps in one pass of `epoch` with these numbers."""
        return -(-len(self.rows) * per_section // per_step)
