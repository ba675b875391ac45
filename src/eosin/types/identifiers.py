"""Checks of names: that they are unique, and that the other names of genes fit the genes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from eosin.errors import EosinError
from eosin.types.gene_ids import ensembl_id


def are_unique(names: Sequence[str]) -> bool:
    """Whether no name occurs twice. A set of millions takes more memory than the names: their hashes go first."""
    hashes = np.fromiter(map(hash, names), dtype=np.int64, count=len(names))
    hashes.sort()
    return not np.any(hashes[1:] == hashes[:-1]) or len(set(names)) == len(names)


def first_repeat(names: Sequence[str]) -> str:
    """The first name that occurs a second time.

    Raises
    ------
    ValueError
        All names are unique.
    """
    seen: set[str] = set()
    for name in names:
        if name in seen:
            return name
        seen.add(name)
    raise ValueError("no name occurs twice")


def names_beside(genes: Sequence[str], others: Sequence[str] | None, what: str, whose: str) -> tuple[str, ...] | None:
    """Other names of genes, checked to be one per gene; None where all are missing or empty.

    Parameters
    ----------
    genes
        Names [g].
    others
        Other names [g], `""` for a gene without one.
    what, whose
        What the other names are and what they belong to, for the error.

    Raises
    ------
    EosinError
        Their number differs from that of the genes.
    """
    if others is None or not any(others):
        return None
    if len(others) != len(genes):
        raise EosinError(f"{whose}: {len(others)} {what} for {len(genes)} genes", fix="give one per gene, or ''")
    return tuple(map(str, others))


def ids_beside(genes: Sequence[str], ids: Sequence[str] | None, whose: str) -> tuple[str, ...] | None:
    """Ensembl ids of genes [g], checked and without versions; None where there are none. See `names_beside`."""
    given = names_beside(genes, ids, "Ensembl ids", whose)
    if given is None:
        return None
    if invalid := [gene_id for gene_id in given if gene_id and ensembl_id(gene_id) is None]:
        raise EosinError(f"{whose}: '{invalid[0]}' is no Ensembl gene id", fix="give '' for a gene without one")
    return tuple(ensembl_id(gene_id) or "" for gene_id in given)
