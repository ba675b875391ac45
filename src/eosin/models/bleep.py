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
from torch.nn.functional import gelu, log_softmax, softmax

from eosin.config import Settings
from eosin.models.base import MODELS, Learned, ModelEntry, Training
from eosin.models.parts.pieces import Hop
from eosin.models.parts.retrieval import COSINE_SIMILARITY, Retrieval, Weights, gaussian, uniform
from eosin.models.parts.scaling import InputMap, ValueScale
from eosin.row_blocks import row_blocks
from eosin.types import Batch, GenePanel

_KEYS_AT_ONCE = 1 << 16  # training spots whose expression is embedded at once


class BleepSettings(Settings):
    """The common space, the contrast that makes it, and the retrieval in it."""

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
        """[s n_in] -> [s width]."""
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


Contrast = Callable[[Tensor, Tensor], Tensor]
"""(image embeddings [s w], expression embeddings [s w] of the same spots) -> scalar to minimise."""

_WEIGHTS: dict[str, Weights] = {"uniform": uniform, "distance": gaussian}


@dataclass(frozen=True)
class BleepContext:
    """One prepared batch.

    Attributes
    ----------
    features
        [s f], standardised or reduced, as the image head takes them.
    part
        [s], the section or region of each spot.
    """

    features: Tensor
    part: np.ndarray


class Bleep(Learned):
    """Both heads, and the measured expression that answers are made of; one draw.

    Parameters
    ----------
    inputs
        Features as the image head takes them.
    scale
        Expression as its head takes it.
    image_head, spot_head
        Maps of features and of expression to the common space.
    contrast
        What training minimises, for each set of spots that are contrasted with one another.
    retrieval
        How a spot's image finds training spots by their expression, and how these are averaged.
    n_retrieved
        How many training spots are averaged.
    batch_size
        The most spots that are contrasted with one another.
    mix_sections
        Whether these may be of different sections.
    """

    reference: Tensor  # [m g] expression of the training spots

    def __init__(
        self,
        inputs: InputMap,
        scale: ValueScale,
        image_head: Head,
        spot_head: Head,
        contrast: Contrast,
        retrieval: Retrieval,
        *,
        n_retrieved: int,
        batch_size: int,
        mix_sections: bool,
    ):
        super().__init__()
        self.inputs, self.scale = inputs, scale
        self.image_head, self.spot_head = image_head, spot_head
        self.contrast, self.retrieval, self.n_retrieved = contrast, retrieval, n_retrieved
        self.batch_size, self.mix_sections = batch_size, mix_sections
        self.register_buffer("reference", torch.zeros(1, len(scale.mean)))

    @property
    def trains_on_rows(self) -> bool:
        """Features of a region are all that a step sees; the expression of all training spots is kept."""
        return True

    @property
    def reach(self) -> tuple[Hop, ...]:
        """A spot by itself."""
        return ()

    def observe(self, training: Training) -> None:
        """Take scales from the training spots, and keep their expression."""
        self.inputs.observe(training.batch.features)
        self.scale.observe(training.target)
        self.reference = torch.from_numpy(training.target.astype(np.float32))

    def prepare(self, batch: Batch) -> BleepContext:
        """Features as the image head takes them, on the model's device."""
        features = torch.from_numpy(np.asarray(batch.features)).to(self.reference.device)
        return BleepContext(self.inputs(features), batch.part_of_spot())

    def loss(self, context: BleepContext, target: Tensor, rng: torch.Generator) -> Tensor:
        """The contrast, mean over spots."""
        image, spot = self.image_head(context.features), self._embed(target)
        losses = [len(rows) * self.contrast(image[rows], spot[rows]) for rows in self._batches(context.part, rng)]
        return torch.stack(losses).sum() / len(target)

    def _batches(self, part: np.ndarray, rng: torch.Generator) -> Iterator[Tensor]:
        """Rows to be contrasted with one another: random, of nearly equal numbers, none above `batch_size`."""
        part = np.zeros_like(part) if self.mix_sections else part
        for label in np.unique(part):
            rows = torch.from_numpy(np.flatnonzero(part == label))
            rows = rows[torch.randperm(len(rows), generator=rng)]
            yield from rows.tensor_split(math.ceil(len(rows) / self.batch_size))

    def _embed(self, values: Tensor) -> Tensor:
        """Expression [s g] in the common space [s w]."""
        return self.spot_head((values - self.scale.mean) / self.scale.sd)

    @torch.no_grad()
    def draw(self, context: BleepContext, n_draws: int, rng: torch.Generator) -> Tensor:
        """The mean over what is retrieved [1 s g]; memory is linear in spots, and in training spots."""
        blocks = row_blocks(len(self.reference), budget=_KEYS_AT_ONCE)
        keys = torch.cat([self._embed(self.reference[rows]) for rows in blocks])
        numbers = (self.n_retrieved,)
        return self.retrieval.means(context.features, keys, self.reference, numbers, embed=self.image_head).cpu()

    def load_arrays(self, arrays: Mapping[str, Tensor]) -> None:
        """Take what `arrays` gave."""
        self.reference = torch.empty_like(arrays["reference"])  # as many rows as there were training spots
        super().load_arrays(arrays)


def build(settings: BleepSettings, n_features: int, panel: GenePanel) -> Bleep:
    """Put the parts together."""
    s, n_genes = settings, len(panel)
    inputs = InputMap(n_features, s.n_components)
    return Bleep(
        inputs,
        ValueScale(n_genes, standardise=s.standardise),
        Head(inputs.n_out, s.width, s.dropout),
        Head(n_genes, s.width, s.dropout),
        SoftContrast(s.temperature, s.through_targets, s.transposed_targets),
        Retrieval(COSINE_SIMILARITY, _WEIGHTS[s.weights], counts_keys=True),
        n_retrieved=s.n_retrieved,
        batch_size=s.batch_size,
        mix_sections=s.mix_sections,
    )


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
        build,
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
