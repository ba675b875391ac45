"""What the columns of counts are called, and how columns of one gene become one.

Files of 10x Genomics, AnnData and SpatialData hold symbols and Ensembl ids side by side: which of them names a gene is
a choice at reading, made before columns of one name are added up.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from eosin.errors import EosinError
from eosin.types import Section
from eosin.types.gene_ids import ensembl_id


@dataclass(frozen=True)
class GeneNames:
    """What columns are called, as far as their file says.

    Attributes
    ----------
    names
        [g] by which the genes are known.
    ensembl
        [g] Ensembl ids, `""` for a gene without one; None where the file has none.
    symbols
        [g] symbols, where `names` are Ensembl ids; `""` and None alike.
    """

    names: tuple[str, ...]
    ensembl: tuple[str, ...] | None = None
    symbols: tuple[str, ...] | None = None

    @classmethod
    def of(cls, section: Section) -> GeneNames:
        """The names that a section has."""
        return cls(section.genes or (), section.ensembl, section.symbols)

    def __len__(self) -> int:
        return len(self.names)

    @property
    def all_ids(self) -> list[str]:
        """[g] ids without version: the names that are ids, else those beside them."""
        beside = self.ensembl or ("",) * len(self)
        return [ensembl_id(name) or ensembl_id(given_id) or "" for given_id, name in zip(beside, self.names)]

    @property
    def all_symbols(self) -> list[str]:
        """[g] symbols: the names that are no ids, else those beside them."""
        beside = self.symbols or ("",) * len(self)
        return [given_symbol if ensembl_id(name) else name for given_symbol, name in zip(beside, self.names)]

    def take(self, columns: Sequence[int] | np.ndarray) -> GeneNames:
        """The names of some columns, in the order given."""
        names, ensembl, symbols = (
            None if part is None else tuple(part[j] for j in columns)
            for part in (self.names, self.ensembl, self.symbols)
        )
        return GeneNames(names or (), ensembl, symbols)


@dataclass(frozen=True)
class Columns:
    """One column for each name.

    Attributes
    ----------
    genes
        [g] what they are called.
    adder
        [m g] sparse: the columns of the file that make up each; None where they are the same.
    notes
        What was added up.
    """

    genes: GeneNames
    adder: sparse.csr_matrix | None
    notes: tuple[str, ...] = ()

    def add_up(self, counts: sparse.csr_matrix) -> sparse.csr_matrix:
        """Counts [s g] of the file's columns [s m]."""
        return counts if self.adder is None else sparse.csr_matrix(counts @ self.adder)


def one_each(given: GeneNames, called: Sequence[str], *, refuse: bool = False, whose: str = "") -> Columns:
    """One column for each name in `called` [m], in the place of the first; two columns of one name are added up.

    Both annotations of a gene measure it, so that their molecules are both that gene's.

    Parameters
    ----------
    given
        [m] what the file calls the columns.
    called
        [m] names to go by.
    refuse
        Two columns of one name are an error instead.
    whose
        Beginning of that error, as `section 'A1': `.
    """
    order = {name: j for j, name in enumerate(dict.fromkeys(called))}
    ids, symbols = given.all_ids, given.all_symbols
    if len(order) == len(called):
        return Columns(_beside(tuple(called), ids, symbols), None)
    repeated = [name for name, n in Counter(called).items() if n > 1]
    if refuse:
        raise _two_of(repeated[0], [old for old, new in zip(given.names, called) if new == repeated[0]], whose)
    place = np.array([order[name] for name in called])
    ones = np.ones(len(called), dtype=np.float32)
    adder = sparse.csr_matrix((ones, (np.arange(len(called)), place)), (len(called), len(order)))
    n = len(called) - len(order)
    note = f"{n} {'column was' if n == 1 else 'columns were'} added to another of the same gene: {listed(repeated)}"
    genes = _beside(tuple(order), _shared(ids, place, len(order)), _shared(symbols, place, len(order)))
    return Columns(genes, adder, (note,))


def _two_of(name: str, were: Sequence[str], whose: str) -> EosinError:
    fix = "add them up (--duplicates sum), or take one out"
    if set(were) == {name}:
        return EosinError(f"{whose}{len(were)} columns are called '{name}'", fix=fix)
    both = " and ".join(f"'{old}'" for old in were)
    return EosinError(f"{whose}{both} are both gene '{name}'", fix=fix)


def _beside(names: tuple[str, ...], ids: Sequence[str], symbols: Sequence[str]) -> GeneNames:
    """Names with ids and symbols beside them; without those that only repeat the names."""
    ids = [ensembl_id(name) or one for one, name in zip(ids, names)]
    new_ids = any(one and one != name for one, name in zip(ids, names))
    new_symbols = any(one and one != name for one, name in zip(symbols, names))
    return GeneNames(names, tuple(ids) if new_ids else None, tuple(symbols) if new_symbols else None)


def _shared(values: Sequence[str], place: np.ndarray, n: int) -> list[str]:
    """[n] the value that all columns [m] at a place have, or `""`: a sum over two ids is neither's."""
    shared: list[str | None] = [None] * n
    for value, j in zip(values, place):
        shared[j] = value if shared[j] in (None, value) else ""
    return [value or "" for value in shared]


def listed(names: Sequence[str]) -> str:
    """The first five names as text, with dots where there are more."""
    return ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")


# --- what is asked for at reading -----------------------------------------------------------------------------------

Call = Callable[[GeneNames], Sequence[str]]
"""From what columns are called to the names asked for; `""` for a gene that has none of the kind."""

KINDS: Mapping[str, Call] = {"symbol": lambda given: given.all_symbols, "ensembl": lambda given: given.all_ids}
"""The kinds of names that can be asked for."""
REFUSE: Mapping[str, bool] = {"sum": False, "refuse": True}
"""What can be asked for columns of one name: whether they are refused, else added up."""


@dataclass(frozen=True)
class Naming:
    """How readers call genes: `call` picks the name, and columns of one name are added up unless they are refused."""

    call: Call = lambda given: given.names
    refuse: bool = False

    def columns(self, given: GeneNames) -> Columns:
        """One column for each gene; a gene without a name of the kind keeps its own (an id loses its version).

        Raises
        ------
        EosinError
            Two columns of one name, where they are refused.
        """
        called = [new or ensembl_id(old) or old for old, new in zip(given.names, self.call(given))]
        return one_each(given, called, refuse=self.refuse)

    def counts(
        self, counts: sparse.csr_matrix, given: GeneNames
    ) -> tuple[sparse.csr_matrix, GeneNames, tuple[str, ...]]:
        """Counts [s g] of the columns [s m] that are `given`, what they are called, and notes."""
        columns = self.columns(given)
        return columns.add_up(counts), columns.genes, columns.notes


AS_GIVEN = Naming()


def naming_of(kind: str | None, duplicates: str = "sum") -> Naming:
    """The `Naming` for the user's words: `symbol`, `ensembl` or nothing; `sum` or `refuse`."""
    refuse = REFUSE[_known(duplicates, REFUSE, "way with duplicates")]
    return Naming(refuse=refuse) if kind is None else Naming(KINDS[_known(kind, KINDS, "kind of gene names")], refuse)


def _known(value: str, known: Mapping[str, object], what: str) -> str:
    if value not in known:
        raise EosinError(f"no {what} is called '{value}'", fix=f"use {' or '.join(known)}")
    return value
