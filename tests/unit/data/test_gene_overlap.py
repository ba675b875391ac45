"""Sections that share few genes are said when they are read."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import sparse

from eosin.data import describe, read
from eosin.data.gene_overlap import overlap_note
from eosin.types import Section
from unit.data.layouts import legacy_st, section


def of_genes(name: str, first: int, last: int) -> Section:
    genes = tuple(f"G{i}" for i in range(first, last))
    return replace(section(name), counts=sparse.csr_matrix(np.ones((36, len(genes)))), genes=genes, domains=None)


@pytest.mark.parametrize(
    ("other", "said", "is_warning"),
    [((0, 100), "", False), ((5, 100), "", False), ((0, 400), "share 100", False), ((70, 170), "share 30: are", True)],
)
def test_few_shared_genes_are_said(other: tuple[int, int], said: str, *, is_warning: bool) -> None:
    note, warned = overlap_note([of_genes("A", 0, 100), of_genes("B", *other)])
    assert (said in note if note else not said) and warned == is_warning
    assert overlap_note([of_genes("A", 0, 100)]) == (None, False)


def test_reading_warns_and_info_counts_what_all_have(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = legacy_st(tmp_path, ("A1", "B1"))
    assert describe(folder)["genes_in_all"] == 30
    import pandas as pd

    file = folder / "ST-cnts" / "B1.tsv.gz"
    table = pd.read_csv(file, sep="\t", index_col=0)
    table.rename(columns={name: f"ENSG{i:011d}" for i, name in enumerate(table.columns[:25])}).to_csv(file, sep="\t")
    with caplog.at_level(logging.WARNING, "eosin"):
        assert len(read(folder)) == 2
    assert "all 2 sections share 5: are their genes of one panel" in caplog.text
