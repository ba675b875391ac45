"""Which features are genes: by their type, by names of controls; dates and genomes in the place of names."""

from __future__ import annotations

import json
from pathlib import Path

import anndata
import h5py
import numpy as np
import pandas as pd
import pytest

from eosin.data import read
from eosin.data.gene_features import are_genes, genes_of, is_control
from eosin.errors import EosinError
from eosin.genes.columns import GeneNames
from unit.data import layouts, layouts_10x
from unit.data.layouts_10x import GENES, counts, visium_positions, write_h5, write_visium


@pytest.fixture(autouse=True)
def without_probe(monkeypatch: pytest.MonkeyPatch) -> None:
    """None of these files crashes HDF5."""
    monkeypatch.setattr("eosin.storage.hdf5.probe", lambda path: None)


@pytest.mark.parametrize(
    "name",
    [
        *("BLANK_0001", "Blank-3", "NegControlProbe_00042", "NegControlCodeword_0500", "antisense_PROKR2"),
        *("UnassignedCodeword_0001", "Unassigned", "DeprecatedCodeword_1", "Deprecated", "DEPRECATED_ENSG00000123"),
        *("Intergenic_Region_1", "IntergenicRegion_1", "GenomicControlProbe_1", "Negative Control Probe_1"),
        *("NegPrb3", "Negative1", "SystemControl4", "FalseCode12", "ERCC-00002"),
    ],
)
def test_controls_of_every_instrument_are_no_genes(name: str) -> None:
    assert is_control(name)


@pytest.mark.parametrize("name", ["NEGR1", "ERCC1", "ERCC6L", "GENE1", "NELFE", "INTS1", "DEPDC1", "UNC13B", "NCF1"])
def test_genes_whose_names_begin_alike_are_genes(name: str) -> None:
    assert not is_control(name)


def test_dates_are_called_by_their_ids() -> None:
    dates = ("1-Mar", "2-Sep", "Sep-07", "2021-03-01", "1-Mar", "01.03.2021", "1. Mrz", "Mar 1")
    named, kept, notes = genes_of(GeneNames(("ACTB", *dates), ("", *(f"ENSG{i:011d}" for i in range(len(dates))))))
    assert named.names == ("ACTB", *(f"ENSG{i:011d}" for i in range(len(dates))))
    assert kept is not None and len(kept) == 9
    assert "8 genes named as dates" in notes[0] and "8 called by their Ensembl ids, 0 left out" in notes[0]


def test_dates_without_ids_are_left_out_and_not_added_up() -> None:
    named, kept, notes = genes_of(GeneNames(("ACTB", "1-Mar", "1-Mar")))
    assert named.names == ("ACTB",) and list(kept if kept is not None else ()) == [0]
    assert "0 called by their Ensembl ids, 2 left out" in notes[0]


@pytest.mark.parametrize("name", ["MARCHF1", "SEPTIN2", "DEC1", "SEP15", "MAR1", "H2-K1", "1110020A21Rik", "7SK"])
def test_names_that_look_a_little_like_dates_are_names(name: str) -> None:
    assert genes_of(GeneNames((name, "ACTB")))[0].names == (name, "ACTB")


def test_genomes_before_names_are_taken_off() -> None:
    given = GeneNames(
        ("GRCh38_ACTB", "GRCh38______U6", "mm10___Actb", "mm10_U6"),
        ("GRCh38_ENSG00000075624", "GRCh38_ENSG00000107485", "mm10_ENSMUSG00000029580", "mm10___ENSMUSG00000015619"),
    )
    named, kept, notes = genes_of(given)
    assert kept is None and named.names == ("ACTB", "GRCh38______U6", "Actb", "mm10_U6")  # U6 would be two genes
    assert named.all_ids[0] == "ENSG00000075624" and named.all_ids[3] == "ENSMUSG00000015619"
    assert "without their genome (GRCh38: 2, mm10: 2)" in notes[0] and "in a spot's total" in notes[0]


def test_one_name_with_a_genome_is_a_name() -> None:
    assert genes_of(GeneNames(("mm10_x", "ACTB", "GATA3")))[0].names[0] == "mm10_x"


def test_types_are_known_in_any_case_and_unknown_ones_say_nothing() -> None:
    assert are_genes(["gene expression", b"Antibody Capture", "Gene Expression "]).tolist() == [True, False, True]
    assert are_genes(["lncRNA", "protein_coding"]).all() and len(are_genes([])) == 0
    with pytest.raises(EosinError, match="no feature of type 'Gene Expression', but 2 of 'antibody capture'"):
        are_genes(["Antibody Capture", "Antibody Capture"])


