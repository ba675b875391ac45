"""The licence of features: read from a file, and checked where only commercial use is allowed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from eosin.encoders.parts.published import NAMES, zoo_card
from eosin.encoders.parts.spec_text import without_weights
from eosin.errors import EosinError

UNKNOWN = "unknown"


def licence_of(attrs: Mapping[str, Any], encoder: str) -> tuple[str, bool]:
    """Licence, and whether it allows commercial use, of a feature file.

    Parameters
    ----------
    attrs
        Attributes of the file. Other tools write no licence; then that of the card of the encoder is returned.
    encoder
        Name or spec of the encoder.

    Returns
    -------
    licence
        `"unknown"` where neither the file nor a card states it.
    commercial
        False where the licence is unknown.
    """
    if "licence" in attrs:
        return str(attrs["licence"]), bool(attrs.get("commercial", False))
    name = without_weights(encoder)
    if name not in NAMES:
        return UNKNOWN, False
    card = zoo_card(name)
    return card.licence, card.commercial


def need_commercial(what: str, licence: str, *, commercial: bool) -> None:
    """Refuse features or a model whose licence is not known to allow commercial use.

    Parameters
    ----------
    what
        What is refused, for the message.
    licence
        Its licence, for the message.
    commercial
        Whether the licence allows commercial use.

    Raises
    ------
    EosinError
        `commercial` is False.
    """
    if not commercial:
        raise EosinError(
            f"{what} is not known to allow commercial use (licence: {licence or UNKNOWN})",
            fix="take an encoder that does, as 'stain' (see: eosin list encoders), or leave out --commercial-only",
        )
