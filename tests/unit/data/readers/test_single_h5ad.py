"""`.h5ad` files of other tools: several libraries, folders, units, and where counts may lie."""

from __future__ import annotations

from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from eosin.data import read, write_sections
from eosin.data.h5ad import peek_h5ad
from eosin.data.reader import READERS
from eosin.errors import EosinError
from unit.data.layouts import counts, lattice, placeholder, section, single


def change(file: Path, edit) -> Path:
    adata = anndata.read_h5ad(file)
    edit(adata)
    adata.write_h5ad(file)
    return file


def two_libraries(adata: anndata.AnnData) -> None:
    adata.obs["library_id"] = ["one"] * 20 + ["two"] * 16
    adata.uns["spatial"]["two"] = {"scalefactors": {"spot_diameter_fullres": 400.0}}
    adata.uns["spatial"]["one"] = adata.uns["spatial"].pop("lib")


def test_a_width_that_is_not_said_is_half_the_pitch(tmp_path: Path) -> None:
    (one,) = read(change(single(tmp_path), lambda adata: adata.uns.pop("spatial")))
    assert one.spots.diameter_um == pytest.approx(50.0)  # of 400 px of 0.25 µm
    assert "spot diameter assumed to be half the pitch, 50 µm" in one.notes


def test_libraries_of_one_file_are_sections(tmp_path: Path) -> None:
    file = change(single(tmp_path), two_libraries)
    placeholder(tmp_path / "two.tif")
    one, two = read(file)
    assert [one.name, two.name] == ["slide7-one", "slide7-two"] and (len(one), len(two)) == (20, 16)
    assert (one.spots.diameter_um, two.spots.diameter_um) == (55.0, 100.0)
    assert two.counts is not None and np.array_equal(two.counts.toarray(), counts(36, 3)[20:])
    assert np.allclose(two.spots.xy_um, lattice(6, 400.0)[20:] * 0.25)
    assert one.image is None and two.image and two.image.path.name == "two.tif"
    assert read(file, sections=["slide7-two"])[0].fingerprint() == two.fingerprint()


def test_a_single_library_is_the_file(tmp_path: Path) -> None:
    file = change(single(tmp_path), lambda a: a.obs.__setitem__("library_id", "only"))
    assert [one.name for one in read(file)] == ["slide7"]


def test_a_folder_of_files(tmp_path: Path) -> None:
    change(single(tmp_path), two_libraries)
    made = write_sections([section("B1", "B")], tmp_path / "made") / "sections" / "B1.h5ad"
    made.rename(tmp_path / "ours.h5ad")
    found = read(tmp_path)
    assert [one.name for one in found] == ["B1", "slide7-one", "slide7-two"]
    assert found[0].patient == "B"


def named_slice1(adata: anndata.AnnData) -> None:
    """As Seurat and squidpy call the only library."""
    adata.obs["library_id"] = "slice1"
    adata.uns["spatial"]["slice1"] = adata.uns["spatial"].pop("lib")


def test_an_image_is_called_as_the_file_also_where_the_library_is_known(tmp_path: Path) -> None:
    for name in ("S1", "S2"):
        change(single(tmp_path / name), named_slice1).rename(tmp_path / f"{name}.h5ad")
        placeholder(tmp_path / f"{name}.png")
    assert [one.image and one.image.path.name for one in read(tmp_path)] == ["S1.png", "S2.png"]
    placeholder(tmp_path / "slice1.png")
    assert [one.image and one.image.path.name for one in read(tmp_path)] == ["S1.png", "S2.png"]


def test_an_image_of_two_files_libraries_is_refused(tmp_path: Path) -> None:
    placeholder(tmp_path / "slice1.png")
    file = change(single(tmp_path / "S1"), named_slice1).rename(tmp_path / "S1.h5ad")
    (one,) = read(tmp_path)
    assert one.image and one.image.path.name == "slice1.png"
    (tmp_path / "broken.h5ad").write_bytes(b"no such file")
    assert read(file)[0].fingerprint() == one.fingerprint()
    (tmp_path / "broken.h5ad").unlink()
    change(single(tmp_path / "S2"), named_slice1).rename(tmp_path / "S2.h5ad")
    told = r"slice1\.png: is called as library 'slice1' of S1\.h5ad, which S2\.h5ad has too: .*such as S1\.png"
    with pytest.raises(EosinError, match=told):
        read(tmp_path)
    placeholder(tmp_path / "S1.png")
    placeholder(tmp_path / "S2.png")
    assert len(read(tmp_path)) == 2


def test_two_sections_of_one_name_are_refused(tmp_path: Path) -> None:
    change(single(tmp_path / "A"), two_libraries).rename(tmp_path / "A.h5ad")
    single(tmp_path / "B").rename(tmp_path / "A-two.h5ad")
    told = (
        r"a section of it is called 'A-two', and one of A-two\.h5ad too|A-two\.h5ad: .* 'A-two', and one of A\.h5ad too"
    )
    for how in ({}, {"sections": ["A-two"]}):
        with pytest.raises(EosinError, match=told):
            read(tmp_path, **how)


