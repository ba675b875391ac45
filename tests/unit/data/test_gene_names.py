"""Ensembl ids and symbols travel: from every reader that finds both, through files, to predictions."""

from __future__ import annotations

import json
from pathlib import Path

import anndata
import numpy as np
import pytest

from eosin.data import read, read_prediction, to_anndata, write_prediction, write_sections
from eosin.engine import load, predict, train
from eosin.errors import EosinError
from eosin.types import Features, GenePanel, Section
from unit.data.layouts import native, single, spatialdata
from unit.data.layouts_10x import GENES, LAYOUTS_10X, counts, visium, visium_positions, write_h5, write_visium, xenium

IDS = tuple(f"ENSG{i:011d}" for i in range(len(GENES)))
"""As the layouts of 10x write them."""


@pytest.fixture(autouse=True)
def without_probe(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("eosin.storage.hdf5.probe", lambda path: None)


@pytest.mark.parametrize("layout", ["visium", "visium-hd"])
def test_10x_files_name_genes_both_ways(layout: str, tmp_path: Path) -> None:
    path = LAYOUTS_10X[layout](tmp_path / "d")
    one = read(path)[0]
    assert (one.genes, one.ensembl, one.symbols) == (GENES, IDS, None)
    there = read(path, gene_names="ensembl")[0]
    assert (there.genes, there.ensembl, there.symbols) == (IDS, None, GENES)
    assert there.counts is not None and one.counts is not None and (there.counts != one.counts).nnz == 0
    assert read(path, gene_names="symbol")[0].genes == GENES


def test_text_matrices_have_ids_too(tmp_path: Path) -> None:
    write_visium(tmp_path / "S" / "outs", counts(62), visium_positions(), text=True)
    assert read(tmp_path)[0].ensembl == IDS


def test_by_id_two_genes_of_one_symbol_stay_two(tmp_path: Path) -> None:
    names = ("TBCE", *GENES[1:11], "TBCE")
    write_visium(tmp_path / "S" / "outs", counts(62), visium_positions(), names)
    (one,) = read(tmp_path)
    assert one.genes == names[:-1] and one.ensembl == ("", *IDS[1:11])
    (there,) = read(tmp_path, gene_names="ensembl")
    assert there.genes == IDS and there.counts is not None and np.array_equal(there.counts.toarray(), counts(62))
    with pytest.raises(EosinError, match=r"filtered_feature_bc_matrix\.h5: 2 columns are called 'TBCE'"):
        read(tmp_path, duplicates="refuse")
    assert len(read(tmp_path, gene_names="ensembl", duplicates="refuse")) == 1


def panel_file(folder: Path) -> None:
    genes = [{"type": {"descriptor": "gene", "data": {"id": i, "name": n}}} for i, n in zip(IDS, GENES)]
    control = {"type": {"descriptor": "negative control probe", "data": {"name": "NegControlProbe_00042"}}}
    (folder / "gene_panel.json").write_text(json.dumps({"payload": {"targets": [*genes[:-1], control]}}))


def test_xenium_ids_by_its_panel_or_its_matrix(tmp_path: Path) -> None:
    path = xenium(tmp_path / "d", ["R1"])
    assert read(path)[0].ensembl is None
    folder = path / "R1"
    write_h5(folder / "cell_feature_matrix.h5", np.ones((2, len(GENES))), ["a", "b"], GENES)
    of_matrix = read(path)[0]
    assert dict(zip(of_matrix.genes or (), of_matrix.ensembl or ())) == dict(zip(GENES, IDS))
    panel_file(folder)
    of_panel = read(path)[0]
    assert dict(zip(of_panel.genes or (), of_panel.ensembl or ())) == {**dict(zip(GENES, IDS)), GENES[-1]: ""}
    named = read(path, gene_names="ensembl")[0]
    assert set(named.genes or ()) == {*IDS[:-1], GENES[-1]} and list(named.genes or ()) == sorted(named.genes or ())
    assert any("1 of 12 genes have no Ensembl id in the file and keep their names: GENE11" in n for n in named.notes)


@pytest.mark.parametrize("text", ["{", "[]", '{"payload": {"targets": 3}}', '{"payload": {"targets": [{"type": 1}]}}'])
def test_a_broken_panel_file_costs_the_ids_only(text: str, tmp_path: Path) -> None:
    path = xenium(tmp_path / "d", ["R1"])
    (path / "R1" / "gene_panel.json").write_text(text)
    one = read(path)[0]
    assert one.ensembl is None and (text != "{" or any("genes have no Ensembl ids" in note for note in one.notes))


def edited(file: Path, edit) -> Path:
    adata = anndata.read_h5ad(file)
    edit(adata)
    adata.write_h5ad(file)
    return file


def ids(n: int) -> list[str]:
    return [f"ENSG{i:011d}.{i + 1}" for i in range(n)]


def test_anndata_with_ids_beside_symbols(tmp_path: Path) -> None:
    file = edited(single(tmp_path), lambda a: a.var.__setitem__("gene_ids", [*ids(a.n_vars)[1:], "probe7"]))
    (one,) = read(file)
    assert one.ensembl == (*(name.split(".")[0] for name in ids(30)[1:]), "")


def test_anndata_with_symbols_beside_ids(tmp_path: Path) -> None:
    """As CELLxGENE: ids are the names, `feature_name` the symbols, a category."""

    def turn(adata: anndata.AnnData) -> None:
        adata.var["feature_name"] = adata.var_names.astype("category")
        adata.var_names = ids(adata.n_vars)

    file = edited(single(tmp_path), turn)
    (one,) = read(file)
    assert one.genes == tuple(ids(30)) and one.symbols == tuple(f"GENE{i}" for i in range(30))
    assert read(file, gene_names="symbol")[0].genes == one.symbols


def test_a_column_of_something_else_is_not_taken_for_ids(tmp_path: Path) -> None:
    file = edited(single(tmp_path), lambda a: a.var.__setitem__("gene_ids", [f"{i}" for i in range(a.n_vars)]))
    assert read(file)[0].ensembl is None


def test_sections_keep_both_in_files_and_when_taken_apart(tmp_path: Path) -> None:
    (one, *_) = read(visium(tmp_path / "d"))
    part = one.take(np.arange(5))
    assert part.ensembl == IDS
    write_sections([part], tmp_path / "own", copy_images=False)
    (back,) = read(tmp_path / "own")
    assert (back.genes, back.ensembl, back.symbols) == (GENES, IDS, None)
    named = read(tmp_path / "own", gene_names="ensembl")
    write_sections(named, tmp_path / "named", copy_images=False)
    (back,) = read(tmp_path / "named")
    assert (back.genes, back.ensembl, back.symbols) == (IDS, None, GENES)
    assert part.fingerprint() == read(tmp_path / "own")[0].fingerprint()


def test_spatialdata_tables_have_them_too(tmp_path: Path) -> None:
    sd = pytest.importorskip("spatialdata")
    sdata = sd.read_zarr(spatialdata(tmp_path / "slide1"))
    sdata.tables["table"].var["gene_ids"] = ids(30)
    sdata.write(tmp_path / "other" / "slide1.zarr")
    (one,) = read(tmp_path / "other" / "slide1.zarr", gene_names="ensembl")
    assert one.genes == tuple(name.split(".")[0] for name in ids(30)) and one.symbols is not None


def test_a_section_checks_its_other_names() -> None:
    (one,) = read_native()
    genes = one.genes or ()

    def with_ids(*ids: str) -> Section:
        return Section("S", "P", one.spots, counts=one.counts, genes=genes, ensembl=ids)

    assert with_ids(*[""] * len(genes)).ensembl is None
    with pytest.raises(EosinError, match=f"section 'S': 1 Ensembl ids for {len(genes)} genes"):
        with_ids(IDS[0])
    with pytest.raises(EosinError, match="section 'S': 'ERBB2' is no Ensembl gene id"):
        with_ids("ERBB2", *[""] * (len(genes) - 1))


def read_native() -> list[Section]:
    from unit.data.layouts import section

    return [section()]


def test_from_the_file_to_the_prediction_and_back(tmp_path: Path) -> None:
    """The model of one section, its checkpoint, its prediction and that file all know the ids."""
    (one, *_) = read(visium(tmp_path / "d"))
    values = np.random.default_rng(0).normal(size=(len(one), 4)).astype(np.float32)
    ready = one.with_features(Features(values, "toy", "toy;1"))
    trained = train([ready], model="ridge", panel=GenePanel(("GENE3", "GENE1")), out=tmp_path / "run")
    assert trained.panel.ensembl == (IDS[3], IDS[1])
    again = load(tmp_path / "run")
    assert again.panel.ensembl == trained.panel.ensembl
    prediction = predict(again, ready, draws=1)
    assert list(to_anndata(prediction).var["gene_ids"]) == [IDS[3], IDS[1]]
    write_prediction(prediction, tmp_path / "p.h5ad")
    assert read_prediction(tmp_path / "p.h5ad").panel.ensembl == (IDS[3], IDS[1])
    assert "gene_ids" not in to_anndata(predict(again, ready)).obs


def test_panels_are_equal_with_and_without_ids() -> None:
    assert (
        GenePanel(("A",), ensembl=(IDS[0],)) == GenePanel(("A",)) and GenePanel(("A",), ensembl=("",)).ensembl is None
    )
    assert GenePanel(("A",), ensembl=(f"{IDS[0]}.3",)).ensembl == (IDS[0],)
    with pytest.raises(EosinError, match="the gene panel: 2 Ensembl ids for 1 genes"):
        GenePanel(("A",), ensembl=IDS[:2])


def test_a_file_without_ids_stays_without(tmp_path: Path) -> None:
    one = read(native(tmp_path))[0]
    assert (one.ensembl, one.symbols) == (None, None)
