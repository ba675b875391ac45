"""HisToGene: a vision transformer over the spots of a section (Pang, Su, Li, 2021).

Each spot is a token; all tokens of a part attend to one another; a linear map reads the genes. The regression around
the network is in `regression.py`. Where eosin differs from the paper or its release, and why:

- A token is a linear map of the spot's frozen features. The published one maps the 37,632 raw pixels of its tile:
  `image_px`, preset `pixels`. Pixels are divided by 255, else they drown the positions.
- Places are coordinates in µm, relative to the middle of the part. The release looks up whole rows and columns in
  tables of 64 entries: a spot beyond them fails (Visium has 128), and tables depend on how spots were numbered.
- Positions are a linear map of the coordinates (as in STFlow's comparison) or sines of several wavelengths, as smooth
  tables.
- The epoch is chosen on training sections by default; preset `paper` trains for 100 epochs, as published.
- The default is small, and regresses what a closed-form base leaves over; preset `paper` is the published model.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from eosin.errors import EosinError
from eosin.models.base import MODELS, Learned, ModelEntry
from eosin.models.parts.attention import Block, within_parts
from eosin.models.parts.base_model import NO_BASE
from eosin.models.parts.chunks import by_rows
from eosin.models.parts.image_branch import PixelColumns
from eosin.models.parts.image_regression import ImageRegression
from eosin.models.parts.objective import ValueObjective, squared_error
from eosin.models.parts.on_base import NetworkUnits, OnBaseSettings
from eosin.models.parts.regression import RegressionModel
from eosin.types import Batch, GenePanel


class HisToGeneSettings(OnBaseSettings):
    """The base, the network, and whether it sees pixels."""

    width: int = Field(64, ge=8, description="width of a spot's state")
    n_layers: int = Field(1, ge=1, description="transformer blocks")
    n_heads: int = Field(4, ge=1, description="attention heads")
    head_width: int = Field(16, ge=1, description="width of a head, whatever the width of a state")
    ratio: float = Field(2.0, gt=0, description="width of the feed-forward layers, in widths")
    dropout: float = Field(0.3, ge=0, lt=1, description="dropout rate of tokens and in every block")
    positions: Literal["sinusoidal", "linear", "none"] = Field(
        "sinusoidal", description="how coordinates enter: sines of several wavelengths, a linear map, or not at all"
    )
    length_um: float = Field(100.0, gt=0, description="µm that count as 1 in the coordinates: about a pitch")
    image_px: int | None = Field(
        None,
        ge=8,
        description="also map tiles of so many pixels a side, which are the last features (or all of them), as "
        "--encoder pixels?px=112 makes them; none: features only",
    )


class Sines(nn.Module):
    """Coordinates [s 2] as sines and cosines of wavelengths from 4 to 512 pitches, then a linear map."""

    frequency: Tensor

    def __init__(self, width: int, n_waves: int = 8):
        super().__init__()
        self.register_buffer("frequency", 2 * math.pi / torch.logspace(2, 9, n_waves, base=2.0), persistent=False)
        self.out = nn.Linear(4 * n_waves, width, bias=False)

    def forward(self, at: Tensor) -> Tensor:
        """[s width] from coordinates [s 2]."""
        phase = (at[..., None] * self.frequency).flatten(1)  # [s 2 waves] -> [s 2*waves]
        return self.out(torch.cat([phase.sin(), phase.cos()], dim=-1))


class Linear(nn.Module):
    """Coordinates [s 2], a linear map."""

    def __init__(self, width: int):
        super().__init__()
        self.out = nn.Linear(2, width, bias=False)

    def forward(self, at: Tensor) -> Tensor:
        """[s width] from coordinates [s 2]."""
        return self.out(at)


class Nowhere(nn.Module):
    """No positions: a section is a set."""

    def forward(self, at: Tensor) -> Tensor:
        """[s 1] of zeros."""
        return at.new_zeros(len(at), 1)


@dataclass
class Tokens:
    """One prepared batch: coordinates [s 2] in `length_um` about the part's middle, and first rows of the parts.

    A token is made of what is `seen`: features [s f], or features and tiles [s px px 3].
    """

    seen: Tensor | tuple[Tensor, Tensor]
    at: Tensor
    starts: list[int]


class TileToken(nn.Module):
    """A linear map of a tile's pixels, 0 to 1, and of the spot's features where there are any: [s w].

    Some spots at a time: as numbers for the network, tiles take four times their bytes.
    """

    def __init__(self, px: int, n_features: int, width: int, chunk: int = 512):
        super().__init__()
        self.chunk = chunk
        self.pixels = nn.Linear(3 * px**2, width)
        self.features = nn.Linear(n_features, width, bias=False) if n_features else None

    def forward(self, seen: tuple[Tensor, Tensor]) -> Tensor:
        """[s width] from features [s f] and tiles [s px px 3] of bytes."""
        features, tiles = seen
        token = by_rows(lambda rows: self._map(tiles[rows])[None], len(tiles), self.chunk)[0]
        return token if self.features is None else token + self.features(features)

    def _map(self, tiles: Tensor) -> Tensor:
        return self.pixels(tiles.to(self.pixels.weight.device).flatten(1).float() / 255)


class VisionTransformer(nn.Module):
    """One guess per spot, from all spots of its part.

    Parameters
    ----------
    positions
        Coordinates [s 2] -> what is added to the tokens [s width].
    token
        What a spot is seen by (features, or features and tiles) -> its token [s width].
    """

    def __init__(self, positions: nn.Module, token: nn.Module, n_genes: int, settings: HisToGeneSettings):
        super().__init__()
        s = settings
        self.length_um, self.positions, self.token = s.length_um, positions, token
        self.drop = nn.Dropout(s.dropout)
        shape = s.width, s.n_heads, s.ratio, s.dropout, s.head_width
        self.blocks = nn.ModuleList(Block(*shape) for _ in range(s.n_layers))
        self.norm = nn.LayerNorm(s.width)
        self.head = nn.Linear(s.width, n_genes)

    @property
    def heads(self) -> list[nn.Linear]:
        """What reads the genes."""
        return [self.head]

    def geometry(self, batch: Batch, features: Tensor) -> Tokens:
        """Coordinates about the middle of each part, beside the features [s f]."""
        part, n_parts = batch.part_of_spot(), len(batch.starts) - 1
        middle = np.zeros((n_parts, 2))
        for number, (a, b) in enumerate(zip(batch.starts[:-1], batch.starts[1:])):
            if b > a:
                middle[number] = (batch.xy_um[a:b].min(0) + batch.xy_um[a:b].max(0)) / 2
        at = ((batch.xy_um - middle[part]) / self.length_um).astype(np.float32)
        return Tokens(features, torch.from_numpy(at).to(features.device), batch.starts.tolist())

    def observe_tiles(self, tiles: Tensor) -> None:
        """Nothing: a linear map needs no scale."""

    def with_tiles(self, geometry: Tokens, tiles: Tensor) -> Tokens:
        """The same spots, seen by their features and tiles."""
        assert isinstance(geometry.seen, Tensor)
        return replace(geometry, seen=(geometry.seen, tiles))

    def forward(self, tokens: Tokens) -> Tensor:
        """[1 s g]."""
        mix = within_parts(tokens.starts)
        x = self.drop(self.token(tokens.seen) + self.positions(tokens.at))[None]
        for block in self.blocks:
            x = block(x, mix)
        return self.head(self.norm(x))


_POSITIONS = {"sinusoidal": Sines, "linear": Linear, "none": lambda width: Nowhere()}


def build(
    settings: HisToGeneSettings, n_features: int, panel: GenePanel, *, objective: ValueObjective = squared_error
) -> Learned:
    """Put the parts together; no I/O, no device.

    Raises
    ------
    EosinError
        Fewer features than pixels; a base that would have no features beside the pixels.
    """
    if settings.image_px is None:
        return _regression(settings, n_features, panel, objective)
    columns = PixelColumns.of(n_features, settings.image_px)
    if settings.base != NO_BASE and columns.n_rest == 0:
        raise EosinError(
            f"the base '{settings.base}' under 'histogene' has no features beside the pixels",
            fix=f'use --model.base none, or encode with --encoder "stain+pixels?px={settings.image_px}"',
        )
    return ImageRegression(_regression(settings, columns.n_rest, panel, objective), columns, turns=False)


def _regression(
    settings: HisToGeneSettings, n_features: int, panel: GenePanel, objective: ValueObjective
) -> RegressionModel:
    units, px = NetworkUnits.of(settings, n_features, panel), settings.image_px
    n_inputs, width = units.inputs.n_out, settings.width
    positions = _POSITIONS[settings.positions](width)
    token = nn.Linear(n_inputs, width) if px is None else TileToken(px, n_inputs, width)
    return RegressionModel(VisionTransformer(positions, token, len(panel), settings), objective, units)


_PAPER = {
    "model": {
        "width": 1024,
        "n_layers": 4,
        "n_heads": 16,
        "head_width": 64,
        "dropout": 0.1,
        "n_components": None,
        "standardise": False,
        "base": "none",
    },
    "train": {
        "lr": 1e-5,
        "weight_decay": 0.0,
        "ema": 0.0,
        "epochs": 100,
        "regions_per_section": 1,
        "regions_per_step": 1,
        "min_region": 1.0,
        "early_stopping": False,
    },
}

MODELS.add(
    "histogene",
    ModelEntry(
        build,
        HisToGeneSettings,
        "vision transformer over the spots of a section",
        "Pang et al., 2021",
        presets={
            "paper": _PAPER,
            "pixels": {"model": {**_PAPER["model"], "image_px": 112}, "train": _PAPER["train"]},
            "small": {"model": {"width": 32, "n_heads": 2, "n_components": 64}},
        },
    ),
)
