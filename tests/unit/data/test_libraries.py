"""Which spot is of which library: columns of any name, missing values, files of old anndata, spots on one another."""

from __future__ import annotations

from pathlib import Path

import anndata
import h5py
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from eosin.data import describe, read
from eosin.data.libraries import check_apart, library_of_spots, samples_in_one
from eosin.errors import EosinError
from unit.data.layouts import GENES, counts, lattice, placeholder


@pytest.fixture(autouse=True)
def without_probe(monkeypatch: pytest.MonkeyPatch) -> None:
    """The walk through the file in another process takes most of a second, and none of these files crashes HDF5."""
    monkeypatch.setattr("eosin.storage.hdf5.probe", lambda path: None)


def joined(column: str = "sample", *, keys: tuple[str, ...] = ("left", "right")) -> anndata.AnnData:
    """Two sections of 20 and 16 spots on the same places, as `anndata.concat` leaves them."""
    xy = lattice(6, 400.0)
    adata = anndata.AnnData(
        X=sparse.csr_matrix(counts(36, 3).astype(np.float32)),
        obs=pd.DataFrame({column: ["left"] * 20 + ["right"] * 16}, index=[f"s{i % 20}-{i // 20}" for i in range(36)]),
        var=pd.DataFrame(index=list(GENES)),
    )
    adata.obsm["spatial"] = np.concatenate([xy[:20], xy[:16]])
    widths = {"left": 220.0, "right": 400.0}
    adata.uns["spatial"] = {
        key: {"scalefactors": {"spot_diameter_fullres": widths.get(key, 1.0)}, "images": {}} for key in keys
    }
    return adata


