"""Nearest neighbours among the training spots, by the features of a frozen encoder (Stem, table 9).

The mean expression of the training spots that look most alike. Nothing is learned but the scale of the features and
how many neighbours to ask. The paper compares encoders this way and says neither the distance nor the number:
preset `paper` takes those of BLEEP, which it names as the model (cosine, 50, features as they are). By default eosin
standardises and reduces the features, and chooses the number by inner cross-validation that keeps groups whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from eosin.config import Settings
from eosin.errors import EosinError
from eosin.models.base import MODELS, MOST_IN_MEMORY, ModelEntry, Solved, Training
from eosin.models.parts.choose import choose
from eosin.models.parts.named_arrays import below, under
from eosin.models.parts.pieces import Hop
from eosin.models.parts.retrieval import (
    COSINE_DISTANCE,
    EUCLIDEAN_DISTANCE,
    Comparison,
    Retrieval,
    Weights,
    inverse_distance,
    uniform,
)
from eosin.models.parts.scaling import InputMap
from eosin.types import Batch, GenePanel


class KNNSettings(Settings):
    """What makes spots alike, and over how many of them to average."""

    n_neighbours: tuple[int, ...] = Field(
        (5, 10, 20, 50, 100),
        description="numbers of neighbours to choose from; a single one is used as it is",
    )
    metric: Literal["cosine", "euclidean"] = Field("euclidean", description="what makes two spots look alike")
    weights: Literal["uniform", "distance"] = Field(
        "distance", description="'distance' weighs a neighbour by one over its distance"
    )
    standardise: bool = Field(True, description="standardise the features; False takes them as the encoder gives them")
    n_components: int | None = Field(
        None, ge=1, description="principal components of the standardised features; none: all features"
    )


_METRICS: dict[str, Comparison] = {"cosine": COSINE_DISTANCE, "euclidean": EUCLIDEAN_DISTANCE}
_WEIGHTS: dict[str, Weights] = {"uniform": uniform, "distance": inverse_distance}


class KNN(Solved):
    """Features -> mean expression of the training spots with the nearest features; one draw."""

    def __init__(self, settings: KNNSettings, n_features: int, panel: GenePanel):
        if not settings.n_neighbours or min(settings.n_neighbours) < 1:
            raise EosinError("n_neighbours must name numbers of at least 1", fix="give them as [10, 20]")
        self.settings = settings
        self.retrieval = Retrieval(_METRICS[settings.metric], _WEIGHTS[settings.weights])
        self.inputs = InputMap(n_features, settings.n_components if settings.standardise else None)
        self.k = settings.n_neighbours[0]
        self.keys = torch.zeros(1, self.inputs.n_out)
        self.values = torch.zeros(1, len(panel))

    @property
    def reach(self) -> tuple[Hop, ...]:
        """A spot by itself."""
        return ()

    @property
    def most_spots(self) -> int:
        """Of a cohort on disk some spots are taken into memory."""
        return MOST_IN_MEMORY

    def solve(self, training: Training) -> None:
        """Choose the number of neighbours, and keep the features and expression of all training spots."""
        features, target, numbers = training.batch.features, training.target, self.settings.n_neighbours

        def predict_all(inside: np.ndarray, outside: np.ndarray) -> Iterable[np.ndarray]:
            self._remember(features[inside], target[inside])
            return self._means(features[outside], numbers).numpy()

        self.k = choose(training, numbers, predict_all)
        self._remember(features, target)

    def _remember(self, features: np.ndarray, target: np.ndarray) -> None:
        if self.settings.standardise:
            self.inputs.observe(features)
        self.keys = self.inputs(torch.from_numpy(features))
        self.values = torch.from_numpy(np.ascontiguousarray(target, dtype=np.float32))

    def _means(self, features: np.ndarray, numbers: tuple[int, ...]) -> Tensor:
        """[n s g]: for each number of neighbours the weighted mean of their expression."""
        return self.retrieval.means(self.inputs(torch.from_numpy(features)), self.keys, self.values, numbers)

    def draw(self, context: Batch, n_draws: int, rng: torch.Generator) -> Tensor:
        """[1 s g]; memory is linear in spots."""
        return self._means(context.features, (self.k,))

    def arrays(self) -> dict[str, Tensor]:
        """Mapped features and expression of the training spots, the chosen number, and the map of features."""
        own = {"keys": self.keys, "values": self.values, "k": torch.tensor([self.k])}
        return own | under("inputs.", self.inputs.state_dict())

    def load_arrays(self, arrays: Mapping[str, Tensor]) -> None:
        """Take what `arrays` gave."""
        self.keys, self.values, self.k = arrays["keys"], arrays["values"], int(arrays["k"])
        self.inputs.load_state_dict(below("inputs.", arrays))

    @property
    def n_parameters(self) -> int:
        """Everything that is remembered of the training spots."""
        return self.keys.numel() + self.values.numel()


MODELS.add(
    "knn",
    ModelEntry(
        KNN,
        KNNSettings,
        "mean expression of the training spots that look most alike",
        "Stem, table 9 (Zhu et al., ICLR 2025)",
        presets={
            "paper": {
                "model": {"n_neighbours": (50,), "metric": "cosine", "weights": "uniform", "standardise": False},
            },
            "small": {},
        },
    ),
)
