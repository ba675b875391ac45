"""Nearest neighbours among the training spots, by the features of a frozen encoder (Stem, table 9).

The mean expression of the training spots that look most alike. Nothing is learned but the scale of the features and
how many neighbours to ask. The paper compares encoders this way and says neither the distance nor the number:
preset `paper` takes those of BLEEP, which it names as the model (cosine, 50, features as they are). By default eosin
standardises and reduces the features, and chooses the number by inner cross-validation that keeps groups whole.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor
from torch.nn.functional import normalize

from eosin.config import Settings
from eosin.errors import EosinError
from eosin.models.base import MODELS, ModelEntry, Solved, Training
from eosin.models.parts.choose import mean_correlation
from eosin.models.parts.scaling import InputMap
from eosin.models.ridge import folds
from eosin.types import Batch, GenePanel

_ENTRIES = 1 << 24  # of a distance matrix held at once: 64 MiB


class KNNSettings(Settings):
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


Distance = Callable[[Tensor, Tensor], Tensor]


def _cosine(x: Tensor, keys: Tensor) -> Tensor:
    return 1 - normalize(x, dim=1) @ normalize(keys, dim=1).T


def _euclidean(x: Tensor, keys: Tensor) -> Tensor:
    return torch.cdist(x, keys)


def _alike(distance: Tensor) -> Tensor:
    return torch.ones_like(distance)


def _near(distance: Tensor) -> Tensor:
    floor = 1e-6 * distance.mean(1, keepdim=True) + 1e-12  # a training spot seen again outweighs all others
    return floor / torch.maximum(distance, floor)


_METRICS: dict[str, Distance] = {"cosine": _cosine, "euclidean": _euclidean}
_WEIGHTS: dict[str, Callable[[Tensor], Tensor]] = {"uniform": _alike, "distance": _near}


class KNN(Solved):
    """Looks -> expression of the training spots that look most alike; one draw."""

    def __init__(self, settings: KNNSettings, n_features: int, panel: GenePanel):
        if not settings.n_neighbours or min(settings.n_neighbours) < 1:
            raise EosinError("n_neighbours must name numbers of at least 1", fix="give them as [10, 20]")
        self.settings = settings
        self.distance, self.weigh = _METRICS[settings.metric], _WEIGHTS[settings.weights]
        self.inputs = InputMap(n_features, settings.n_components if settings.standardise else None)
        self.k = settings.n_neighbours[0]
        self.keys = torch.zeros(1, self.inputs.n_out)
        self.values = torch.zeros(1, len(panel))

    def solve(self, training: Training) -> None:
        self.k = self._choose(training)
        self._remember(training.batch.features, training.target)

    def _remember(self, features: np.ndarray, target: np.ndarray) -> None:
        if self.settings.standardise:
            self.inputs.observe(features)
        self.keys = self.inputs(torch.from_numpy(features))
        self.values = torch.from_numpy(np.ascontiguousarray(target, dtype=np.float32))

    def _choose(self, training: Training) -> int:
        """The number of the highest mean correlation over held-out groups; the middle one if there is one group."""
        numbers = self.settings.n_neighbours
        if len(numbers) == 1 or len(np.unique(training.groups)) < 2:
            return numbers[len(numbers) // 2]
        guesses = np.zeros((len(numbers), *training.target.shape), dtype=np.float32)
        for inside, outside in folds(training.groups):
            self._remember(training.batch.features[inside], training.target[inside])
            guesses[:, outside] = self._mean_of(training.batch.features[outside], numbers).numpy()
        return numbers[int(np.argmax([mean_correlation(training, guesses[i]) for i in range(len(numbers))]))]

    def _mean_of(self, features: np.ndarray, numbers: tuple[int, ...]) -> Tensor:
        """[n s g]: for each number of neighbours the weighted mean of their expression. Memory is linear in spots."""
        x = self.inputs(torch.from_numpy(features))
        most = min(max(numbers), len(self.keys))
        rows = max(1, min(_ENTRIES // len(self.keys), _ENTRIES // (most * self.values.shape[1])))
        out = x.new_empty(len(numbers), len(x), self.values.shape[1])
        for start in range(0, len(x), rows):
            distance = self.distance(x[start : start + rows], self.keys)
            near, index = distance.topk(most, dim=1, largest=False)
            for number, k in enumerate(numbers):
                weight = self.weigh(near[:, :k])
                weight = weight / weight.sum(1, keepdim=True)
                out[number, start : start + rows] = torch.einsum("sk,skg->sg", weight, self.values[index[:, :k]])
        return out

    def draw(self, context: Batch, n_draws: int, rng: torch.Generator) -> Tensor:
        return self._mean_of(context.features, (self.k,))

    def arrays(self) -> dict[str, Tensor]:
        own = {"keys": self.keys, "values": self.values, "k": torch.tensor([self.k])}
        return own | {f"inputs.{name}": value for name, value in self.inputs.state_dict().items()}

    def load_arrays(self, arrays: Mapping[str, Tensor]) -> None:
        self.keys, self.values, self.k = arrays["keys"], arrays["values"], int(arrays["k"])
        inputs = {k.removeprefix("inputs."): v for k, v in arrays.items() if k.startswith("inputs.")}
        self.inputs.load_state_dict(inputs)

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
