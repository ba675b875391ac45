"""Make an encoder from its spec: name and settings, as on the command line and in feature files."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import parse_qsl

from eosin.encoders.base import ENCODERS, Encoder
from eosin.encoders.composite import Composite
from eosin.encoders.parts.field_of_view import check_tile_um
from eosin.encoders.parts.spec_text import name_of, split_spec
from eosin.errors import EosinError


def get_encoder(spec: str | Encoder, **settings: Any) -> Encoder:
    """Make an encoder from a spec; an encoder is returned as it is.

    Parameters
    ----------
    spec
        `NAME`, `NAME:ARGUMENT` or `NAME@WEIGHTS`, each with `?setting=value&...` if wanted: `stain`, `stain?px=112`,
        `timm:resnet50@weights.safetensors?tile_um=165,330`. Several are joined by `+`.
    settings
        Further settings, which win over those in `spec`. Every encoder has `tile_um`, the field of view in µm.

    Raises
    ------
    EosinError
        Unknown encoder or setting, or weights that are missing or do not fit.
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
    encoder = ENCODERS[name](argument, **named)
    return check_tile_um(encoder, named["tile_um"]) if "tile_um" in named else encoder


def need_known(spec: str) -> None:
    """Refuse the name of an unknown encoder, without making one: its weights may be missing.

    Raises
    ------
    EosinError
        An unknown encoder, with the nearest known ones.
    """
    for part in split_spec(spec, ENCODERS.__contains__):
        _ = ENCODERS[name_of(part)]
