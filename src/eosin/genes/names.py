"""Genes called by one kind of name: symbols <-> Ensembl ids, outdated and other symbols, from a table the user gives.

Tables of HGNC (complete set) and MGI are read as they are published, besides eosin's own columns `symbol`,
`ensembl_id`, `aliases`, `previous`, `species`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy import sparse

from eosin.errors import EosinError
from eosin.gene_ids import ensembl_id
from eosin.types import Section

KINDS = ("symbol", "ensembl")
DUPLICATES = ("sum", "refuse")


@dataclass(frozen=True)
class Gene:
    """One row of a gene table. `ensembl` is without version and may be empty."""

    symbol: str
    ensembl: str = ""
    aliases: tuple[str, ...] = ()
    previous: tuple[str, ...] = ()
    species: str = ""


@dataclass(frozen=True)
class GeneTable:
    """What genes are called. One species, or several told apart by `species`.

    An outdated symbol or an alias is followed only if it belongs to one gene and is no gene's present symbol.
    """

    genes: tuple[Gene, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "genes", tuple(self.genes))
        if not self.genes:
            raise EosinError("the gene table is empty", fix="give a table with columns symbol and ensembl_id")

    @cached_property
    def by_species(self) -> dict[str, GeneTable]:
        """One table per species."""
        rows: dict[str, list[Gene]] = {}
        for gene in self.genes:
            rows.setdefault(gene.species, []).append(gene)
        return {species: GeneTable(tuple(genes)) for species, genes in sorted(rows.items())}

    @cached_property
    def symbol_of_id(self) -> dict[str, str]:
        return {gene.ensembl: gene.symbol for gene in reversed(self.genes) if gene.ensembl}

    @cached_property
    def id_of_symbol(self) -> dict[str, str]:
        return {gene.symbol: gene.ensembl for gene in reversed(self.genes) if gene.ensembl}

    @cached_property
    def symbols(self) -> frozenset[str]:
        return frozenset(gene.symbol for gene in self.genes)

    @cached_property
    def _previous(self) -> dict[str, str]:
        return self._of_one_gene((gene.symbol, gene.previous) for gene in self.genes)

    @cached_property
    def _aliases(self) -> dict[str, str]:
        return self._of_one_gene((gene.symbol, gene.aliases) for gene in self.genes)

    def _of_one_gene(self, other_names: Iterable[tuple[str, tuple[str, ...]]]) -> dict[str, str]:
        owners: dict[str, set[str]] = {}
        for symbol, others in other_names:
            for other in others:
                owners.setdefault(other, set()).add(symbol)
        return {other: min(of) for other, of in owners.items() if len(of) == 1}

    def knows(self, names: Iterable[str]) -> int:
        """How many of `names` are its present symbols or ids: what tells species apart."""
        return sum(name in self.symbols or ensembl_id(name) in self.symbol_of_id for name in names)

    def symbol(self, name: str) -> str | None:
        """The present symbol of the gene that `name` stands for, or None."""
        if (known := ensembl_id(name)) is not None:
            return self.symbol_of_id.get(known)
        return name if name in self.symbols else self._previous.get(name) or self._aliases.get(name)

    def ensembl(self, name: str) -> str | None:
        """The Ensembl id, without version, of the gene that `name` stands for, or None."""
        if (known := ensembl_id(name)) is not None:
            return known if known in self.symbol_of_id else None
        symbol = self.symbol(name)
        return None if symbol is None else self.id_of_symbol.get(symbol)


def rename(section: Section, table: GeneTable, to: str = "symbol", *, duplicates: str = "sum") -> Section:
    """The section with its genes called by one kind of name.

    Genes that the table does not know keep their name (an Ensembl id loses its version), and a note counts them. The
    species of a table of several is the one that knows most of the section's names.

    Parameters
    ----------
    section
        A section; one without counts is returned as it is.
    table
        From `eosin.genes.tables.read_gene_table`.
    to
        `symbol` or `ensembl`.
    duplicates
        Columns that end with one name: `sum` adds their counts, `refuse` is an error.

    Raises
    ------
    EosinError
        An unknown kind; a table that knows no gene of the section, or has no Ensembl ids where they are asked for;
        two columns of one name where they are refused.
    """
    _need_one_of(to, KINDS, "kind of gene names")
    _need_one_of(duplicates, DUPLICATES, "way with duplicates")
    if section.genes is None or section.counts is None:
        return section
    if to == "ensembl" and not table.symbol_of_id:
        raise EosinError("the gene table has no Ensembl ids", fix="give one with a column ensembl_id")
    one = max(table.by_species.values(), key=lambda of: of.knows(section.genes or ()))
    found = [one.symbol(name) if to == "symbol" else one.ensembl(name) for name in section.genes]
    unknown = [name for name, new in zip(section.genes, found) if new is None]
    if len(unknown) == len(found):
        raise EosinError(
            f"the gene table knows none of the {len(found)} genes of section '{section.name}', first '{unknown[0]}'",
            fix="give the table of that species",
        )
    names = [new or ensembl_id(name) or name for name, new in zip(section.genes, found)]
    notes = _told(section.genes, names, unknown, to)
    counts, genes, more = _merge(section, names, refuse=duplicates == "refuse")
    return replace(section, counts=counts, genes=genes, notes=(*section.notes, *notes, *more))


def _told(old: Sequence[str], new: Sequence[str], unknown: Sequence[str], to: str) -> list[str]:
    changed = sum(before != after for before, after in zip(old, new))
    notes = [f"{changed} of {len(old)} genes were renamed to {to if to == 'symbol' else 'Ensembl id'}"]
    if unknown:
        listed = ", ".join(unknown[:5]) + (", ..." if len(unknown) > 5 else "")
        notes.append(f"{len(unknown)} of {len(old)} genes are not in the gene table and keep their names: {listed}")
    return notes


def _merge(
    section: Section, names: Sequence[str], *, refuse: bool
) -> tuple[sparse.csr_matrix, tuple[str, ...], list[str]]:
    """Columns of one name added up, in the place of the first."""
    order = {name: j for j, name in enumerate(dict.fromkeys(names))}
    if len(order) == len(names):
        return sparse.csr_matrix(section.counts), tuple(names), []
    repeated = [name for name, n in Counter(names).items() if n > 1]
    if refuse:
        was = " and ".join(f"'{old}'" for old, new in zip(section.genes or (), names) if new == repeated[0])
        problem = f"section '{section.name}': {was} are both gene '{repeated[0]}'"
        raise EosinError(problem, fix="add them up (duplicates='sum'), or take one out")
    columns = np.array([order[name] for name in names])
    ones = np.ones(len(names), dtype=np.float32)
    adder = sparse.csr_matrix((ones, (np.arange(len(names)), columns)), (len(names), len(order)))
    listed = ", ".join(repeated[:5]) + (", ..." if len(repeated) > 5 else "")
    note = f"{len(names) - len(order)} columns were added to another of the same gene: {listed}"
    return sparse.csr_matrix(section.counts @ adder), tuple(order), [note]


def _need_one_of(value: str, known: tuple[str, ...], what: str) -> None:
    if value not in known:
        raise EosinError(f"no {what} is called '{value}'", fix=f"use {' or '.join(known)}")