def put(adata: anndata.AnnData, folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    adata.write_h5ad(folder / "cohort.h5ad")
    return folder / "cohort.h5ad"


@pytest.mark.parametrize("column", ["sample", "batch", "Slide_ID", "whatever", "library_id"])
def test_a_column_of_any_name_whose_values_are_libraries_is_the_key(tmp_path: Path, column: str) -> None:
    file = put(joined(column), tmp_path)
    placeholder(tmp_path / "right.png")
    left, right = read(file, mpp=0.25)
    assert (left.name, right.name, len(left), len(right)) == ("cohort-left", "cohort-right", 20, 16)
    assert (left.spots.diameter_um, right.spots.diameter_um) == (55.0, 100.0)  # each by its own scale factors
    assert right.counts is not None and np.array_equal(right.counts.toarray(), counts(36, 3)[20:])
    assert left.image is None and right.image is not None and right.image.path.name == "right.png"
    assert any(f"obs['{column}'] tells the libraries" in note for note in left.notes) == (column != "library_id")


def test_a_section_cut_out_of_a_cohort_knows_which_library_it_is(tmp_path: Path) -> None:
    cut = joined()[20:].copy()  # uns still names both
    (one,) = read(put(cut, tmp_path), mpp=0.25)
    assert one.name == "cohort" and one.spots.diameter_um == 100.0


def test_libraries_that_no_column_tells_apart_are_said(tmp_path: Path) -> None:
    adata = joined("cluster")[:20].copy()
    adata.obs["cluster"] = "a"
    (one,) = read(put(adata, tmp_path), mpp=0.25)
    assert any("uns['spatial'] names 2 libraries (left, right) and no column tells" in note for note in one.notes)


def test_measures_are_not_read_to_find_libraries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from eosin.data import h5ad
    from eosin.data.readers import single_h5ad

    seen: list[str] = []
    of = h5ad.obs_of
    monkeypatch.setattr(single_h5ad, "obs_of", lambda file, wanted: seen.extend(made := of(file, wanted)) or made)
    adata = joined()
    adata.obs["total_counts"] = np.linspace(0, 1, 36)
    assert len(read(put(adata, tmp_path), mpp=0.25)) == 2
    assert set(seen) == {"sample"}


def test_spots_on_one_another_are_refused_with_the_way_out(tmp_path: Path) -> None:
    adata = joined()
    del adata.uns["spatial"]
    file = put(adata, tmp_path)
    told = r"36 spots lie at 20 places: spots of several libraries.*by --library, perhaps sample"
    with pytest.raises(EosinError, match=told):
        read(file, mpp=0.25)
    assert [len(one) for one in read(file, mpp=0.25, library="sample")] == [20, 16]
    assert [one["name"] for one in describe(file, mpp=0.25, library="sample")["sections"]] == [
        "cohort-left",
        "cohort-right",
    ]
    with pytest.raises(EosinError, match=r"has no column obs\['batch'\]; its columns are sample"):
        read(file, mpp=0.25, library="batch")


def test_sections_that_are_not_aligned_are_told_by_the_array_and_by_barcodes() -> None:
    """Two slides with the same barcodes, of which one lies 30 px aside."""
    xy = np.concatenate([lattice(6, 400.0), lattice(6, 400.0) + 30])
    array = pd.DataFrame({"array_row": np.tile(np.arange(36) // 6, 2), "array_col": np.tile(np.arange(36) % 6, 2)})
    with pytest.raises(EosinError, match="72 spots have 36 places on the array"):
        check_apart(xy, array, Path("a.h5ad"))
    letters = ["".join("ACGT"[(i >> 2 * k) & 3] for k in range(16)) for i in range(36)]
    names = pd.DataFrame(index=[f"P{k}_{core}-1" for k in range(2) for core in letters])
    with pytest.raises(EosinError, match="72 spots have 36 barcodes"):
        check_apart(xy, names, Path("a.h5ad"))
    check_apart(xy[:36], names.iloc[:36], Path("a.h5ad"))
    check_apart(xy, array.assign(array_row=0, array_col=0), Path("a.h5ad"))  # filled with nothing


def test_two_columns_that_differ_are_asked_about() -> None:
    obs = pd.DataFrame({"a": ["x", "x", "y", "y"], "b": ["x", "y", "x", "y"]})
    with pytest.raises(EosinError, match=r"obs\['a'\] and obs\['b'\] both name libraries.*--library"):
        library_of_spots(obs, ["x", "y"], None, Path("a.h5ad"))
    assert library_of_spots(obs, ["x", "y"], "b", Path("a.h5ad"))[1].tolist() == ["x", "y", "x", "y"]


def test_numbers_name_libraries_too_also_where_some_are_missing() -> None:
    obs = pd.DataFrame({"n_genes": [3, 7, 9], "batch": [0.0, 1.0, np.nan]})
    column, of_spot = library_of_spots(obs, ["0", "1"], None, Path("a.h5ad"))
    assert column == "batch" and of_spot.tolist() == ["0", "1", ""]


@pytest.mark.parametrize(
    "column", ["in_tissue", "selected", "array_row", "leiden", "louvain", "seurat_clusters", "sex"]
)
def test_what_else_has_few_values_names_no_library(column: str) -> None:
    """Numbers of clusters, or 0 and 1 for the tissue, are not the libraries 0 and 1."""
    obs = pd.DataFrame({column: ["0", "0", "1", "1"]})
    assert library_of_spots(obs, ["0", "1"], None, Path("a.h5ad"))[0] is None
    assert library_of_spots(obs.assign(batch=[0, 1, 0, 1]), ["0", "1"], None, Path("a.h5ad"))[0] == "batch"
    assert library_of_spots(obs, ["0", "1"], column, Path("a.h5ad"))[0] == column


def test_columns_of_clusters_are_no_libraries_though_both_are_called_by_letters() -> None:
    obs = pd.DataFrame({"leiden": ["A", "A", "B", "B"]})
    assert library_of_spots(obs, ["A", "B"], None, Path("a.h5ad"))[0] is None


def test_advice_names_no_column_of_clusters() -> None:
    obs = pd.DataFrame({"leiden": ["1", "2"] * 18, "in_tissue": [0, 1] * 18, "sample": ["a"] * 18 + ["b"] * 18})
    with pytest.raises(EosinError, match=r"by --library, perhaps sample; or"):
        check_apart(np.tile(lattice(6, 400.0)[:18], (2, 1)), obs, Path("a.h5ad"))
    with pytest.raises(EosinError, match=r"by --library; or"):
        check_apart(np.tile(lattice(6, 400.0)[:18], (2, 1)), obs.drop(columns="sample"), Path("a.h5ad"))


def test_a_scale_of_one_of_several_libraries_is_not_taken_by_chance(tmp_path: Path) -> None:
    adata = joined(keys=("1", "2"))[:20].copy()
    adata.obs = pd.DataFrame({"in_tissue": [1] * 20}, index=adata.obs_names)
    for key, mpp in (("1", 0.25), ("2", 0.5)):
        adata.uns["spatial"][key]["scalefactors"]["microns_per_pixel"] = mpp
    told = r"names 2 libraries \(1, 2\) and no column tells whose a spot is: they are of 0\.25 to 0\.5 µm per pixel"
    with pytest.raises(EosinError, match=told):
        read(put(adata, tmp_path))
    (one,) = read(tmp_path / "cohort.h5ad", mpp=0.5)
    assert np.allclose(one.spots.xy_um, lattice(6, 400.0)[:20] * 0.5)
    with pytest.raises(EosinError, match="or give the scale of one of them by --mpp"):
        read(tmp_path / "cohort.h5ad", mpp=0.4)
    adata.uns["spatial"]["2"]["scalefactors"]["microns_per_pixel"] = 0.25
    assert any("taken for one" in note for note in read(put(adata, tmp_path))[0].notes)


def test_a_scale_is_not_taken_by_chance_where_a_told_column_calls_libraries_otherwise(tmp_path: Path) -> None:
    adata = joined(keys=("1", "2"))
    for key in ("1", "2"):
        adata.uns["spatial"][key]["scalefactors"]["microns_per_pixel"] = 0.25
    left, _ = read(put(adata, tmp_path), library="sample")
    told = "uns['spatial'] names 2 libraries (1, 2) and none is called left"
    assert f"{told}: scale factors are the first one's" in left.notes
    adata.uns["spatial"]["2"]["scalefactors"]["microns_per_pixel"] = 0.5
    with pytest.raises(EosinError, match=r"none is called left: they are of 0\.25 to 0\.5 µm per pixel"):
        read(put(adata, tmp_path), library="sample")
    assert np.allclose(read(tmp_path / "cohort.h5ad", library="sample", mpp=0.5)[0].spots.xy_um[0], 500.0)


def test_spots_without_a_library_are_left_out_and_counted(tmp_path: Path) -> None:
    adata = joined("library_id")
    adata.obs.loc[adata.obs_names[:2], "library_id"] = np.nan
    left, right = read(put(adata, tmp_path), mpp=0.25)
    assert (len(left), len(right)) == (18, 16)
    assert "2 of 36 spots of the file have no obs['library_id'] and were left out" in left.notes


# --- several samples, and nothing that says so -----------------------------------------------------------------------


def cells_of_two(shift: float, column: str = "sample") -> anndata.AnnData:
    """300 cells of one sample and 100 of another in µm, on places of their own."""
    xy = np.random.default_rng(0).uniform(0, 500, (400, 2)) + np.repeat([[0.0, 0.0], [shift, 0.0]], [300, 100], axis=0)
    adata = anndata.AnnData(
        X=sparse.csr_matrix(counts(400, 3).astype(np.float32)),
        obs=pd.DataFrame({column: ["P1"] * 300 + ["P2"] * 100}, index=[f"cell{i}" for i in range(400)]),
        var=pd.DataFrame(index=list(GENES)),
    )
    adata.obsm["spatial"] = xy
    return adata


@pytest.mark.parametrize("column", ["sample", "Sample_ID", "batch", "orig.ident", "slide", "library"])
def test_samples_whose_spots_lie_among_one_another_are_asked_about(tmp_path: Path, column: str) -> None:
    file = put(cells_of_two(0.0, column), tmp_path)
    told = rf"obs\['{column}'\] names 2 samples \(P1, P2\) whose spots lie among one another; give --library {column}"
    with pytest.raises(EosinError, match=told):
        read(file, positions_um=True)
    assert [len(one) for one in read(file, positions_um=True, library=column)] == [300, 100]


def test_samples_beside_one_another_are_one_section_with_a_note(tmp_path: Path) -> None:
    (one,) = read(put(cells_of_two(500.0), tmp_path), positions_um=True)
    assert (
        "obs['sample'] names 2 samples (P1, P2), which are read as one section; --library sample reads each"
        in one.notes
    )


def test_halves_of_a_lattice_are_beside_one_another(tmp_path: Path) -> None:
    """Spots at the border are as near to the other half as to their own."""
    adata = joined("library_id")[:20].copy()
    del adata.uns["spatial"]
    adata.obs["sample"] = ["a", "b"] * 10
    adata.obsm["spatial"] = lattice(6, 400.0)[:20][np.argsort(np.arange(20) % 2, kind="stable").argsort()]
    (one,) = read(put(adata, tmp_path), mpp=0.25)
    assert any("read as one section" in note for note in one.notes)


def test_lattices_that_are_shifted_against_one_another_are_seen() -> None:
    xy = np.concatenate([lattice(6, 400.0), lattice(6, 400.0) + 37.0])
    obs = pd.DataFrame({"in_tissue": [0, 1] * 36, "sample": ["s0"] * 36 + ["s1"] * 36})
    with pytest.raises(EosinError, match="give --library sample"):
        samples_in_one(xy, obs, Path("a.h5ad"), is_told=False)
    assert samples_in_one(xy[:36], obs[:36], Path("a.h5ad"), is_told=False) == []


# --- patients -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("missing", [np.nan, None, "nan", "NA", "unknown", ""])
def test_missing_donors_do_not_vote_and_are_no_patient(tmp_path: Path, missing: object) -> None:
    adata = joined("library_id")
    adata.obs["donor_id"] = [missing, missing, *["P7"] * 18, *[missing] * 16]
    left, right = read(put(adata, tmp_path), mpp=0.25)
    assert (left.patient, right.patient) == ("P7", "cohort-right")
    assert "obs['donor_id'] names no patient: the section counts as its own" in right.notes


@pytest.mark.parametrize(
    "column",
    ["Patient", "PatientID", "patient ID", "donor_ID", "Subject", "subject_id", "individual", "Participant_ID", "case"],
)
def test_the_patient_is_found_under_the_usual_headings(tmp_path: Path, column: str) -> None:
    adata = joined("library_id")
    adata.obs[column] = ["P7"] * 36
    assert [one.patient for one in read(put(adata, tmp_path), mpp=0.25)] == ["P7", "P7"]


@pytest.mark.parametrize(("column", "value"), [("case", "control"), ("case", "yes"), ("donor_age", "61"), ("n", "P7")])
def test_what_names_nobody_is_no_patient_and_that_is_said(tmp_path: Path, column: str, value: str) -> None:
    """Sections of one state of disease would else be of one patient; sections of nobody are apart from one another."""
    adata = joined("library_id")
    adata.obs[column] = value
    left, right = read(put(adata, tmp_path), mpp=0.25)
    assert (left.patient, right.patient) == ("cohort-left", "cohort-right")
    assert any(note.endswith("patient: the section counts as its own") for note in left.notes)


def test_a_number_is_the_same_patient_where_others_are_missing(tmp_path: Path) -> None:
    adata = joined("library_id")
    adata.obs["donor"] = [7.0] * 20 + [np.nan] * 8 + [7.0] * 8
    assert [one.patient for one in read(put(adata, tmp_path), mpp=0.25)] == ["7", "7"]


def test_several_patients_in_one_section_are_said(tmp_path: Path) -> None:
    adata = joined("library_id")
    adata.obs["patient"] = ["P1", "P2"] * 18
    left, _ = read(put(adata, tmp_path), mpp=0.25)
    assert left.patient == "cohort-left" and any("names 2 patients (P1, P2)" in note for note in left.notes)


# --- genes --------------------------------------------------------------------------------------------------------


def test_a_literal_nan_is_no_gene(tmp_path: Path) -> None:
    adata = joined("library_id")
    adata.var_names = ["nan", "NaN", *GENES[2:]]
    left, _ = read(put(adata, tmp_path / "bare"), mpp=0.25)
    assert left.genes == GENES[2:] and left.counts is not None and left.counts.shape == (20, 28)
    assert "2 of 30 features have no name and were left out" in left.notes
    adata.var["gene_ids"] = [f"ENSG{i:011d}" for i in range(30)]
    left, _ = read(put(adata, tmp_path / "ids"), mpp=0.25)
    assert left.genes is not None and left.genes[:3] == ("ENSG00000000000", "ENSG00000000001", GENES[2])


# --- files of old versions ----------------------------------------------------------------------------------------


def names_in(file: Path) -> np.ndarray:
    """Names of spots as old versions wrote them; newer ones write a table or a group of values and gaps."""
    return np.array([name.encode() for name in anndata.read_h5ad(file).obs_names], dtype=h5py.string_dtype())


def old_categories(file: Path) -> None:
    """`obs` as anndata 0.7 wrote it: codes, and their categories in a group beside them."""
    index = names_in(file)
    with h5py.File(file, "r+") as out:
        del out["obs"]
        obs = out.create_group("obs")
        obs.attrs.update({"encoding-type": "dataframe", "encoding-version": "0.1.0", "_index": "_index"})
        obs.attrs["column-order"] = np.array(["library_id"], dtype=object)
        obs["_index"] = index
        obs["__categories/library_id"] = np.array([b"left", b"right"], dtype=h5py.string_dtype())
        obs["library_id"] = np.array([0] * 20 + [1] * 16, dtype=np.int8)
        obs["library_id"].attrs["categories"] = obs["__categories/library_id"].ref


def older_table(file: Path, *, codes: bool) -> None:
    """`obs` as anndata wrote it before 0.7: one table of bytes, or of codes whose categories are in `uns`."""
    names = names_in(file)
    with h5py.File(file, "r+") as out:
        del out["obs"]
        kind = "i1" if codes else "S8"
        table = np.zeros(36, dtype=[("index", "S8"), ("library_id", kind)])
        table["index"] = names
        table["library_id"] = [0] * 20 + [1] * 16 if codes else [b"left"] * 20 + [b"right"] * 16
        out["obs"] = table
        if codes:
            out["uns/library_id_categories"] = np.array([b"left", b"right"], dtype=h5py.string_dtype())
        for key in list(out.attrs):
            del out.attrs[key]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "rewrite", [old_categories, lambda f: older_table(f, codes=True), lambda f: older_table(f, codes=False)]
)
def test_old_files_name_libraries_as_anndata_reads_them(tmp_path: Path, rewrite) -> None:
    file = put(joined("library_id"), tmp_path)
    whole = read(file, mpp=0.25)
    rewrite(file)
    found = read(file, mpp=0.25)
    assert [one.name for one in found] == ["cohort-left", "cohort-right"]
    assert [one.spots.ids for one in found] == [one.spots.ids for one in whole]
