"""What genes are called: tables of several publishers, renaming, and the line that proposes it."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from eosin.data import read
from eosin.errors import EosinError
from eosin.genes import choose_panel, target
from eosin.genes.name_table import read_gene_table
from eosin.genes.renaming import Gene, GeneTable, rename
from eosin.types import GenePanel, Section, Spots
from eosin.types.gene_ids import ensembl_id, kind_of, rename_advice

ERBB2, EPCAM, TP53, KMT2D = "ENSG00000141736", "ENSG00000119888", "ENSG00000141510", "ENSG00000167548"
HUMAN = GeneTable(
    (
        Gene("ERBB2", ERBB2, aliases=("HER2", "NEU"), previous=("NGL",), species="human"),
        Gene("EPCAM", EPCAM, aliases=("ESA",), previous=("TACSTD1", "MLL2"), species="human"),
        Gene("TP53", TP53, aliases=("P53", "ESA"), species="human"),
        Gene("KMT2D", KMT2D, previous=("MLL2",), species="human"),
        Gene("H19", "ENSG00000130600", species="human"),
    )
)
MOUSE = GeneTable(
    (
        Gene("Erbb2", "ENSMUSG00000062312", aliases=("Her2",), species="mouse"),
        Gene("H19", "ENSMUSG00000000031", species="mouse"),
    )
)
BOTH = GeneTable(HUMAN.genes + MOUSE.genes)


def section(*genes: str, name: str = "S") -> Section:
    counts = np.arange(1, 3 * len(genes) + 1).reshape(3, len(genes))
    spots = Spots(np.arange(6).reshape(3, 2) * 100.0, 55.0, ("a", "b", "c"))
    return Section(name, "P", spots, counts=sparse.csr_matrix(counts), genes=genes)


def dense(one: Section) -> np.ndarray:
    assert one.counts is not None
    return one.counts.toarray()


def test_ensembl_ids_with_and_without_version() -> None:
    assert ensembl_id("ENSG00000141736.14") == ensembl_id("ENSG00000141736.14_PAR_Y") == ERBB2
    assert ensembl_id("ENSMUSG00000062312") == "ENSMUSG00000062312"
    for other in ("ERBB2", "ENSG", "ENST00000269571", "ENSG00000141736.x", "", "xENSG00000141736"):
        assert ensembl_id(other) is None
    assert kind_of([ERBB2, EPCAM, "GFP"]) == "ensembl" and kind_of(["ERBB2", TP53]) == "symbol"


def test_ids_of_any_version_become_symbols() -> None:
    one = rename(section(f"{ERBB2}.3", EPCAM, f"{TP53}.18"), HUMAN)
    assert one.genes == ("ERBB2", "EPCAM", "TP53") and np.array_equal(dense(one), dense(section("a", "b", "c")))
    assert "3 of 3 genes were renamed to symbol" in one.notes


def test_symbols_old_and_new_become_ids_and_back() -> None:
    there = rename(section("HER2", "TACSTD1", "P53"), HUMAN, "ensembl")
    assert there.genes == (ERBB2, EPCAM, TP53)
    assert rename(there, HUMAN, "symbol").genes == ("ERBB2", "EPCAM", "TP53")


def test_a_name_of_two_genes_is_not_guessed() -> None:
    one = rename(section("ERBB2", "MLL2", "ESA"), HUMAN)  # MLL2 was both KMT2D and, here, EPCAM; ESA both alias
    assert one.genes == ("ERBB2", "MLL2", "ESA")
    assert "2 of 3 genes are not in the gene table and keep their names: MLL2, ESA" in one.notes


def test_a_present_symbol_wins_over_a_former_meaning() -> None:
    table = GeneTable((Gene("A1", previous=("B1",)), Gene("B1")))
    assert rename(section("B1", "A1"), table).genes == ("B1", "A1")


def test_columns_of_one_gene_are_added_up_or_refused() -> None:
    whole = section("ERBB2", "TP53", "HER2", f"{ERBB2}.1")
    one = rename(whole, HUMAN)
    assert one.genes == ("ERBB2", "TP53")
    assert (
        np.array_equal(dense(one)[:, 0], dense(whole)[:, [0, 2, 3]].sum(1)) and dense(one).sum() == dense(whole).sum()
    )
    assert "2 columns were added to another of the same gene: ERBB2" in one.notes
    with pytest.raises(EosinError, match=r"'S': 'ERBB2' and 'HER2' and 'ENSG00000141736\.1' are both gene 'ERBB2'"):
        rename(whole, HUMAN, duplicates="refuse")


def test_unknown_genes_keep_their_names_without_version() -> None:
    one = rename(section("ERBB2", "ENSG00000999999.7", "AC01.2"), HUMAN, "ensembl")
    assert one.genes == (ERBB2, "ENSG00000999999", "AC01.2")
    assert any(note.startswith("2 of 3 genes are not in the gene table") for note in one.notes)


def test_the_species_is_the_one_that_knows_the_names() -> None:
    assert rename(section("Erbb2", "H19"), BOTH, "ensembl").genes == ("ENSMUSG00000062312", "ENSMUSG00000000031")
    assert rename(section("ERBB2", "H19"), BOTH, "ensembl").genes == (ERBB2, "ENSG00000130600")
    assert rename(section("ENSMUSG00000000031.4", "ENSMUSG00000062312"), BOTH).genes == ("H19", "Erbb2")


def test_refusals() -> None:
    with pytest.raises(EosinError, match="knows none of the 2 genes of section 'S', first 'x'; give the table of that"):
        rename(section("x", "y"), HUMAN)
    with pytest.raises(EosinError, match="no kind of gene names is called 'entrez'; use symbol or ensembl"):
        rename(section("ERBB2"), HUMAN, "entrez")
    with pytest.raises(EosinError, match="no way with duplicates is called 'mean'"):
        rename(section("ERBB2"), HUMAN, duplicates="mean")
    with pytest.raises(EosinError, match="has no Ensembl ids"):
        rename(section("A"), GeneTable((Gene("A"),)), "ensembl")


def test_a_section_without_counts_stays() -> None:
    bare = Section("S", "P", Spots(np.zeros((1, 2)), 55.0, ("a",)))
    assert rename(bare, HUMAN) is bare


# --- tables -------------------------------------------------------------------------------------------------------

OURS = pd.DataFrame(
    {
        "symbol": ["ERBB2", "Erbb2"],
        "ensembl_id": [f"{ERBB2}.2", "ENSMUSG00000062312"],
        "aliases": ["HER2|NEU", ""],
        "previous": ["NGL", ""],
        "species": ["human", "mouse"],
    }
)


@pytest.mark.parametrize("name", ["t.tsv", "t.csv", "t.parquet", "t.tsv.gz"])
def test_own_columns_in_every_format(tmp_path: Path, name: str) -> None:
    file = tmp_path / name
    if name.endswith("parquet"):
        OURS.assign(aliases=[["HER2", "NEU"], None]).to_parquet(file)
    else:
        OURS.to_csv(file, sep="," if name.endswith("csv") else "\t", index=False)
    table = read_gene_table(file)
    assert set(table.by_species) == {"human", "mouse"}
    assert table.by_species["human"].genes == (Gene("ERBB2", ERBB2, ("HER2", "NEU"), ("NGL",), "human"),)


def test_hgnc_complete_set(tmp_path: Path) -> None:
    file = tmp_path / "hgnc_complete_set.txt"
    file.write_text(
        "hgnc_id\tsymbol\tname\tstatus\talias_symbol\tprev_symbol\tensembl_gene_id\n"
        f'HGNC:3430\tERBB2\terb-b2\tApproved\t"NEU|HER-2|HER2"\tNGL\t{ERBB2}\n'
        "HGNC:1\tOLD\tgone\tEntry Withdrawn\t\t\t\n"
        "HGNC:2\tNA\tnot nothing\tApproved\t\t\t\n"
    )
    table = read_gene_table(file)
    assert [gene.symbol for gene in table.genes] == ["ERBB2", "NA"]
    assert table.genes[0].aliases == ("NEU", "HER-2", "HER2") and table.symbol("HER-2") == "ERBB2"


def test_hgnc_custom_download(tmp_path: Path) -> None:
    file = tmp_path / "custom.tsv"
    headings = ["HGNC ID", "Approved symbol", "Status", "Previous symbols", "Alias symbols", "Ensembl gene ID"]
    file.write_text("\t".join(headings) + f"\nHGNC:3430\tERBB2\tApproved\tNGL\tNEU, HER-2\t{ERBB2}\n")
    assert read_gene_table(file).genes == (Gene("ERBB2", ERBB2, ("NEU", "HER-2"), ("NGL",)),)


def test_mgi_reports(tmp_path: Path) -> None:
    row = "MGI:95410\tErbb2\terb-b2\t61.75\t11\tENSMUSG00000062312\tENSMUST1\tENSMUSP1\tprotein coding gene"
    bare = tmp_path / "MRK_ENSEMBL.rpt"
    bare.write_text(f"{row}\n{row.replace('Erbb2', 'H19').replace('62312', '00031')}\n")
    assert {gene.symbol: gene.ensembl for gene in read_gene_table(bare).genes} == {
        "Erbb2": "ENSMUSG00000062312",
        "H19": "ENSMUSG00000000031",
    }
    headed = tmp_path / "MGI_Gene_Model_Coord.rpt"
    headed.write_text(
        "1. MGI accession id\t2. marker type\t3. marker symbol\t11. Ensembl gene id\n"
        "MGI:95410\tGene\tErbb2\tENSMUSG00000062312\n"
    )
    assert read_gene_table(headed).symbol("ENSMUSG00000062312.5") == "Erbb2"


def _truncated() -> bytes:
    return gzip.compress(OURS.to_csv(sep="\t").encode())[:-20]


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("t.tsv", b"", "not readable as a table of genes"),
        ("t.tsv", b"a\tb\n1\t2\n", "has no column of symbols"),
        ("t.tsv", b"symbol\tensembl_id\n", "holds no gene"),
        ("t.tsv", b"symbol\tensembl_id\nA\tB\tC\tD\n1\n", "."),
        ("t.tsv", b"\xff\xfe\x00\x01", "not readable as a table of genes"),
        ("t.parquet", b"PAR1", "not readable as a table of genes"),
        ("t.tsv.gz", _truncated(), "not readable as a table of genes"),
        ("t.csv", b"symbol\n\n\n", "holds no gene"),
    ],
)
def test_broken_tables(tmp_path: Path, name: str, data: bytes, said: str) -> None:
    (tmp_path / name).write_bytes(data)
    try:
        table = read_gene_table(tmp_path / name)
        assert said == "." and table.genes
    except EosinError as error:
        assert said in str(error) and name in str(error)


def test_absent_table(tmp_path: Path) -> None:
    with pytest.raises(EosinError, match="no such gene table"):
        read_gene_table(tmp_path / "t.tsv")


# --- at the door --------------------------------------------------------------------------------------------------


def test_reading_renames(tmp_path: Path) -> None:
    from unit.data.layouts_10x import GENES, visium

    path, file = visium(tmp_path / "data"), tmp_path / "genes.csv"
    ids = [f"ENSG{i + 7:011d}" for i in range(len(GENES))]
    pd.DataFrame({"symbol": GENES, "ensembl_id": ids}).to_csv(file, index=False)
    assert read(path, gene_names="ensembl", gene_table=file)[0].genes == tuple(ids)
    assert read(path, gene_table=file)[0].genes == GENES
    assert read(path, gene_names="ensembl")[0].genes == tuple(f"ENSG{i:011d}" for i in range(len(GENES)))  # its own


def test_a_mismatch_of_kinds_is_one_line_that_proposes_the_renaming() -> None:
    measured, proposal = section(ERBB2, EPCAM), "read it with --gene-names symbol --gene-table FILE"
    assert rename_advice(["ERBB2"], [ERBB2]) is not None and rename_advice(["ERBB2"], ["TP53"]) is None
    with pytest.raises(EosinError, match=f"lacks 2 of the panel's 2 genes, first 'ERBB2'.*{proposal}"):
        target(measured, GenePanel(("ERBB2", "EPCAM")))
    with pytest.raises(EosinError, match=f"'S' and 'T' share no gene.*{proposal.replace('symbol', 'ensembl')}"):
        choose_panel("var:1", [measured, section("ERBB2", "EPCAM", name="T")])
    with pytest.raises(EosinError, match=f"gene 'ERBB2' is not measured in section 'S'.*{proposal}"):
        choose_panel("ERBB2", [measured])


def test_a_gene_table_with_more_cells_than_its_heading_is_refused(tmp_path: Path) -> None:
    """Aliases with commas that nobody quoted: every column would be its neighbour."""
    (tmp_path / "g.csv").write_text(f"symbol,ensembl_id,aliases\nERBB2,{ERBB2},HER2,NEU\nTP53,{TP53},P53,LFS1\n")
    with pytest.raises(EosinError, match=r"g\.csv: its rows have more cells than its heading"):
        read_gene_table(tmp_path / "g.csv")
