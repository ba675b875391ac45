"""Tiles seen flipped and turned in training, as in Stem (Zhu et al., ICLR 2025): tissue has no upright.

The features of the seven turns were encoded beforehand. Positions, expression and the base's prediction stay.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from torch import Tensor

from eosin.errors import EosinError
from eosin.models.parts.named_arrays import json_array, json_of
from eosin.types import Batch


class Turning:
    """Chooses anew in every step which spots are seen turned, and how; from a random stream of its own.

    Parameters
    ----------
    batch
        All training spots.
    share
        Chance of a spot to be seen under one of the seven turns, 0 to 1. At 0 nothing is drawn and nothing changes.
    seed
        Of the training run.

    Raises
    ------
    EosinError
        A share above 0, and not all spots have turned features.
    """

    def __init__(self, batch: Batch, share: float, seed: int):
        self.upright, self.turned, self.share = replace(batch, turned=None), batch.turned, share
        self.rng = np.random.default_rng([seed, 4])
        if share > 0 and batch.turned is None:
            raise EosinError(
                f"train.augment is {share:g}, but not all training sections have features of their tiles turned",
                fix="encode them with --symmetries, or leave --train.augment at 0",
            )

    def regions(self, rows: Sequence[np.ndarray]) -> Batch:
        """The regions of some rows each, as one batch; chosen spots have the features of their tile turned."""
        seen = self.upright.regions(rows).in_memory()  # a copy
        if self.share > 0 and self.turned is not None:
            spots = np.flatnonzero(self.rng.random(len(seen)) < self.share)
            turns = self.rng.integers(self.turned.shape[1], size=len(spots))
            seen.features[spots] = self.turned[np.concatenate(rows)[spots], turns]
        return seen

    def pass_over(self, n_spots: int) -> None:
        """Draw for so many spots, which another process sees."""
        if self.share > 0 and self.turned is not None:
            chosen = self.rng.random(n_spots) < self.share
            self.rng.integers(self.turned.shape[1], size=int(chosen.sum()))

    def state(self) -> Tensor:
        """The state of its random stream, as bytes."""
        return json_array(self.rng.bit_generator.state)

    def restore(self, state: Tensor) -> None:
        """Continue the random stream from a `state`."""
        self.rng.bit_generator.state = json_of(state)
