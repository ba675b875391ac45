"""AnnData of other tools: factors as texts, counts in a layer, images by the file's name, libraries called 0, 1."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anndata
import numpy as np
import pandas as pd
import pytest
import tifffile
from PIL import Image as Picture
from scipy import sparse

from eosin.data import read
from eosin.errors import EosinError
from unit.data.layouts import GENES, counts, lattice

N = 25


@pytest.fixture(autouse=True)
def without_probe(monkeypatch: pytest.MonkeyPatch) -> None:
    """None of these files crashes HDF5."""
    monkeypatch.setattr("eosin.storage.hdf5.probe", lambda path: None)


def written(path: Path, obs: dict[str, Any] | None = None, uns: dict[str, Any] | None = None, **parts: Any) -> Path:
    """A file of 25 spots, 200 px apart."""
    matrix = parts.pop("X", sparse.csr_matrix(counts(N, 1).astype(np.float32)))
    adata = anndata.AnnData(
        matrix,
        obs=pd.DataFrame(obs or {}, index=[f"s{i}" for i in range(N)]),
        var=pd.DataFrame(index=list(GENES)),
        **parts,
    )
    adata.obsm["spatial"] = lattice(5, 200.0)
    adata.uns |= uns or {}
    path.parent.mkdir(exist_ok=True)
    adata.write_h5ad(path)
    return path


def library(mpp: Any = 0.5, width: Any = 110.0, **more: Any) -> dict[str, Any]:
    return {"scalefactors": {"microns_per_pixel": mpp, "spot_diameter_fullres": width, **more}, "images": {}}


def one(path: Path, **told: Any) -> Any:
    (section,) = read(path, **told)
    return section


@pytest.mark.parametrize("wrapped", [str, lambda x: np.array([x]), lambda x: np.array([[x]]), lambda x: f" {x}\n"])
def test_factors_as_texts_and_arrays_of_one_count(tmp_path: Path, wrapped: Any) -> None:
    file = written(tmp_path / "S.h5ad", uns={"spatial": {"S": library(wrapped(0.5), wrapped(110.0))}})
    section = one(file)
    np.testing.assert_allclose(section.spots.xy_um, lattice(5, 200.0) * 0.5)
    assert section.spots.diameter_um == 55.0
    with pytest.raises(EosinError, match=r"0\.5"):
        read(file, mpp=0.25)


def test_the_size_of_an_image_is_compared_by_factors_as_texts(tmp_path: Path) -> None:
    """The picture of the positions had 2000 px; the one beside the file has twice as many."""
    hires = np.random.default_rng(0).integers(0, 255, (200, 200, 3)).astype(np.uint8)
    entry = library(tissue_hires_scalef="0.1") | {"images": {"hires": hires}}
    Picture.new("RGB", (4000, 4000)).save(tmp_path / "S.png")
    section = one(written(tmp_path / "S.h5ad", uns={"spatial": {"S": entry}}))
    assert section.image is not None and section.image.mpp == 0.25
    assert any("2 x the picture of the positions" in note for note in section.notes)


@pytest.mark.parametrize("x", ["empty", "rounded"])
def test_a_layer_that_is_called_counts_is_believed_before_whole_numbers_in_x(tmp_path: Path, x: str) -> None:
    true = counts(N, 1).astype(np.float32)
    other = np.zeros_like(true) if x == "empty" else np.round(1e4 * true / np.maximum(true.sum(1, keepdims=True), 1))
    file = written(tmp_path / "S.h5ad", X=sparse.csr_matrix(other), layers={"counts": sparse.csr_matrix(true)})
    section = one(file, mpp=0.5)
    assert section.counts is not None and np.array_equal(section.counts.toarray(), true)
    said = "counts are from layers['counts']" + ("" if x == "empty" else "; X holds other whole numbers")
    assert said in section.notes
    same = written(tmp_path / "same" / "S.h5ad", layers={"counts": sparse.csr_matrix(true)})
    assert not any("layers" in note for note in one(same, mpp=0.5).notes)


def test_counts_of_raw_are_taken_where_x_is_empty(tmp_path: Path) -> None:
    true = counts(N, 1).astype(np.float32)
    file = written(tmp_path / "S.h5ad")
    adata = anndata.read_h5ad(file)
    adata.raw = adata.copy()
    adata.X = sparse.csr_matrix(true.shape, dtype=np.float32)
    adata.write_h5ad(file)
    section = one(file, mpp=0.5)
    assert section.counts is not None and np.array_equal(section.counts.toarray(), true)


@pytest.mark.parametrize("column", ["in_tissue", "leiden", "seurat_clusters", "array_row", "selected"])
def test_numbers_of_something_else_are_no_names_of_libraries(tmp_path: Path, column: str) -> None:
    values = np.arange(N) % 2 if column != "in_tissue" else np.ones(N, int)
    file = written(tmp_path / "S.h5ad", {column: values}, {"spatial": {"0": library(), "1": library()}})
    section = one(file)
    assert section.name == "S" and any("no column tells whose a spot is" in note for note in section.notes)
    other = written(tmp_path / "b" / "S.h5ad", {column: values}, {"spatial": {"0": library(), "1": library(0.25)}})
    with pytest.raises(
        EosinError, match=r"no column tells whose a spot is: they are of 0\.25 to 0\.5 µm per pixel; .*--library"
    ):
        read(other)
    told = written(
        tmp_path / "c" / "S.h5ad",
        {"batch": [str(i % 2) for i in range(N)]},
        {"spatial": {"0": library(), "1": library()}},
    )
    assert [each.name for each in read(told)] == ["S-0", "S-1"]


def test_samples_that_nothing_parts_are_said(tmp_path: Path) -> None:
    file = written(tmp_path / "S.h5ad", {"sample": ["a"] * 10 + ["b"] * 15})
    notes = one(file, mpp=0.5).notes
    assert "obs['sample'] names 2 samples (a, b), which are read as one section; --library sample reads each" in notes
    assert len(read(file, mpp=0.5, library="sample")) == 2


@pytest.mark.parametrize("name", ["S.png", "S.ome.tif", "S.JPG", "S.TIFF"])
def test_the_image_of_the_files_name_goes_before_that_of_the_library(tmp_path: Path, name: str) -> None:
    file = written(tmp_path / "S.h5ad", uns={"spatial": {"slice1": library()}})
    Picture.new("RGB", (1900, 1900)).save(tmp_path / "slice1.png")
    assert one(file).image.path.name == "slice1.png"
    pixels = np.zeros((1900, 1900, 3), np.uint8)
    tifffile.imwrite(tmp_path / name, pixels) if "TIF" in name.upper() else Picture.fromarray(pixels).save(
        tmp_path / name
    )
    assert one(file).image.path.name == name


def test_an_image_is_not_that_of_two_files_with_a_library_of_its_name(tmp_path: Path) -> None:
    for name in ("S1", "S2"):
        written(tmp_path / f"{name}.h5ad", uns={"spatial": {"slice1": library()}})
    Picture.new("RGB", (1900, 1900)).save(tmp_path / "slice1.png")
    with pytest.raises(
        EosinError, match=r"slice1\.png: is called as library 'slice1' of S1\.h5ad, which S2\.h5ad has too"
    ):
        read(tmp_path)


def test_two_sections_of_one_name_are_refused(tmp_path: Path) -> None:
    libraries = {"spatial": {"B": library(), "C": library()}}
    written(tmp_path / "A.h5ad", {"library_id": ["B"] * 12 + ["C"] * 13}, libraries)
    written(tmp_path / "A-B.h5ad")
    with pytest.raises(EosinError, match=r"a section of it is called 'A-B', and one of A(-B)?\.h5ad too; give one of"):
        read(tmp_path)


def test_the_scale_of_the_image_holds_where_nothing_else_says_one(tmp_path: Path) -> None:
    file = written(tmp_path / "S.h5ad")
    with pytest.raises(EosinError, match="does not say the scale"):
        read(file)
    pixels = np.zeros((1900, 1900, 3), np.uint8)
    meta = {
        "axes": "YXS",
        "PhysicalSizeX": 0.5,
        "PhysicalSizeXUnit": "µm",
        "PhysicalSizeY": 0.5,
        "PhysicalSizeYUnit": "µm",
    }
    tifffile.imwrite(tmp_path / "S.ome.tif", pixels, metadata=meta, photometric="rgb")
    section = one(file)
    assert section.image is not None and section.image.mpp == 0.5
    np.testing.assert_allclose(section.spots.xy_um, lattice(5, 200.0) * 0.5)
    assert any("0.5 µm/px as S.ome.tif says" in note for note in section.notes)
    assert one(file, mpp=0.25).image.mpp == 0.25


@pytest.mark.parametrize(
    "column", ["Patient", "patient ID", "PatientID", "subject", "Individual", "donor.id", "Case_ID"]
)
def test_a_patient_stands_under_any_of_its_names(tmp_path: Path, column: str) -> None:
    assert one(written(tmp_path / "S.h5ad", {column: ["P7"] * N}), mpp=0.5).patient == "P7"
    nobody = one(written(tmp_path / "b" / "S.h5ad"), mpp=0.5)
    assert nobody.patient == "S" and any("no column of obs names a patient" in note for note in nobody.notes)
