"""The field of view of an encoder: `tile_um` in its spec, whoever the encoder is. It is not the width of a spot."""

from __future__ import annotations

import functools
import logging
import math
from collections.abc import Mapping, Sequence
from typing import Any

from eosin.encoders.base import ENCODERS, Encoder, View
from eosin.encoders.parts.spec_text import name_of, split_spec
from eosin.errors import EosinError

_LOG = logging.getLogger("eosin")
_NAME = "tile_um"
_OLD_NAMES = ("widths_um", "width_um")
"""Earlier versions of eosin wrote these into feature files and checkpoints."""
_ENLARGED = 1.05
"""Scales of slides differ by a few percent from their nominal ones; that is no enlargement."""


def renamed(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of an encoder with the old names of `tile_um` under its own, which wins where both are given."""
    new = {name: value for name, value in settings.items() if name not in _OLD_NAMES}
    old = [settings[name] for name in _OLD_NAMES if name in settings]
    return {_NAME: old[0], **new} if old else new


def with_tile(encoder: str | Encoder, tile_um: float | Sequence[float] | None) -> str | Encoder:
    """The spec of an encoder, or of several joined by `+`, with another field of view; as it is for None.

    Parameters
    ----------
    encoder
        See `get_encoder`; nothing is built, so that weights are not needed.
    tile_um
        Side of the field of view, µm, or of several whose features stand side by side.

    Raises
    ------
    EosinError
        No width of a tile, an encoder that is made already, or an unknown one among several.
    """
    if tile_um is None:
        return encoder
    if isinstance(encoder, Encoder):
        raise EosinError(f"encoder '{encoder.card.name}' is made already", fix="give its settings where it is made")
    widths = [float(width) for width in ([tile_um] if isinstance(tile_um, int | float) else tile_um)]
    for width in widths or [math.nan]:
        View(width, 1)  # refuses what is no width
    text = ",".join(f"{width:.10g}" for width in widths)
    parts = split_spec(encoder, ENCODERS.__contains__)
    if len(parts) > 1:  # an unknown name would hold what follows it for its settings
        for part in parts:
            ENCODERS[name_of(part)]
    return "+".join(_replaced(part, text) for part in parts)


def _replaced(part: str, text: str) -> str:
    head, _, query = part.partition("?")
    others = [pair for pair in query.split("&") if pair and pair.partition("=")[0] not in (_NAME, *_OLD_NAMES)]
    return f"{head}?{'&'.join([*others, f'{_NAME}={text}'])}"


def need_tile(encoder: Encoder, asked: Any) -> Encoder:
    """The encoder, if its field of view is the one asked for: another's may not look at the setting.

    Raises
    ------
    EosinError
        It has a field of view of its own.
    """
    wanted = asked.split(",") if isinstance(asked, str) else [asked] if isinstance(asked, int | float) else asked
    if [f"{view.width_um:.10g}" for view in encoder.views] != [f"{float(width):.10g}" for width in wanted]:
        views = ", ".join(map(str, encoder.views))
        raise EosinError(
            f"encoder '{encoder.card.name}' has a field of view of its own, {views}", fix=f"leave {_NAME} out"
        )
    return encoder


def tell_enlarged(encoder: Encoder, mpp: float) -> None:
    """Say once if the pixels of a slide of `mpp` µm per pixel are enlarged: the encoder sees no more than is there."""
    for view in encoder.views:
        if view.width_um / view.px * _ENLARGED < mpp:
            _tell(encoder.card.name, view, round(mpp, 3))


@functools.cache
def _tell(name: str, view: View, mpp: float) -> None:
    _LOG.info(
        "encoder '%s' takes %g µm in %d px (%.3g µm per pixel): tiles of slides of %g µm per pixel are enlarged",
        *(name, view.width_um, view.px, view.width_um / view.px, mpp),
    )
