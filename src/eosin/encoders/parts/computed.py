"""What encoders that are computed without weights have in common: their card, and settings without an argument."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from eosin.config import Settings
from eosin.encoders.base import EncoderCard
from eosin.encoders.parts.field_of_view import with_current_names
from eosin.errors import EosinError

S = TypeVar("S", bound=Settings)


def computed_card(name: str, *, source: str, width: int, citation: str, about: str) -> EncoderCard:
    """The card of an encoder that is part of eosin, under the licence of eosin; arguments as in `EncoderCard`."""
    return EncoderCard(
        name=name,
        source=source,
        licence="BSD-3-Clause",
        commercial=True,
        gated=False,
        width=width,
        citation=citation,
        about=about,
    )


def settings_only(record: type[S], name: str, argument: str, settings: Mapping[str, Any]) -> S:
    """The settings of an encoder that takes no argument.

    Parameters
    ----------
    record
        Type of the settings.
    name
        Name of the encoder, for errors.
    argument, settings
        As its builder receives them.

    Raises
    ------
    EosinError
        There is an argument, an unknown setting, or an impossible value.
    """
    if argument:
        raise EosinError(f"encoder '{name}' takes no argument, got '{argument}'", fix=f"ask for '{name}'")
    return record.of(with_current_names(settings), source=f"encoder '{name}'")
