"""`pixels`: the tile itself, for models that train an image network of their own (`models/parts/image_branch.py`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from pydantic import Field
from torch import Tensor

from eosin.config import Settings
from eosin.encoders.base import ENCODERS, Encoder, View, spec_of
from eosin.encoders.parts.computed import computed_card, settings_only

_VERSION = 1


class PixelSettings(Settings):
    """Settings of the encoder `pixels`."""

    px: int = Field(64, ge=8, le=1024, description="side of the tile, pixels; a spot has 3 px² features")
    tile_um: float = Field(112.0, gt=0, description="field of view, µm")


class Pixels(Encoder):
    """Red, green and blue of every pixel, 0 to 255: the tile [px px 3] as a vector of 3 px² numbers, row by row."""

    def __init__(self, settings: PixelSettings | None = None):
        settings = settings or PixelSettings.of({})
        self.views = (View(settings.tile_um, settings.px),)
        self.spec = spec_of("pixels", settings)
        self.card = computed_card(
            "pixels",
            source="the image; no weights",
            width=3 * settings.px**2,
            citation="none",
            about="the tile itself, for models that train an image network",
        )

    @property
    def key(self) -> str:
        """Version, window and resize."""
        return f"pixels;version={_VERSION};view={self.views[0]};resize=bicubic"

    @torch.inference_mode()
    def encode(self, tiles: Sequence[Tensor]) -> Tensor:
        """The pixels of each tile, float32 [b 3 px²], 0 to 255."""
        self.check_tiles(tiles)
        return tiles[0].to(self.device).flatten(1).float()


@ENCODERS.register("pixels")
def build(argument: str = "", **settings: Any) -> Pixels:
    """The `pixels` encoder; takes no argument."""
    return Pixels(settings_only(PixelSettings, "pixels", argument, settings))
