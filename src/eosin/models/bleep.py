"""BLEEP: image and expression in one space by contrast; a spot's expression is retrieved (Xie et al., NeurIPS 2023).

Two small heads map the encoder's vector and the expression to one space, where the two sides of a spot shall be near.
A new spot gets the mean expression of the 50 training spots whose *expression* lies nearest to its *image*.

Where eosin differs from paper and release, and why:

- The image encoder is frozen; the paper trains its ResNet-50. (STFlow's comparison freezes it too.)
- By default no gradient flows through the soft targets, and targets are normalised for either direction; the paper
  lets it flow, and takes the transposed targets, whose rows do not sum to 1. Preset `paper` does as the paper.
- By default contrast stays within a section, else its stain and level tell spots apart; the paper mixes them.
- Features and, by default, expression are standardised; the temperature suits the length of the embeddings.
- Best epoch by a whole held-out group, not by random spots of training slides. No correction of batch effects that
  looks at the test section.
- Retrieval is one matrix product and a selection per chunk of spots.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import gelu, log_softmax, normalize, softmax

from eosin.config import Settings
from eosin.models.base import MODELS, Learned, ModelEntry, Training
from eosin.models.parts.scaling import InputMap, ValueScale
from eosin.types import Batch, GenePanel

_ENTRIES = 1 << 24  # of a similarity matrix held at once: 64 MiB


class BleepSettings(Settings):
    width: int = Field(256, ge=1, description="width of the common space")
    dropout: float = Field(0.3, ge=0, lt=1, description="dropout rate in both heads")
    temperature: float = Field(
        8.0, gt=0, description="what inner products are divided by; embeddings have length √width"
    )
    n_retrieved: int = Field(20, ge=1, description="training spots whose expression is averaged")
    weights: Literal["uniform", "distance"] = Field(
        "uniform", description="'distance' weighs a retrieved spot by exp(-squared distance)"
    )
    batch_size: int = Field(256, ge=2, description="most spots that are contrasted with one another")
    mix_sections: bool = Field(False, description="contrast spots of different sections, as the paper does")
    through_targets: bool = Field(
        False, description="let the gradient flow through the soft targets, as the paper does"
    )
    transposed_targets: bool = Field(
        False, description="soft targets of one direction are the other's, transposed, as in the paper"
    )
    n_components: int | None = Field(
        32, ge=1, description="principal components of the features; none: all features, standardised"
    )
    standardise: bool = Field(True, description="give every gene mean 0 and sd 1 before its head")


class Head(nn.Module):
    """A projection with a residual block and a LayerNorm: [s n_in] -> [s width]."""

    def __init__(self, n_in: int, width: int, dropout: float):
        super().__init__()
        self.project, self.mix = nn.Linear(n_in, width), nn.Linear(width, width)
        self.drop, self.norm = nn.Dropout(dropout), nn.LayerNorm(width)

    def forward(self, x: Tensor) -> Tensor:
        projected = self.project(x)
        return self.norm(projected + self.drop(self.mix(gelu(projected))))


@dataclass(frozen=True)
class SoftContrast:
    """Cross entropy between similarities across the sides and within them, both directions (the paper's loss).

    Parameters
    ----------
    temperature
        Divides every inner product.
    through_targets
        Whether the gradient flows through the targets too.
    transposed
        Whether the targets of image -> expression are those of expression -> image, transposed (rows then do not
        sum to 1), instead of normalised for their own direction.
    """

    temperature: float
    through_targets: bool
    transposed: bool

    def __call__(self, image: Tensor, spot: Tensor) -> Tensor:
        """Scalar, for the two embeddings [s w] of the same spots."""
        logits = spot @ image.T / self.temperature
        targets = softmax((image @ image.T + spot @ spot.T) / (2 * self.temperature), dim=1)
        if not self.through_targets:
            targets = targets.detach()
        other = targets.T if self.transposed else targets  # what is normalised is symmetric
        forth = -(targets * log_softmax(logits, dim=1)).sum(1)
        back = -(other * log_softmax(logits.T, dim=1)).sum(1)
        return (forth.mean() + back.mean()) / 2


def _alike(distance: Tensor) -> Tensor:
    return torch.full_like(distance, 1 / distance.shape[1])


_WEIGHTS: dict[str, Callable[[Tensor], Tensor]] = {"uniform": _alike, "distance": lambda d: softmax(-d, dim=1)}


@dataclass(frozen=True)
class BleepContext:
    """One prepared batch: features for the head [s f], and the part of each spot [s]."""

    features: Tensor
    part: np.ndarray


class Bleep(Learned):
    """Both heads, and the measured expression that answers are made of."""

    reference: Tensor

    def __init__(self, settings: BleepSettings, n_features: int, panel: GenePanel):
        super().__init__()
        s, n_genes = settings, len(panel)
        self.inputs = InputMap(n_features, s.n_components)
        self.scale = ValueScale(n_genes, standardise=s.standardise)
        self.image_head = Head(self.inputs.n_out, s.width, s.dropout)
        self.spot_head = Head(n_genes, s.width, s.dropout)
        self.contrast = SoftContrast(s.temperature, s.through_targets, s.transposed_targets)
        self.weigh, self.n_retrieved = _WEIGHTS[s.weights], s.n_retrieved
        self.batch_size, self.mix_sections = s.batch_size, s.mix_sections
        self.register_buffer("reference", torch.zeros(1, n_genes))

    def observe(self, training: Training) -> None:
        self.inputs.observe(training.batch.features)
        self.scale.observe(training.target)
        self.reference = torch.from_numpy(training.target.astype(np.float32))

    def prepare(self, batch: Batch) -> BleepContext:
        features = torch.from_numpy(batch.features).to(self.reference.device)
        return BleepContext(self.inputs(features), batch.part_of_spot())

    def loss(self, context: BleepContext, target: Tensor, rng: torch.Generator) -> Tensor:
        image, spot = self.image_head(context.features), self._embed(target)
        each = [len(rows) * self.contrast(image[rows], spot[rows]) for rows in self._batches(context.part, rng)]
        return torch.stack(each).sum() / len(target)

    def _batches(self, part: np.ndarray, rng: torch.Generator) -> Iterator[Tensor]:
        """Rows to be contrasted with one another: random, of nearly equal numbers, none above `batch_size`."""
        part = np.zeros_like(part) if self.mix_sections else part
        for label in np.unique(part):
            rows = torch.from_numpy(np.flatnonzero(part == label))
            rows = rows[torch.randperm(len(rows), generator=rng)]
            yield from rows.tensor_split(math.ceil(len(rows) / self.batch_size))

    def _embed(self, values: Tensor) -> Tensor:
        return self.spot_head((values - self.scale.mean) / self.scale.sd)

    @torch.no_grad()
    def draw(self, context: BleepContext, n_draws: int, rng: torch.Generator) -> Tensor:
        """The mean over what is retrieved [1 s g]; memory is linear in spots, and in training spots."""
        keys = torch.cat([self._embed(piece) for piece in self.reference.split(1 << 16)])
        k, n_genes = min(self.n_retrieved, len(keys)), self.reference.shape[1]
        rows = max(1, min(_ENTRIES // len(keys), _ENTRIES // (k * max(n_genes, keys.shape[1]))))
        return torch.cat([self._retrieve(x, keys, k) for x in context.features.split(rows)])[None].cpu()

    def _retrieve(self, features: Tensor, keys: Tensor, k: int) -> Tensor:
        image = self.image_head(features)
        index = (normalize(image, dim=1) @ normalize(keys, dim=1).T).topk(k, dim=1).indices
        distance = (keys[index] - image[:, None]).square().sum(2)
        return torch.einsum("sk,skg->sg", self.weigh(distance), self.reference[index])

    def load_arrays(self, arrays: Mapping[str, Tensor]) -> None:
        self.reference = torch.empty_like(arrays["reference"])  # as many rows as there were training spots
        super().load_arrays(arrays)


_PAPER = {
    "dropout": 0.1,
    "temperature": 1.0,
    "n_retrieved": 50,
    "mix_sections": True,
    "through_targets": True,
    "transposed_targets": True,
    "n_components": None,
    "standardise": False,
}

MODELS.add(
    "bleep",
    ModelEntry(
        Bleep,
        BleepSettings,
        "contrastive retrieval from measured spots",
        "Xie et al., NeurIPS 2023",
        presets={
            "paper": {
                "model": _PAPER,
                "train": {
                    "lr": 1e-3,
                    "weight_decay": 1e-3,
                    "ema": 0.0,
                    "epochs": 4,
                    "regions_per_section": 20,
                },
            },
            "small": {
                "train": {
                    "lr": 1e-3,
                    "epochs": 40,
                    "patience": 10,
                    "regions_per_section": 10,
                    "min_region": 0.5,
                },
            },
        },
    ),
)
