"""Flags that tell how sections are read: they reach the reader from every verb, and typing errors do not pass."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

import eosin
from eosin.cli import main
from unit.data.layouts_10x import GENES, counts, visium, visium_positions, write_visium, xenium


@pytest.fixture
def region(tmp_path: Path) -> Path:
    return xenium(tmp_path / "data", ["R1"])


@pytest.fixture
def table(tmp_path: Path) -> Path:
    file = tmp_path / "genes.tsv"
    ids = [f"ENSG{i:011d}" for i in range(len(GENES))]
    pd.DataFrame({"symbol": GENES, "ensembl_id": ids}).to_csv(file, sep="\t", index=False)
    return file


def test_width_of_squares(region: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", str(region), "--bin-um", "50"]) == 0
    assert " 196 " in capsys.readouterr().out  # 14 x 14 squares of 700 µm
    assert main(["info", str(region), "--bin-um", "0"]) == 1
    assert "squares of 0 µm are impossible; give --bin-um" in capsys.readouterr().err


def test_gene_names_reach_every_verb(region: Path, table: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What a verb cannot go on with tells whether it read as it was told."""
    flags = ["--gene-names", "ensembl", "--gene-table", str(table), "--genes", "GENE1"]
    for verb in ("train", "bench"):
        assert main([verb, str(region), "-o", str(region / "out"), *flags, "--bin-um", "100"]) == 1
        said = capsys.readouterr().err
        assert "gene 'GENE1' is not measured" in said or "share no gene" in said or "leave-" in said
    assert main(["info", str(region), "--gene-names", "ensembl"]) == 1
    assert "calling genes by ensembl needs a table of genes" in capsys.readouterr().err


def test_files_that_name_genes_both_ways_need_no_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = visium(tmp_path / "slides")
    assert main(["info", str(path), "--gene-names", "ensembl"]) == 0
    assert "12 of 12 genes were renamed" not in capsys.readouterr().out  # the reader has called them so at once
    assert main(["train", str(path), "-o", str(tmp_path / "s"), "--gene-names", "ensembl", "--genes", "GENE1"]) == 1
    said = capsys.readouterr().err
    assert "gene 'GENE1' is not measured in section 'S1'" in said
    assert "read it with --gene-names symbol" in said and "--gene-table" not in said


def test_duplicates_are_refused_where_asked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = ["GENE3", *GENES[1:]]
    write_visium(tmp_path / "slides" / "S" / "outs", counts(62), visium_positions(), names)
    assert main(["info", str(tmp_path / "slides")]) == 0
    assert "1 column was added to another of the same gene: GENE3" in capsys.readouterr().out
    assert main(["info", str(tmp_path / "slides"), "--duplicates", "refuse"]) == 1
    assert "filtered_feature_bc_matrix.h5: 2 columns are called 'GENE3'" in capsys.readouterr().err
    assert main(["info", str(tmp_path / "slides"), "--duplicates", "refuse", "--gene-names", "ensembl"]) == 0
    assert main(["info", str(tmp_path / "slides"), "--duplicates", "first"]) == 1
    assert "no way with duplicates is called 'first'; use sum or refuse" in capsys.readouterr().err


def test_python_verbs_take_the_same_and_nothing_else(region: Path, table: Path, tmp_path: Path) -> None:
    (one,) = eosin.read(region, bin_um=200, gene_names="ensembl", gene_table=table)
    assert len(one) == 16 and one.genes is not None and one.genes[0].startswith("ENSG")
    for call in (
        lambda: eosin.read(region, bin_width=200),  # type: ignore[call-arg]
        lambda: eosin.train([one], modle="ridge"),  # type: ignore[call-arg]
        lambda: eosin.predict("nowhere", one, darws=2),  # type: ignore[call-arg]
        lambda: eosin.report(tmp_path / "p.h5ad", out=tmp_path / "o.html", gene="A"),  # type: ignore[call-arg]
    ):
        with pytest.raises(TypeError, match="unexpected keyword argument"):
            call()
