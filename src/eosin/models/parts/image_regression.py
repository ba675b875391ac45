"""A regression on features whose network also sees each spot's tile: what TRIPLEX and HisToGene have in common there.

Scales, principal components and the base see the features without the pixels; the tiles go to the network as bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Protocol, cast

import torch
from torch import Tensor

from eosin.models.base import Learned, Training
from eosin.models.parts.image_branch import PixelColumns, turn_at_random
from eosin.models.parts.regression import RegressionContext, RegressionModel
from eosin.types import Batch


class ImageNetwork(Protocol):
    """What this needs of a network beside what a regression needs."""

    def observe_tiles(self, tiles: Tensor) -> None:
        """See some of the training tiles [s px px 3] once before the first step."""
        ...

    def with_tiles(self, geometry: Any, tiles: Tensor) -> Any:
        """The geometry of the same spots, now with their tiles."""
        ...


class ImageRegression(Learned):
    """A regression with the tiles handed to its network.

    Parameters
    ----------
    regression
        Of the features without pixels; its network is an `ImageNetwork`.
    turns
        Show each tile in training by a random one of its eight symmetries.
    """

    def __init__(self, regression: RegressionModel, columns: PixelColumns, *, turns: bool):
        super().__init__()
        self.regression, self.columns, self.turns = regression, columns, turns

    @property
    def network(self) -> ImageNetwork:
        """The network that sees the tiles."""
        return cast(ImageNetwork, self.regression.network)

    @property
    def trains_on_rows(self) -> bool:
        """Where the regression does."""
        return self.regression.trains_on_rows

    def observe(self, training: Training) -> None:
        """Fit the regression to the features, and show the network the tiles."""
        self.columns.check(training.batch.features)
        self.regression.observe(replace(training, batch=self.columns.rest(training.batch)))
        self.network.observe_tiles(self.columns.some_tiles(training.batch))

    def prepare(self, batch: Batch) -> tuple[RegressionContext, Tensor]:
        """The regression's context, and tiles [s px px 3] of bytes."""
        return self.regression.prepare(self.columns.rest(batch)), self.columns.tiles(batch)

    def loss(self, context: tuple[RegressionContext, Tensor], target: Tensor, rng: torch.Generator) -> Tensor:
        """The regression's loss with these tiles, turned at random where asked for."""
        seen, tiles = context
        tiles = turn_at_random(tiles, rng) if self.turns else tiles
        return self.regression.loss(self._with(seen, tiles), target, rng)

    @torch.no_grad()
    def draw(self, context: tuple[RegressionContext, Tensor], n_draws: int, rng: torch.Generator) -> Tensor:
        """The regression's answer [1 s g] with these tiles."""
        return self.regression.draw(self._with(*context), n_draws, rng)

    def _with(self, seen: RegressionContext, tiles: Tensor) -> RegressionContext:
        return replace(seen, geometry=self.network.with_tiles(seen.geometry, tiles))

    def remarks(self, batch: Batch) -> dict[str, Any]:
        """The regression's."""
        return self.regression.remarks(self.columns.rest(batch))

    def arrays(self) -> dict[str, Tensor]:
        """The regression's; the tiles' columns are in the settings."""
        return self.regression.arrays()

    def load_arrays(self, arrays: Mapping[str, Tensor]) -> None:
        """Take back what `arrays` gave."""
        self.regression.load_arrays(arrays)

    @property
    def n_parameters(self) -> int:
        """Trainable numbers of the regression and its network."""
        return self.regression.n_parameters
