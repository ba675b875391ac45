"""The text form of encoders: `NAME:ARGUMENT@WEIGHTS?settings`, joined by `+` to one encoder, or listed by commas."""

from __future__ import annotations

import re
from collections.abc import Callable


def split_spec(spec: str, known: Callable[[str], bool]) -> list[str]:
    """The parts of a spec, one for each encoder.

    A `+` after a plain name always separates. After a `:`, `@` or `?` it separates only where the name of a known
    encoder follows, since names of files may contain it, and in a setting it means a space.

    Parameters
    ----------
    spec
        Encoders joined by `+`.
    known
        Whether a name is that of an encoder.
    """
    first, *pieces = spec.split("+")
    parts = [first]
    for piece in pieces:
        if name_of(parts[-1]) == parts[-1] or known(name_of(piece)):
            parts.append(piece)
        else:
            parts[-1] += "+" + piece
    return parts


def split_list(text: str, known: Callable[[str], bool]) -> list[str]:
    """Specs that are listed by commas. Within settings a comma separates only where a known encoder's name follows.

    Parameters
    ----------
    text
        The list.
    known
        Whether a name is that of an encoder.
    """
    first, *pieces = text.split(",")
    specs = [first]
    for piece in pieces:
        if "?" not in specs[-1] or known(name_of(piece.partition("+")[0].strip())):
            specs.append(piece)
        else:
            specs[-1] += "," + piece
    return [spec.strip() for spec in specs]


def name_of(part: str) -> str:
    """The name of an encoder in a spec, without argument, weights and settings."""
    return re.split("[:@?]", part, maxsplit=1)[0]


def without_weights(spec: str) -> str:
    """A spec without weights and settings: the name of an encoder, and its argument if any, as `timm:resnet50`."""
    return spec.partition("?")[0].partition("@")[0]
