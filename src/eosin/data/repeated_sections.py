"""Whether two sections that are read together are one: the same counts under two names."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

from eosin.types import Section

_FEWEST = 10
"""Spots, and molecules, from which on equal counts are no chance."""


def repeated_note(sections: Sequence[Section]) -> str | None:
    """In words, which sections have the same counts as one before them; None where all differ."""
    first: dict[bytes, str] = {}
    twice = []
    for section in sections:
        if section.counts is None or len(section) < _FEWEST or section.counts.nnz < _FEWEST:
            continue
        key = _mark_of(section)
        if (other := first.setdefault(key, section.name)) != section.name:
            twice.append(f"'{section.name}' has the counts of '{other}'")
    return f"{', '.join(twice[:4])}{', ...' if len(twice) > 4 else ''}: are they one section?" if twice else None


def _mark_of(section: Section) -> bytes:
    """Equal for sections of equal counts in the same order."""
    assert section.counts is not None
    digest = hashlib.blake2b(repr(section.counts.shape).encode(), digest_size=16)
    for part in (section.counts.indptr, section.counts.indices, section.counts.data):
        digest.update(np.ascontiguousarray(part).data)
    return digest.digest()
