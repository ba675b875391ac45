"""Prov-GigaPath's slide encoder as context: frozen LongNet over a section's tiles, then a closed-form head.

Xu et al., A whole-slide foundation model for digital pathology from real-world data, Nature 2024. As a predictor of
expression: "Gigapath-slide" of STFlow (Huang et al., ICML 2025), whose head is a random forest. The network is in
`longnet.py`. Where eosin differs from paper and release, and why:

- Weights are gated, so none ship. Given by `weights`, they are used frozen. Without them the encoder is *random*, which
  is said in a warning; then it is a fixed random mixing of the section's tiles, and no foundation model.
- Plain PyTorch in float32; the release needs a GPU library in half precision.
- Tiles are encoded before and stored, so that the whole section attends to itself in bounded memory. The STFlow
  release attends within a batch of tiles, or pushes all images through the tile encoder at once.
- Tiles stand in raster order, so that the order of spots in a file does not matter.
- No section sees another. Segments are padded with keys of zeros, as in the release, by their number alone: no
  padded array exists. `padded = false` is attention among tiles only.
- By default the spot's own features go to the head too, positions count from the section's own corner (a slide's
  position under the scanner says nothing), and the head is the tuned ridge. Preset `paper` does none of this.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import Field, model_validator
from torch import Tensor

from eosin.config import Settings
from eosin.encoders.parts.weights import load_local
from eosin.errors import EosinError
from eosin.models.base import MODELS, ModelEntry, Solved, Training
from eosin.models.gigapath.longnet import SlideEncoder, branches
from eosin.models.parts.named_arrays import below
from eosin.models.parts.scaling import InputMap
from eosin.storage.lazy_rows import BesideRows, LazyRows
from eosin.storage.scratch import let_go, scratch_table
from eosin.types import Batch, GenePanel

log = logging.getLogger("eosin")


class GigaPathSettings(Settings):
    """The slide encoder, what it is given, and the head on it."""

    weights: str | None = Field(
        None, description="a .safetensors file of the slide encoder; none: a random one, which is no foundation model"
    )
    n_layers: int = Field(2, ge=1, description="layers of the slide encoder, as the weights have them")
    width: int = Field(128, ge=4, multiple_of=4, description="width of the slide encoder, as the weights have it")
    n_heads: int = Field(8, ge=1, description="attention heads of the slide encoder; must divide the width")
    segments: tuple[int, ...] = Field(
        (1024, 5792, 32768, 185363, 1048576), description="tokens that attend to one another, for each branch"
    )
    dilations: tuple[int, ...] = Field(
        (1, 2, 4, 8, 16), description="one token in so many of a segment takes part, for each branch; 1 first"
    )
    padded: bool = Field(
        True,
        description="fill segments up with keys of zeros that take part in the softmax, as in the release; the weights "
        "expect it above 1,023 tiles. False: attention among tiles only",
    )
    cell_um: float = Field(128.0, gt=0, description="side of a cell of the position grid, µm; 256 px at 0.5 µm/px")
    from_corner: bool = Field(True, description="count cells from the section's own corner, not from the slide's")
    standardise: bool = Field(True, description="standardise tile features on the training spots before encoding")
    final_norm: bool = Field(False, description="take the states after the last LayerNorm (STFlow takes them before)")
    own_features: bool = Field(True, description="give the head each spot's own tile features beside the contextual")
    head: str = Field("ridge", description="closed-form model on these features, by name, as ridge or forest")
    head_settings: dict[str, Any] = Field({}, description="settings of the head, over its defaults")

    @model_validator(mode="after")
    def _fits(self) -> GigaPathSettings:
        branches(self.segments, self.dilations, padded=self.padded)
        if self.width % self.n_heads:
            raise ValueError(f"{self.n_heads} heads do not divide a width of {self.width}")
        return self


class GigaPath(Solved):
    """Tile features -> contextual features of the section -> a closed-form head.

    Parameters
    ----------
    settings
        As given.
    inputs
        Tile features as the slide encoder takes them.
    slide
        The frozen slide encoder; weights are read when the model is solved.
    head
        Predicts from contextual features, and makes the draws.
    """

    def __init__(self, settings: GigaPathSettings, inputs: InputMap, slide: SlideEncoder, head: Solved):
        self.settings, self.inputs, self.slide, self.head = settings, inputs, slide.eval(), head

    @property
    def trains_on_rows(self) -> bool:
        """Where the head does: the slide encoder reads one section at a time."""
        return self.head.trains_on_rows

    def solve(self, training: Training) -> None:
        """Read the weights, encode the training sections, and solve the head on the result."""
        if self.settings.weights is None:
            log.warning("gigapath: no weights are given, the slide encoder is random and not pretrained (set weights)")
        else:
            load_weights(self.slide, self.settings.weights)
        if self.settings.standardise:
            self.inputs.observe(training.batch.features)
        self.head.solve(replace(training, batch=self.contextual(training.batch)))

    def prepare(self, batch: Batch) -> Any:
        """The head's context, made of the contextual features."""
        return self.head.prepare(self.contextual(batch))

    def contextual(self, batch: Batch) -> Batch:
        """The batch with the features that the head sees; each part is encoded by itself.

        Features on disk are read a part at a time and stay there.
        """
        contextual = scratch_table((len(batch), self.settings.width))
        for start, stop in pairwise(batch.starts):
            rows = slice(int(start), int(stop))
            contextual[rows] = self._encode(batch.xy_um[rows], batch.features[rows])
            let_go(contextual)
        if not self.settings.own_features:
            return replace(batch, features=contextual)
        lazy = isinstance(batch.features, LazyRows)
        features: Any = BesideRows([batch.features, contextual]) if lazy else np.hstack([batch.features, contextual])
        return replace(batch, features=features)

    def _encode(self, xy_um: np.ndarray, features: np.ndarray) -> np.ndarray:
        """Contextual features [s width] of one section, in its own order of spots."""
        cells = self._cells(xy_um)
        order = np.lexsort((features[:, 0], *xy_um.T, *cells.T))  # by row of cells, then column, then within the cell
        sequence = self.inputs(torch.from_numpy(features[order]))
        encoded = self.slide(sequence, torch.from_numpy(cells[order]), final_norm=self.settings.final_norm)
        contextual = np.empty((len(order), encoded.shape[1]), dtype=np.float32)
        contextual[order] = encoded.numpy()
        return contextual

    def _cells(self, xy_um: np.ndarray) -> np.ndarray:
        """Cell (column, row) of the position grid of each spot [s 2]."""
        corner = xy_um.min(0, initial=np.inf) if self.settings.from_corner else 0.0
        return np.floor((xy_um - corner) / self.settings.cell_um + 1e-6)  # a spot on an edge stays when all are shifted

    def draw(self, context: Any, n_draws: int, rng: torch.Generator) -> Tensor:
        """As the head draws: [k s g]."""
        return self.head.draw(context, n_draws, rng)

    def arrays(self) -> dict[str, Tensor]:
        """Scales of the features, the slide encoder's weights and the head's arrays."""
        groups = {"inputs": self.inputs.state_dict(), "slide": self.slide.state_dict(), "head": self.head.arrays()}
        return {f"{group}.{name}": value for group, values in groups.items() for name, value in values.items()}

    def load_arrays(self, arrays: Mapping[str, Tensor]) -> None:
        """Take what `arrays` gave."""
        self.inputs.load_state_dict(below("inputs.", arrays))
        self.slide.load_state_dict(below("slide.", arrays))
        self.head.load_arrays(below("head.", arrays))

    @property
    def n_parameters(self) -> int:
        """Those of the head: the slide encoder is frozen."""
        return self.head.n_parameters


