"""The field of view of an encoder: the setting `tile_um` that every encoder has. It is not the diameter of a spot."""

from __future__ import annotations

import functools
import logging
import math
from collections.abc import Mapping, Sequence
from typing import Any

from eosin.encoders.base import ENCODERS, Encoder, View
from eosin.encoders.parts.spec_text import name_of, split_spec
from eosin.errors import EosinError
from eosin.options import widths_of

_LOG = logging.getLogger("eosin")
_NAME = "tile_um"
_OLD_NAMES = ("widths_um", "width_um")
"""Names of `tile_um` in feature files and checkpoints of earlier versions."""
_TOLERANCE = 1.05
"""Scales of slides differ by a few percent from their nominal value, which does not count as enlargement."""


def with_current_names(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of an encoder, with old names of `tile_um` replaced; `tile_um` itself wins where both are given."""
    new = {name: value for name, value in settings.items() if name not in _OLD_NAMES}
    old = [settings[name] for name in _OLD_NAMES if name in settings]
    return {_NAME: old[0], **new} if old else new


def with_tile(encoder: str | Encoder, tile_um: str | float | Sequence[float] | None) -> str | Encoder:
    """The spec of an encoder, or of several joined by `+`, with another field of view; unchanged for None.

    Parts that then are the same are one: the default encoder, whose parts differ in nothing else, becomes `stain`.

    Parameters
    ----------
    encoder
        A spec, see `get_encoder`; nothing is built, so that no weights are needed.
    tile_um
        Side of the field of view, µm, or of several, whose features are concatenated.

    Raises
    ------
    EosinError
        An impossible width, an encoder that is already built, or an unknown one among several.
    """
    widths = widths_of(tile_um)
    if widths is None:
        return encoder
    if isinstance(encoder, Encoder):
        raise EosinError(f"encoder '{encoder.card.name}' is made already", fix="give its settings where it is made")
    for width in widths or [math.nan]:
        View(width, 1)  # refuses an impossible width
    text = ",".join(f"{width:.10g}" for width in widths)
    parts = split_spec(encoder, ENCODERS.__contains__)
    if len(parts) > 1:  # after an unknown name, the next part could be taken for its settings
        for part in parts:
            ENCODERS[name_of(part)]
    return "+".join(dict.fromkeys(_replaced(part, text) for part in parts))


def _replaced(part: str, text: str) -> str:
    head, _, query = part.partition("?")
    others = [pair for pair in query.split("&") if pair and pair.partition("=")[0] not in (_NAME, *_OLD_NAMES)]
    return f"{head}?{'&'.join([*others, f'{_NAME}={text}'])}"


def check_tile_um(encoder: Encoder, tile_um: Any) -> Encoder:
    """The encoder, if it has the field of view that was set; encoders of plug-ins may ignore the setting.

    Parameters
    ----------
    encoder
        As it was built.
    tile_um
        The setting: a number, several, or text with commas; µm.

    Raises
    ------
    EosinError
        Its field of view is another one.
    """
    wanted = tile_um.split(",") if isinstance(tile_um, str) else tile_um
    wanted = [wanted] if isinstance(wanted, int | float) else wanted
    if [f"{view.width_um:.10g}" for view in encoder.views] != [f"{float(width):.10g}" for width in wanted]:
        views = ", ".join(map(str, encoder.views))
        raise EosinError(
            f"encoder '{encoder.card.name}' has a field of view of its own, {views}", fix=f"leave {_NAME} out"
        )
    return encoder


def log_if_enlarged(encoder: Encoder, mpp: float) -> None:
    """Log, once, that the windows of an encoder are finer than the pixels of a slide of `mpp` µm per pixel."""
    for view in encoder.views:
        if view.width_um / view.px * _TOLERANCE < mpp:
            _log_enlarged(encoder.card.name, view, round(mpp, 3))


@functools.cache
def _log_enlarged(name: str, view: View, mpp: float) -> None:
    _LOG.info(
        "encoder '%s' takes %g µm in %d px (%.3g µm per pixel): tiles of slides of %g µm per pixel are enlarged",
        *(name, view.width_um, view.px, view.width_um / view.px, mpp),
    )
