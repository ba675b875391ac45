"""How records show themselves in a terminal and a notebook: one line, and a small table with a thumbnail."""

from __future__ import annotations

import base64
import html
from collections.abc import Callable, Mapping

from eosin.types.places import Image

_thumbnailers: list[Callable[[Image], bytes | None]] = []
"""At most one function; see `show_thumbnails_by`."""


def show_thumbnails_by(thumbnail: Callable[[Image], bytes | None]) -> None:
    """Set what makes the thumbnails: a function from an image to a JPEG, or None where it cannot be read.

    Records know no pixels; `eosin.slide` sets it.
    """
    _thumbnailers[:] = [thumbnail]


def thumbnail_of(image: Image | None) -> bytes | None:
    """The image's thumbnail, a JPEG; None where there is no image or it cannot be read."""
    return None if image is None or not _thumbnailers else _thumbnailers[0](image)


def one_line(kind: str, *facts: str) -> str:
    """`Kind(fact, fact)`; empty facts are left out, and nothing breaks the line."""
    text = ", ".join(fact for fact in facts if fact)
    return f"{kind}({''.join(c if c.isprintable() else ascii(c)[1:-1] for c in text)})"


def html_table(kind: str, facts: Mapping[str, object], picture: bytes | None = None) -> str:
    """A table of facts by name, with a JPEG beside it; texts are escaped, and facts that are None or empty left out."""
    rows = "".join(
        f"<tr><th style='text-align:left'>{html.escape(name)}</th>"
        f"<td style='text-align:left'>{html.escape(str(fact))}</td></tr>"
        for name, fact in facts.items()
        if fact not in (None, "")
    )
    table = f"<table><caption><b>{html.escape(kind)}</b></caption>{rows}</table>"
    if picture is not None:
        source = f"data:image/jpeg;base64,{base64.b64encode(picture).decode()}"
        table = f"<img alt='thumbnail' src='{source}'>{table}"
    return f"<div style='display:flex;gap:1em;align-items:center'>{table}</div>"


def first_of(names: tuple[str, ...] | None, n: int = 5) -> str:
    """A number of names and the first of them, as `1,203: ERBB2, GATA3, ...`."""
    if not names:
        return ""
    return f"{len(names):,}: {', '.join(names[:n])}{', ...' if len(names) > n else ''}"
