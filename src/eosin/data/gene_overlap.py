"""Whether sections that are read together measure the same genes."""

from __future__ import annotations

from collections.abc import Sequence

from eosin.types import Section

_FEW, _DIFFERENT = 0.5, 0.8
"""Share of the smaller section's genes that all have: below the second it is said, below the first it is a warning."""


def shared_genes(sections: Sequence[Section]) -> int | None:
    """How many genes all sections have; None where fewer than two have counts."""
    named = [set(section.genes) for section in sections if section.genes is not None]
    return len(set.intersection(*named)) if len(named) > 1 else None


def overlap_note(sections: Sequence[Section]) -> tuple[str | None, bool]:
    """In words, that sections share few genes or differ much in their number, and whether that is a warning.

    Sections of one study usually share nearly all: another panel, another reference or another kind of names is seen
    here before a model is trained on what is left.
    """
    shared = shared_genes(sections)
    numbered = sorted((len(section.genes), section.name) for section in sections if section.genes)
    if shared is None or len(numbered) < 2:
        return None, False
    (fewest, first), (most, last) = numbered[0], numbered[-1]
    if shared >= _DIFFERENT * fewest and fewest >= _FEW * most:
        return None, False
    said = f"'{first}' has {fewest:,} genes and '{last}' {most:,}; all {len(numbered)} sections share {shared:,}"
    if shared < _FEW * fewest:
        return f"{said}: are their genes of one panel, and called alike (--gene-names)?", True
    return said, False
