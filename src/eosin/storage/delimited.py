"""Tables of text, as people write them."""

from __future__ import annotations


def delimiter_of(text: str) -> str:
    """What stands between the columns of a table: the first of tab, semicolon and comma that its first line has."""
    first = text.split("\n", 1)[0]
    return next((mark for mark in "\t;," if mark in first), ",")