def load_weights(slide: SlideEncoder, file: str | Path) -> None:
    """Read pretrained weights into a slide encoder; tensors that it does not have are left out.

    Raises
    ------
    EosinError
        No such file, not safetensors, tensors missing or of another shape.
    """
    n_left_out = load_local(
        slide,
        file,
        "the slide encoder",
        absent_fix="give a .safetensors file of the slide encoder",
        unfit_fix="use gigapath:paper on features of the tile encoder that the weights were trained with",
    )
    log.info("gigapath: %d tensors read, %d others left out", len(slide.state_dict()), n_left_out)


def build(settings: GigaPathSettings, n_features: int, panel: GenePanel) -> GigaPath:
    """Put the parts together; no I/O, no device. Weights are read when the model is solved."""
    pattern = branches(settings.segments, settings.dilations, padded=settings.padded)
    slide = SlideEncoder(n_features, settings.width, settings.n_heads, settings.n_layers, pattern)
    if settings.weights is None:
        slide.start_at_random()
    entry = MODELS[settings.head]
    n_inputs = settings.width + (n_features if settings.own_features else 0)
    head = entry.build(entry.settings.of(settings.head_settings, source="[model] head_settings"), n_inputs, panel)
    if not isinstance(head, Solved) or isinstance(head, GigaPath):
        raise EosinError(
            f"model '{settings.head}' cannot be the head of 'gigapath'",
            fix="name a closed-form one, as ridge or forest",
        )
    return GigaPath(settings, InputMap(n_features, None), slide, head)


MODELS.add(
    "gigapath",
    ModelEntry(
        build,
        GigaPathSettings,
        "frozen slide encoder with dilated attention, closed-form head",
        "Xu et al., Nature 2024; head as in Huang et al., ICML 2025",
        presets={
            "paper": {
                "model": {
                    "n_layers": 12,
                    "width": 768,
                    "n_heads": 16,
                    "from_corner": False,
                    "standardise": False,
                    "own_features": False,
                    "head": "forest",
                    "head_settings": {"per_gene": True, "max_depth": 16, "min_leaf": 1, "max_features": 1.0},
                }
            },
            "small": {"model": {"n_layers": 1, "width": 64, "n_heads": 4}},
        },
        older={"padded": False},
    ),
)
