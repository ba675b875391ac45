"""An encoder by its name and settings, as the command line and feature files write them."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import parse_qsl

from eosin.encoders.base import ENCODERS, Encoder
from eosin.encoders.composite import Composite
from eosin.encoders.parts.field_of_view import need_tile
from eosin.encoders.parts.spec_text import split_spec
from eosin.errors import EosinError


def get_encoder(spec: str | Encoder, **settings: Any) -> Encoder:
    """An encoder by name, or the one handed in.

    Parameters
    ----------
    spec
        `NAME`, `NAME:ARGUMENT`, `NAME@WEIGHTS`, or any with `?setting=value&...`, as `stain`, `stain?px=112` or
        `timm:resnet50@weights.safetensors?tile_um=165,330`; or several of these joined by `+`.
    settings
        More settings; they win over those in `spec`. `tile_um`, the field of view, is one of every encoder's.

    Raises
    ------
    EosinError
        Unknown encoder or setting, missing or unfitting weights.
    """
    if isinstance(spec, Encoder):
        if settings:
            raise EosinError(f"encoder '{spec.card.name}' is made already", fix="give its settings where it is made")
        return spec
    parts = split_spec(spec, ENCODERS.__contains__)
    if len(parts) > 1:
        if settings:
            raise EosinError(f"settings are given for '{spec}', which is several encoders", fix="write each its own")
        return Composite([get_encoder(part) for part in parts])
    head, _, query = spec.partition("?")
    name, argument = (*re.split("[:@]", head, maxsplit=1), "")[:2]  # `timm:ARCH@FILE`, `uni@FILE`
    named: dict[str, Any] = {key.replace("-", "_"): value for key, value in parse_qsl(query, keep_blank_values=True)}
    named |= settings
    made = ENCODERS[name](argument, **named)
    return need_tile(made, named["tile_um"]) if "tile_um" in named else made
