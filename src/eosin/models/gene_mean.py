"""The mean of each gene over the training spots, everywhere: what a model must beat to have used the image at all."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from eosin.config import Settings
from eosin.models.base import MODELS, ModelEntry, Solved, Training
from eosin.models.parts.pieces import Hop
from eosin.types import Batch, GenePanel


class GeneMeanSettings(Settings):
    """Nothing to set."""


class GeneMean(Solved):
    """The same value of a gene at every spot, so its correlations are undefined, and counted as such; one draw."""

    def __init__(self, settings: GeneMeanSettings, n_features: int, panel: GenePanel):
        del settings, n_features
        self.mean = np.zeros(len(panel), dtype=np.float32)

    @property
    def reach(self) -> tuple[Hop, ...]:
        """A spot by itself."""
        return ()

    @property
    def reads_rows(self) -> bool:
        """True: features are not looked at."""
        return True

    def solve(self, training: Training) -> None:
        """Take the mean of each gene."""
        self.mean = training.target.mean(0, dtype=np.float64).astype(np.float32)

    def draw(self, context: Batch, n_draws: int, rng: torch.Generator) -> Tensor:
        """[1 s g]."""
        return torch.from_numpy(self.mean).expand(1, len(context), -1)

    def arrays(self) -> dict[str, Tensor]:
        """The means."""
        return {"mean": torch.from_numpy(self.mean)}

    def load_arrays(self, arrays: Mapping[str, Tensor]) -> None:
        """Take what `arrays` gave."""
        self.mean = arrays["mean"].numpy()

    @property
    def n_parameters(self) -> int:
        """One number per gene."""
        return self.mean.size


MODELS.add("gene-mean", ModelEntry(GeneMean, GeneMeanSettings, "training mean of each gene", "none: the floor"))
