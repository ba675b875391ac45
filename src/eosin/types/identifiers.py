"""Names that must be unique, and the other names that genes have."""

from __future__ import annotations

from collections.abc import Sequence

from eosin.errors import EosinError
from eosin.types.gene_ids import ensembl_id


def first_repeat(names: Sequence[str]) -> str:
    """The first name that occurs a second time."""
    seen: set[str] = set()
    for name in names:
        if name in seen:
            return name
        seen.add(name)
    raise ValueError("no name occurs twice")


def names_beside(genes: Sequence[str], others: Sequence[str] | None, what: str, whose: str) -> tuple[str, ...] | None:
    """Other names of genes [g], checked; None where there are none, so that nothing and empty names are equal."""
    if others is None or not any(others):
        return None
    if len(others) != len(genes):
        raise EosinError(f"{whose}: {len(others)} {what} for {len(genes)} genes", fix="give one per gene, or ''")
    return tuple(map(str, others))


def ids_beside(genes: Sequence[str], ids: Sequence[str] | None, whose: str) -> tuple[str, ...] | None:
    """Ensembl ids of genes [g], checked, without versions; None where there are none."""
    given = names_beside(genes, ids, "Ensembl ids", whose)
    if given is None:
        return None
    if odd := [one for one in given if one and ensembl_id(one) is None]:
        raise EosinError(f"{whose}: '{odd[0]}' is no Ensembl gene id", fix="give '' for a gene without one")
    return tuple(ensembl_id(one) or "" for one in given)
