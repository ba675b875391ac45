"""How encoders are written as text: several joined by `+`, several listed by commas, each with a name and settings."""

from __future__ import annotations

import re
from collections.abc import Callable


def split_spec(spec: str, known: Callable[[str], bool]) -> list[str]:
    """The parts of a spec, one for each encoder.

    A `+` among names always parts them. Behind a `:`, `@` or `?` it does so only where a known encoder's name follows:
    the name of a file may hold one, and in a setting it stands for a space.
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
    """Specs that are listed by commas. Within settings a comma parts only where a known encoder's name follows it."""
    first, *pieces = text.split(",")
    specs = [first]
    for piece in pieces:
        if "?" not in specs[-1] or known(name_of(piece.partition("+")[0].strip())):
            specs.append(piece)
        else:
            specs[-1] += "," + piece
    return [spec.strip() for spec in specs]


def name_of(part: str) -> str:
    """What stands before an argument or settings."""
    return re.split("[:@?]", part, maxsplit=1)[0]
