"""What columns are called: ids beside symbols, columns of one name, and ids that go with a panel."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from eosin.errors import EosinError
from eosin.genes import choose_panel, with_ids
from eosin.genes.columns import AS_GIVEN, GeneNames, naming_of, one_each
from eosin.genes.renaming import rename, rename_by_own
from eosin.types import GenePanel, Section
from unit.genes.test_renaming import EPCAM, ERBB2, HUMAN, KMT2D, TP53, dense, section

COUNTS = sparse.csr_matrix([[1, 2, 4, 8], [1, 0, 0, 0]], dtype=np.float32)
TWO_OF_B = GeneNames(("B", "A", "B", "C"), (ERBB2, EPCAM, TP53, ""))
"""Two annotations of one symbol, as Visium's reference has some."""


def known(*genes: str, ensembl: tuple[str, ...] | None = None, symbols: tuple[str, ...] | None = None) -> Section:
    whole = section(*genes)
    return Section("S", "P", whole.spots, counts=whole.counts, genes=whole.genes, ensembl=ensembl, symbols=symbols)


def test_columns_of_one_name_are_added_in_the_place_of_the_first() -> None:
    counts, genes, notes = AS_GIVEN.counts(COUNTS, TWO_OF_B)
    assert genes.names == ("B", "A", "C") and counts.toarray().tolist() == [[5, 2, 8], [1, 0, 0]]
    assert notes == ("1 column was added to another of the same gene: B",)


def test_a_sum_over_two_ids_has_none() -> None:
    assert AS_GIVEN.columns(TWO_OF_B).genes.ensembl == ("", EPCAM, "")
    same = GeneNames(("B", "A", "B"), (f"{ERBB2}.1", EPCAM, ERBB2))
    assert AS_GIVEN.columns(same).genes.ensembl == (ERBB2, EPCAM)


def test_distinct_columns_are_left_alone() -> None:
    assert AS_GIVEN.counts(COUNTS, GeneNames(("a", "b", "c", "d")))[0] is COUNTS


def test_ids_keep_apart_what_symbols_add_up() -> None:
    counts, genes, notes = naming_of("ensembl").counts(COUNTS, TWO_OF_B)
    assert genes.names == (ERBB2, EPCAM, TP53, "C") and genes.symbols == ("B", "A", "B", "C")
    assert counts is COUNTS and notes == ()


def test_repeats_are_refused_by_setting() -> None:
    with pytest.raises(EosinError, match=r"^2 columns are called 'B'; add them up \(--duplicates sum\)"):
        naming_of(None, "refuse").columns(TWO_OF_B)
    with pytest.raises(EosinError, match=f"'{ERBB2}.1' and '{ERBB2}.2' are both gene '{ERBB2}'"):
        naming_of("ensembl", "refuse").columns(GeneNames((f"{ERBB2}.1", f"{ERBB2}.2")))
    for kind, duplicates, said in (("entrez", "sum", "kind of gene names"), (None, "drop", "way with duplicates")):
        with pytest.raises(EosinError, match=f"no {said} is called"):
            naming_of(kind, duplicates)


def test_names_of_some_columns() -> None:
    some = TWO_OF_B.take([3, 1])
    assert some == GeneNames(("C", "A"), ("", EPCAM)) and len(one_each(some, some.names).genes) == 2


# --- sections -------------------------------------------------------------------------------------------------------


def test_a_section_is_renamed_by_what_it_knows_and_back() -> None:
    there = rename_by_own(known("ERBB2", "EPCAM", "new", ensembl=(ERBB2, EPCAM, "")), "ensembl")
    assert there.genes == (ERBB2, EPCAM, "new") and there.symbols == ("ERBB2", "EPCAM", "new")
    assert "1 of 3 genes have no Ensembl id in the file and keep their names: new" in there.notes
    assert rename_by_own(there, "symbol").genes == ("ERBB2", "EPCAM", "new")
    assert rename_by_own(there, "symbol").ensembl == (ERBB2, EPCAM, "")


def test_without_other_names_a_table_is_asked_for() -> None:
    with pytest.raises(EosinError, match="'S' has symbols only: calling genes by ensembl needs a table of genes"):
        rename_by_own(section("ERBB2"), "ensembl")
    with pytest.raises(EosinError, match="'S' has Ensembl ids only: calling genes by symbol needs a table of genes"):
        rename_by_own(section(ERBB2), "symbol")
    assert rename_by_own(section(f"{ERBB2}.7"), "ensembl").genes == (ERBB2,)


def test_two_that_end_as_one_are_added_up_or_refused() -> None:
    whole = known(ERBB2, EPCAM, TP53, symbols=("X", "Y", "X"))
    assert dense(rename_by_own(whole, "symbol"))[:, 0].tolist() == dense(whole)[:, [0, 2]].sum(1).tolist()
    with pytest.raises(EosinError, match=f"section 'S': '{ERBB2}' and '{TP53}' are both gene 'X'"):
        rename_by_own(whole, "symbol", duplicates="refuse")


def test_a_table_leaves_both_names() -> None:
    one = rename(section("HER2", "P53", "other"), HUMAN)
    assert one.genes == ("ERBB2", "TP53", "other") and one.ensembl == (ERBB2, TP53, "")
    there = rename(one, HUMAN, "ensembl")
    assert there.genes == (ERBB2, TP53, "other") and there.symbols == ("ERBB2", "TP53", "other")


def test_a_mismatch_proposes_no_table_where_none_is_needed() -> None:
    with pytest.raises(EosinError, match=r"read it with --gene-names ensembl$"):
        known("ERBB2", ensembl=(ERBB2,)).expression([ERBB2])


# --- panels ---------------------------------------------------------------------------------------------------------


def test_a_panel_carries_the_ids_that_its_sections_know() -> None:
    one = known("ERBB2", "EPCAM", "TP53", ensembl=(ERBB2, EPCAM, ""))
    assert choose_panel("EPCAM,TP53", [one]).ensembl == (EPCAM, "")
    assert choose_panel("ERBB2", [section("ERBB2")]).ensembl is None
    assert choose_panel(ERBB2, [section(ERBB2)]).ensembl == (ERBB2,)


def test_ids_on_which_sections_disagree_are_left_out() -> None:
    ones = [known("A", "B", ensembl=(ERBB2, EPCAM)), known("A", "B", ensembl=(ERBB2, KMT2D))]
    assert with_ids(GenePanel(("A", "B")), ones).ensembl == (ERBB2, "")
    given = GenePanel(("A",), ensembl=(TP53,))
    assert with_ids(given, ones) is given
