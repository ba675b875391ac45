"""ST-Net's head on frozen features: linear, from weights of zero and the training mean, by descent with momentum.

He et al. (Nature Biomedical Engineering 2020) train a DenseNet-121 with this head on top: `image_px`, and
`stnet_finetuned.py`. On a frozen encoder only the head is left: 51,250 numbers for 1024 features and 50 genes, the size
that STFlow's table gives it.

For a linear head the gradient is linear in the weights. Therefore the weights after T stochastic steps (batches drawn
with replacement) have a mean that obeys the same recursion as descent on all spots at once, and that recursion is
solved per eigenvector of the features' second moments by a power of a 3 x 3 matrix. eosin computes this mean: no
order of batches, no seed, and any number of epochs at the same cost. `tests/reference` holds it to a literal loop.

Other differences: the number of epochs is chosen by inner cross-validation that keeps groups whole (paper: 50), and
features are standardised; preset `paper` does neither. There are no symmetries: features are made once.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from eosin.config import Settings
from eosin.errors import EosinError
from eosin.models.base import MODELS, MOST_IN_MEMORY, Model, ModelEntry, Solved, Training
from eosin.models.parts.choose import choose
from eosin.models.parts.image_branch import Backbone, PixelColumns
from eosin.models.parts.pieces import Hop
from eosin.models.stnet.stnet_finetuned import FineTuned
from eosin.types import Batch, GenePanel


class STNetSettings(Settings):
    """Descent of the head on frozen features, or with `image_px` the network under it."""

    epochs: tuple[int, ...] = Field(
        (1, 2, 5, 10, 20, 50, 100, 200, 500),
        description="passes over the training spots to choose from; a single one is used as it is",
    )
    lr: float | None = Field(
        None,
        gt=0,
        description="learning rate on a batch's summed error; none: a hundredth of one over the largest curvature",
    )
    momentum: float = Field(0.9, ge=0, lt=1, description="share of the last step that is repeated")
    batch_size: int = Field(32, ge=1, description="spots in one step")
    standardise: bool = Field(True, description="standardise the features; False takes them as the encoder gives them")
    image_px: int | None = Field(
        None,
        ge=8,
        description="train an image network under the head, on tiles of so many pixels a side, which are the last "
        "features (others are not looked at), as --encoder pixels?px=224 makes them; none: frozen features",
    )
    image_backbone: str = Field("densenet121", description="convolutional network of timm for `image_px`")
    image_weights: str | None = Field(
        None, description="its .safetensors file to start from; none: at random, with statistics of training tiles"
    )
    image_turns: bool = Field(
        True, description="flip and turn the tiles of `image_px` at random in training, and average over all 8 after it"
    )


@dataclass(frozen=True)
class Descent:
    """Everything about descent on one training set but the number of epochs."""

    shift: np.ndarray  # [f]
    scale: np.ndarray  # [f]
    start: np.ndarray  # [g] the bias before the first step
    basis: np.ndarray  # [f+1 c] eigenvectors of the second moments of (features, 1)
    curvature: np.ndarray  # [c] their eigenvalues
    pull: np.ndarray  # [c g] first gradient, negated
    step: float
    steps_per_epoch: int
    momentum: float

    @classmethod
    def of(cls, x: np.ndarray, y: np.ndarray, settings: STNetSettings) -> Descent:
        """Prepare descent on features x [s f] and expression y [s g]."""
        x = x.astype(np.float64)
        shift, scale = np.zeros(x.shape[1]), np.ones(x.shape[1])
        if settings.standardise:
            shift, sd = x.mean(0), x.std(0)
            scale = np.where(sd > 1e-8 * (np.abs(shift) + 1e-8), sd, np.inf)
        z = np.concatenate([(x - shift) / scale, np.ones((len(x), 1))], 1)
        start = y.mean(0, dtype=np.float64)
        curvature, basis = np.linalg.eigh(z.T @ z / len(z))
        pull = basis.T @ (z.T @ (y - start)) / len(z)
        step = _step(settings, y.shape[1], float(curvature[-1]))
        n_steps = math.ceil(len(x) / settings.batch_size)
        return cls(shift, scale, start, basis, np.maximum(curvature, 0), pull, step, n_steps, settings.momentum)

    def after(self, epochs: int) -> tuple[np.ndarray, np.ndarray]:
        """Weights [f g] on the features as given, and bias [g]."""
        travelled = self._travelled(epochs * self.steps_per_epoch)
        weights = self.basis @ (travelled[:, None] * self.pull)
        weight = weights[:-1] / self.scale[:, None]
        return weight, self.start + weights[-1] - self.shift @ weight

    def _travelled(self, n_steps: int) -> np.ndarray:
        """The weight along each eigenvector after some steps, per unit of pull: [c].

        w' = w + momentum (w - w_before) + step (1 - curvature w), from w = w_before = 0.
        """
        update = np.zeros((len(self.curvature), 3, 3))  # of (w, w_before, 1)
        update[:, 0, 0] = 1 + self.momentum - self.step * self.curvature
        update[:, 0, 1], update[:, 0, 2] = -self.momentum, self.step
        update[:, 1, 0] = update[:, 2, 2] = 1
        return np.linalg.matrix_power(update, n_steps)[:, 0, 2]


def _step(settings: STNetSettings, n_genes: int, steepest: float) -> float:
    """What multiplies the mean of x (prediction - truth) in a step; the loss is a sum over spots, a mean over genes.

    `steepest` is the largest curvature.
    """
    if settings.lr is None:
        return 0.01 / steepest
    per_lr = 2 * settings.batch_size / n_genes
    largest = 2 * (1 + settings.momentum) / steepest / per_lr
    if settings.lr >= largest:
        raise EosinError(
            f"a learning rate of {settings.lr:g} makes the steps of 'stnet' grow without end",
            fix=f"use --model.lr below {largest:.1e}, or leave it out",
        )
    return settings.lr * per_lr


class STNet(Solved):
    """Features -> expression, linear, stopped early; one draw."""

    def __init__(self, settings: STNetSettings, n_features: int, panel: GenePanel):
        if not settings.epochs or min(settings.epochs) < 1:
            raise EosinError("epochs must name numbers of at least 1", fix="give them as [10, 50]")
        self.settings = settings
        self.weight = np.zeros((n_features, len(panel)))
        self.bias = np.zeros(len(panel))
        self.epochs = settings.epochs[0]

    @property
    def reach(self) -> tuple[Hop, ...]:
        """A spot by itself."""
        return ()

    @property
    def most_spots(self) -> int:
        """Of a cohort on disk some spots are taken into memory."""
        return MOST_IN_MEMORY

    def solve(self, training: Training) -> None:
        """Choose the number of epochs, and descend on all training spots."""
        features, target, numbers = training.batch.features, training.target, self.settings.epochs

        def predict_all(inside: np.ndarray, outside: np.ndarray) -> Iterable[np.ndarray]:
            descent = Descent.of(features[inside], target[inside], self.settings)
            solutions = (descent.after(epochs) for epochs in numbers)
            return (features[outside] @ weight + bias for weight, bias in solutions)

        self.epochs = choose(training, numbers, predict_all)
        self.weight, self.bias = Descent.of(features, target, self.settings).after(self.epochs)

    def draw(self, context: Batch, n_draws: int, rng: torch.Generator) -> Tensor:
        """[1 s g]."""
        predicted = context.features.astype(np.float64) @ self.weight + self.bias
        return torch.from_numpy(predicted.astype(np.float32))[None]

    def arrays(self) -> dict[str, Tensor]:
        """Weights, bias and the chosen number of epochs."""
        arrays = {"weight": self.weight, "bias": self.bias, "epochs": np.array([self.epochs])}
        return {name: torch.from_numpy(np.ascontiguousarray(value)) for name, value in arrays.items()}

    def load_arrays(self, arrays: Mapping[str, Tensor]) -> None:
        """Take what `arrays` gave."""
        self.weight, self.bias = arrays["weight"].numpy(), arrays["bias"].numpy()
        self.epochs = int(arrays["epochs"])

    @property
    def n_parameters(self) -> int:
        """Weights and biases."""
        return self.weight.size + self.bias.size


_OF_THE_HEAD = ("epochs", "lr", "momentum", "standardise")


def build(settings: STNetSettings, n_features: int, panel: GenePanel) -> Model:
    """The head in closed form, or with `image_px` the whole network."""
    px = settings.image_px
    if px is None:
        return STNet(settings, n_features, panel)
    fields = STNetSettings.model_fields
    idle = [name for name in _OF_THE_HEAD if getattr(settings, name) != fields[name].default]
    if idle:
        raise EosinError(
            f"'{idle[0]}' belongs to the head on frozen features and does nothing with image_px",
            fix="leave it out; --train.epochs and --train.lr say how the whole network is trained",
        )
    columns = PixelColumns.of(n_features, px)
    backbone = Backbone(settings.image_backbone, px, settings.image_weights)
    return FineTuned(backbone, columns, len(panel), batch_size=settings.batch_size, turns=settings.image_turns)


MODELS.add(
    "stnet",
    ModelEntry(
        build,
        STNetSettings,
        "linear head trained by stopped descent, on a frozen encoder or with one",
        "He et al., Nature Biomedical Engineering 2020",
        presets={
            "paper": {"model": {"epochs": (50,), "lr": 1e-6, "standardise": False}},
            "finetune": {
                "model": {"image_px": 224},
                "train": {"lr": 1e-4, "epochs": 50, "patience": 10, "regions_per_section": 8, "regions_per_step": 1},
            },
            "small": {},
        },
    ),
)