def test_a_joint_reference_shares_its_genes_with_a_plain_one(tmp_path: Path) -> None:
    frame = visium_positions()
    for name, prefix in (("S1", "GRCh38_"), ("S2", "")):
        outs = write_visium(tmp_path / name / "outs", counts(62), frame)
        write_h5(
            outs / "filtered_feature_bc_matrix.h5",
            counts(62),
            list(frame["barcode"][frame["in_tissue"] == 1]),
            [f"{prefix}{gene}" for gene in GENES],
        )
    first, second = read(tmp_path)
    assert first.genes == second.genes == GENES


def test_proteins_of_an_anndata_are_no_genes_in_any_letters(tmp_path: Path) -> None:
    adata = anndata.AnnData(X=counts(25, genes=4).astype(np.float32))
    adata.var["feature_types"] = ["gene expression", "gene expression", "antibody capture", "antibody capture"]
    adata.var_names = ["ACTB", "BLANK_1", "CD3", "CD8"]
    adata.obsm["spatial"] = layouts.lattice(5, 200.0)
    adata.write_h5ad(tmp_path / "A.h5ad")
    (section,) = read(tmp_path, mpp=0.5)
    assert section.genes == ("ACTB",)
    assert "2 of 4 features are no genes and were left out" in section.notes
    assert "1 control probes were left out" in section.notes


def test_controls_of_xenium_are_told_by_name_in_transcripts_and_cells(tmp_path: Path) -> None:
    folder = layouts_10x.xenium(tmp_path, ("R1",)) / "R1"
    table = pd.read_parquet(folder / "transcripts.parquet")
    table.loc[::7, "feature_name"] = "Unassigned"
    table.to_parquet(folder / "transcripts.parquet", index=False)
    assert read(tmp_path)[0].genes == tuple(sorted(GENES))


def test_scale_factors_as_texts_count(tmp_path: Path) -> None:
    outs = write_visium(tmp_path / "S1" / "outs", counts(62), visium_positions())
    file = outs / "spatial" / "scalefactors_json.json"
    file.write_text(json.dumps({"spot_diameter_fullres": "130.0", "tissue_hires_scalef": "0.2", "slide": "V19L29"}))
    image = read(tmp_path)[0].image
    assert image is not None and image.mpp == pytest.approx(2.5)
    file.write_text(json.dumps({"spot_diameter_fullres": 130.0, "tissue_hires_scalef": "0,2"}))
    with pytest.raises(EosinError, match="tissue_hires_scalef is '0,2', which is no number"):
        read(tmp_path)


def test_the_pixel_size_of_xenium_may_be_a_text(tmp_path: Path) -> None:
    folder = layouts_10x.xenium(tmp_path, ("R1",)) / "R1"
    layouts_10x.align(folder, np.diag([1.0, 1.0, 1.0]))
    (folder / "experiment.xenium").write_text(json.dumps({"pixel_size": "0.5"}))
    image = read(tmp_path)[0].image
    assert image is not None and image.mpp == pytest.approx(0.5)


def test_numbers_of_hests_metadata_may_be_texts(tmp_path: Path) -> None:
    layouts.hest(tmp_path)
    expected = read(tmp_path)
    for file in (tmp_path / "metadata").glob("*.json"):
        facts = json.loads(file.read_text())
        file.write_text(json.dumps({k: str(v) if isinstance(v, float) else v for k, v in facts.items()}))
    for one, other in zip(expected, read(tmp_path)):
        np.testing.assert_array_equal(one.spots.xy_um, other.spots.xy_um)
        assert one.spots.diameter_um == other.spots.diameter_um
    file.write_text(json.dumps(facts | {"pixel_size_um_estimated": "0,5"}))
    with pytest.raises(EosinError, match="pixel_size_um_estimated is '0,5', which is no number"):
        read(tmp_path)


def test_the_scale_of_slide_properties_may_be_a_text(tmp_path: Path) -> None:
    from eosin.data.uns_spatial import stated_scale

    assert stated_scale({"mpp": "0.5"}, tmp_path, " of slide_properties") == 0.5
    assert stated_scale({"mpp": -1}, tmp_path, "") == -1  # refused by whoever takes it
    with pytest.raises(EosinError, match="mpp of slide_properties is '20x', which is no number"):
        stated_scale({"mpp": "20x"}, tmp_path, " of slide_properties")


def test_antibodies_only_are_refused_by_what_they_are(tmp_path: Path) -> None:
    outs = write_visium(tmp_path / "S1" / "outs", counts(62), visium_positions())
    with h5py.File(outs / "filtered_feature_bc_matrix.h5", "a") as file:
        del file["matrix/features/feature_type"]
        file["matrix/features/feature_type"] = np.array(["Antibody Capture"] * len(GENES), dtype="S")
    with pytest.raises(EosinError, match="but 12 of 'antibody capture'"):
        read(tmp_path)