def test_positions_in_um_need_no_scale(tmp_path: Path) -> None:
    def um(adata: anndata.AnnData) -> None:
        adata.uns["eosin"] = {"spatial_unit": "um"}

    (one,) = read(change(single(tmp_path), um))
    assert np.allclose(one.spots.xy_um, lattice(6, 400.0)) and one.spots.diameter_um == 220.0
    assert one.image is None and any("slide7.svs is left out" in note for note in one.notes)
    (one,) = read(tmp_path / "slide7.h5ad", mpp=0.25)
    assert np.allclose(one.spots.xy_um, lattice(6, 400.0)) and one.image and one.image.mpp == 0.25


@pytest.mark.parametrize(("unit", "given", "width"), [("px", None, 80), ("px", 0.5, 160), ("um", 0.5, 80)])
def test_a_stored_width_follows_the_scale_as_positions_do(
    tmp_path: Path, unit: str, given: float | None, width: float
) -> None:
    def with_record(adata: anndata.AnnData) -> None:
        adata.uns["eosin"] = {"mpp": 0.25, "diameter_um": 80.0, "spatial_unit": unit}

    (one,) = read(change(single(tmp_path), with_record), mpp=given)
    assert one.spots.diameter_um == width


def test_an_unknown_scale_is_asked_for_with_what_visium_would_be(tmp_path: Path) -> None:
    with pytest.raises(EosinError, match=r"give --mpp.*Visium's, 100 µm apart, it is 0\.25$"):
        read(change(single(tmp_path), lambda a: a.uns.pop("eosin")))


def test_an_impossible_pitch_is_told(tmp_path: Path) -> None:
    file = change(single(tmp_path), lambda a: a.obsm.__setitem__("spatial", lattice(6, 400.0) * 20))
    assert any("2e+03 µm apart: the scale may be wrong" in note for note in read(file)[0].notes)


def test_counts_in_raw_as_cellxgene_keeps_them(tmp_path: Path) -> None:
    def normalised(adata: anndata.AnnData) -> None:
        adata.raw = adata.copy()
        adata.X = sparse.csr_matrix(np.log1p(adata.X.toarray()))
        adata.obs["donor_id"] = adata.obs.pop("patient")

    (one,) = read(change(single(tmp_path), normalised))
    assert one.counts is not None and np.array_equal(one.counts.toarray(), counts(36, 3))
    assert "counts are from raw.X" in one.notes and one.patient == "P7"


def per_10k(values: np.ndarray) -> np.ndarray:
    """Rounded counts per 10,000: whole numbers that are no counts."""
    return np.round(values / values.sum(1, keepdims=True) * 1e4)


@pytest.mark.parametrize("layer", ["counts", "Counts", "raw_counts"])
@pytest.mark.parametrize(
    ("x_of", "said"), [(np.zeros_like, ""), (np.log1p, ""), (per_10k, "; X holds other whole numbers")]
)
@pytest.mark.parametrize("pack", [np.asarray, sparse.csr_matrix, sparse.csc_matrix])
def test_a_layer_of_counts_goes_before_whole_numbers_in_x(tmp_path: Path, layer: str, x_of, said: str, pack) -> None:
    def moved(adata: anndata.AnnData) -> None:
        adata.layers[layer] = adata.X.copy()
        adata.X = pack(x_of(adata.X.toarray()).astype(np.float32))

    (one,) = read(change(single(tmp_path), moved))
    assert one.counts is not None and np.array_equal(one.counts.toarray(), counts(36, 3))
    assert f"counts are from layers['{layer}']{said}" in one.notes


@pytest.mark.parametrize(("x_of", "said"), [(np.zeros_like, ""), (per_10k, "; X holds other whole numbers")])
def test_counts_in_raw_go_before_whole_numbers_in_x(tmp_path: Path, x_of, said: str) -> None:
    def moved(adata: anndata.AnnData) -> None:
        adata.raw = adata.copy()
        adata.X = sparse.csr_matrix(x_of(adata.X.toarray()).astype(np.float32))

    (one,) = read(change(single(tmp_path), moved))
    assert one.counts is not None and np.array_equal(one.counts.toarray(), counts(36, 3))
    assert f"counts are from raw.X{said}" in one.notes


def test_whole_numbers_that_were_scaled_and_rounded_are_said(tmp_path: Path) -> None:
    file = single(tmp_path)
    assert not any("scaled and rounded" in note for note in read(file)[0].notes)
    change(file, lambda a: setattr(a, "X", sparse.csr_matrix(per_10k(a.X.toarray()).astype(np.float32))))
    assert any("all spots have about 10000 counts: are they scaled and rounded" in note for note in read(file)[0].notes)


