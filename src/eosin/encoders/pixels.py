"""`pixels`: the tile itself, for models that train an image network of their own (see `models/image_branch.py`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from pydantic import Field
from torch import Tensor

from eosin.config import Settings
from eosin.encoders.base import ENCODERS, Encoder, EncoderCard, View, spec_of
from eosin.encoders.parts.field_of_view import renamed
from eosin.errors import EosinError

_VERSION = 1


class PixelSettings(Settings):
    px: int = Field(64, ge=8, le=1024, description="side of the tile, pixels; a spot has 3 px² features")
    tile_um: float = Field(112.0, gt=0, description="field of view, µm")


class Pixels(Encoder):
    """Red, green and blue of every pixel, 0 to 255, row by row: [px px 3] laid out as 3 px² numbers."""

    def __init__(self, settings: PixelSettings | None = None):
        settings = settings or PixelSettings.of({})
        self.views = (View(settings.tile_um, settings.px),)
        self.spec = spec_of("pixels", settings)
        self.card = EncoderCard(
            name="pixels",
            source="the image; no weights",
            licence="BSD-3-Clause",
            commercial=True,
            gated=False,
            width=3 * settings.px**2,
            citation="none",
            about="the tile itself, for models that train an image network",
        )

    @property
    def key(self) -> str:
        return f"pixels;version={_VERSION};view={self.views[0]};resize=bicubic"

    @torch.inference_mode()
    def encode(self, tiles: Sequence[Tensor]) -> Tensor:
        self.check_tiles(tiles)
        return tiles[0].to(self.device).flatten(1).float()


@ENCODERS.register("pixels")
def build(argument: str = "", **settings: Any) -> Pixels:
    """The `pixels` encoder; takes no argument."""
    if argument:
        raise EosinError(f"encoder 'pixels' takes no argument, got '{argument}'", fix="ask for 'pixels'")
    return Pixels(PixelSettings.of(renamed(settings), source="encoder 'pixels'"))
