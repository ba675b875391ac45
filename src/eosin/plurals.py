"""Counts in words: `1 spot`, `2 spots`, in every message alike."""

from __future__ import annotations


def counted(n: int, noun: str) -> str:
    """A number with its noun, which is given in the singular and has a plural in s: `1 spot`, `0 spots`."""
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"
