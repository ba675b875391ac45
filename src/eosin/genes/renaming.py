"""Genes called by one kind of name: symbols <-> Ensembl ids, as their section knows them or by a table the user gives.

Tables of HGNC (complete set) and MGI are read as they are published, besides eosin's own columns `symbol`,
`ensembl_id`, `aliases`, `previous`, `species`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from eosin.errors import EosinError
from eosin.genes.columns import KINDS, GeneNames, listed, naming_of, one_each
from eosin.types import Section
from eosin.types.gene_ids import KIND_IN_WORDS, ensembl_id, kind_of


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
    """Symbols, Ensembl ids and other names of genes, of one species or of several that `species` tells apart.

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
        """Ensembl id -> symbol; of two rows of one id the first."""
        return {gene.ensembl: gene.symbol for gene in reversed(self.genes) if gene.ensembl}

    @cached_property
    def id_of_symbol(self) -> dict[str, str]:
        """Symbol -> Ensembl id; of two rows of one symbol the first."""
        return {gene.symbol: gene.ensembl for gene in reversed(self.genes) if gene.ensembl}

    @cached_property
    def symbols(self) -> frozenset[str]:
        """All present symbols."""
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
    """The section with its genes called by one kind of name, by a table.

    Genes that the table does not know keep their name (an Ensembl id loses its version), and a note counts them. The
    species of a table of several is the one that knows most of the section's names.

    Parameters
    ----------
    section
        A section; one without counts is returned as it is.
    table
        From `eosin.genes.name_table.read_gene_table`.
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
    refuse = naming_of(to, duplicates).refuse
    if section.genes is None:
        return section
    if to == "ensembl" and not table.symbol_of_id:
        raise EosinError("the gene table has no Ensembl ids", fix="give one with a column ensembl_id")
    species = max(table.by_species.values(), key=lambda of: of.knows(section.genes or ()))
    new_names = [species.symbol(name) if to == "symbol" else species.ensembl(name) for name in section.genes]
    unknown = [name for name, new in zip(section.genes, new_names) if new is None]
    if len(unknown) == len(new_names):
        raise EosinError(
            f"the gene table knows none of the {len(unknown)} genes of section '{section.name}', first '{unknown[0]}'",
            fix="give the table of that species",
        )
    own = GeneNames.of(section)
    known = GeneNames(
        own.names,
        tuple(it or species.ensembl(name) or "" for it, name in zip(own.all_ids, own.names)),
        tuple(it or species.symbol(name) or "" for it, name in zip(own.all_symbols, own.names)),
    )
    notes = _rename_notes(
        own.names, new_names, to, f"{len(unknown)} of {len(new_names)} genes are not in the gene table", unknown
    )
    return _renamed(section, known, new_names, notes, refuse=refuse)


def rename_by_own(section: Section, to: str = "symbol", *, duplicates: str = "sum") -> Section:
    """The section with its genes called by one kind of name, as far as its own files hold it.

    `Section.ensembl` and `Section.symbols` hold them, where a reader found both kinds. Parameters as of `rename`.

    Raises
    ------
    EosinError
        An unknown kind; a section that knows no name of the kind; two columns of one name where they are refused.
    """
    refuse = naming_of(to, duplicates).refuse
    if section.genes is None:
        return section
    own = GeneNames.of(section)
    new_names = [new or None for new in KINDS[to](own)]
    unknown = [name for name, new in zip(own.names, new_names) if new is None]
    if len(unknown) == len(new_names):
        problem = f"section '{section.name}' has {KIND_IN_WORDS[kind_of(own.names)]} only"
        fix = "give one by --gene-table, with columns symbol and ensembl_id"
        raise EosinError(f"{problem}: calling genes by {to} needs a table of genes", fix=fix)
    lack = f"{len(unknown)} of {len(new_names)} genes have no {KIND_IN_WORDS[to].removesuffix('s')} in the file"
    return _renamed(section, own, new_names, _rename_notes(own.names, new_names, to, lack, unknown), refuse=refuse)


def _rename_notes(
    old: Sequence[str], new: Sequence[str | None], to: str, lack: str, unknown: Sequence[str]
) -> tuple[str, ...]:
    """Notes on how many genes were renamed, and which keep their names."""
    changed = sum(after is not None and before != after for before, after in zip(old, new))
    notes = f"{changed} of {len(old)} genes were renamed to {to if to == 'symbol' else 'Ensembl id'}"
    return (notes, *((f"{lack} and keep their names: {listed(unknown)}",) if unknown else ()))


def _renamed(
    section: Section, known: GeneNames, new_names: Sequence[str | None], notes: Sequence[str], *, refuse: bool
) -> Section:
    """The section with the names that were found; a gene without one keeps its own, an id without version."""
    names = [new or ensembl_id(old) or old for old, new in zip(known.names, new_names)]
    made = one_each(known, names, refuse=refuse, whose=f"section '{section.name}': ")
    assert section.counts is not None  # a section has counts where it has genes
    return replace(
        section,
        counts=made.add_up(section.counts),
        genes=made.genes.names,
        ensembl=made.genes.ensembl,
        symbols=made.genes.symbols,
        notes=(*section.notes, *notes, *made.notes),
    )
