"""On what terms features may be used: read from a file, and refused where commercial use is meant."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from eosin.encoders.parts.published import NAMES, zoo_card
from eosin.errors import EosinError

UNKNOWN = "unknown"


def terms_of(attrs: Mapping[str, Any], encoder: str) -> tuple[str, bool]:
    """Licence, and whether it allows commercial use, of a feature file.

    Parameters
    ----------
    attrs
        Of the file. Another tool's says nothing; then it is the card of the encoder by that name.
    encoder
        Name or spec of the encoder.
    """
    if "licence" in attrs:
        return str(attrs["licence"]), bool(attrs.get("commercial", False))
    name = encoder.partition("?")[0].partition("@")[0]
    if name not in NAMES:
        return UNKNOWN, False
    card = zoo_card(name)
    return card.licence, card.commercial


def need_commercial(what: str, licence: str, *, commercial: bool) -> None:
    """Refuse what commercial use is not allowed for, or not known to be.

    Raises
    ------
    EosinError
        So.
    """
    if not commercial:
        raise EosinError(
            f"{what} is not known to allow commercial use (licence: {licence or UNKNOWN})",
            fix="take an encoder that does, as 'stain' (see: eosin list encoders), or leave out --commercial-only",
        )