def test_copies_of_the_counts_change_nothing(tmp_path: Path) -> None:
    def copied(adata: anndata.AnnData) -> None:
        adata.raw = adata.copy()
        adata.layers["counts"] = sparse.csc_matrix(adata.X)
        adata.layers["raw_counts"] = np.zeros(adata.shape, np.float32)

    expected = read(single(tmp_path))[0]
    (one,) = read(change(tmp_path / "slide7.h5ad", copied))
    assert one.fingerprint() == expected.fingerprint() and not any("counts are from" in note for note in one.notes)


def test_dense_columns_and_integers_are_counts_too(tmp_path: Path) -> None:
    expected = read(single(tmp_path))[0].fingerprint()
    for matrix in (counts(36, 3), sparse.csc_matrix(counts(36, 3).astype(np.int64)), counts(36, 3).astype(np.float64)):

        def put(adata: anndata.AnnData, matrix=matrix) -> None:
            adata.X = matrix

        assert read(change(tmp_path / "slide7.h5ad", put))[0].fingerprint() == expected


@pytest.mark.parametrize("names", [("y", "x"), ("pxl_row_in_fullres", "pxl_col_in_fullres"), ("Y", "X")])
def test_columns_of_positions_are_known_by_name(tmp_path: Path, names: tuple[str, str]) -> None:
    def row_first(adata: anndata.AnnData) -> None:
        xy = np.asarray(adata.obsm["spatial"])
        adata.obsm["spatial"] = pd.DataFrame(xy[:, ::-1], index=adata.obs_names, columns=list(names))

    (one,) = read(change(single(tmp_path), row_first))
    assert np.allclose(one.spots.xy_um, lattice(6, 400.0) * 0.25)


def test_antibodies_are_no_genes_and_bare_glass_no_spot(tmp_path: Path) -> None:
    def mixed(adata: anndata.AnnData) -> None:
        kinds = ["Gene Expression"] * adata.n_vars
        kinds[1] = "Antibody Capture"
        adata.var["feature_types"] = kinds
        adata.obs["in_tissue"] = [0, *[1] * (adata.n_obs - 1)]

    file = single(tmp_path)
    (before,) = read(file)
    (one,) = read(change(file, mixed))
    assert before.genes and one.genes == before.genes[:1] + before.genes[2:]
    assert one.spots.ids == before.spots.ids[1:] and one.counts is not None and before.counts is not None
    assert np.array_equal(one.counts.toarray(), np.delete(before.counts.toarray()[1:], 1, axis=1))
    assert {"1 of 36 spots are not in tissue and were left out"} <= set(one.notes)
    assert any("features are no genes and were left out" in note for note in one.notes)


def test_each_file_is_opened_for_its_own_section_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`A1` is not `A10`, and `A1-x` may be the library `x` of `A1`."""
    for name in ("A1", "A10", "A1-x", "A2"):
        single(tmp_path / "made" / name).rename(tmp_path / f"{name}.h5ad")
    opened: list[str] = []
    peek = peek_h5ad
    monkeypatch.setattr(
        "eosin.data.readers.single_h5ad.peek_h5ad", lambda file, key: opened.append(file.stem) or peek(file, key)
    )
    reader = READERS["h5ad"]
    for name, files in (("A10", ["A10"]), ("A1", ["A1"]), ("A1-x", ["A1", "A1-x"]), ("A2", ["A2"])):
        assert reader.read_section(tmp_path, name, mpp=0.25).name == name
        assert sorted(opened) == files
        opened.clear()
    with pytest.raises(EosinError, match="no section is called 'A3'; did you mean"):
        reader.read_section(tmp_path, "A3")


def test_a_library_may_be_called_as_no_file_is(tmp_path: Path) -> None:
    def with_slash(adata: anndata.AnnData) -> None:
        adata.obs["library_id"] = ["A/x"] * 20 + ["A/y"] * 16

    assert [one.name for one in read(change(single(tmp_path), with_slash))] == ["slide7-A/x", "slide7-A/y"]


@pytest.mark.parametrize(("key", "value"), [("mpp", "half"), ("mpp", [0.5, 0.5]), ("diameter_um", "wide")])
def test_a_record_with_texts_for_numbers_is_one_line(tmp_path: Path, key: str, value: object) -> None:
    def wrong(adata: anndata.AnnData) -> None:
        adata.uns["eosin"] = {"mpp": 0.5, key: value}

    with pytest.raises(EosinError, match=r"no number|spot diameter|holds 2 values and not one"):
        read(change(single(tmp_path), wrong))


@pytest.mark.parametrize("key", ["kind", "schema", "image", "mpp"])
def test_a_record_with_several_values_for_one_is_one_line(tmp_path: Path, key: str) -> None:
    def several(adata: anndata.AnnData) -> None:
        adata.uns["eosin"] = {"kind": "section", "name": "S", "patient": "P", "diameter_um": 55.0, key: [1.0, 2.0]}

    with pytest.raises(EosinError, match=rf"uns\['eosin'\]\['{key}'\] holds 2 values and not one"):
        read(change(single(tmp_path), several))
