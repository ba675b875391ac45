"""Outputs that no reader reads are called what they are, with what to do; so are parts of a sample that is read."""

from __future__ import annotations

from pathlib import Path

import anndata
import numpy as np
import pytest

from cell_layouts import hd_bundle
from eosin.api.info import info
from eosin.data import read
from eosin.errors import EosinError
from unit.data import layouts_10x


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("cell_by_gene.csv", "MERSCOPE"),
        ("HumanBreast_detected_transcripts.csv", "MERSCOPE"),
        ("S1_exprMat_file.csv", "CosMx"),
        ("S1_fov_positions_file.csv.gz", "CosMx"),
        ("Puck_200115_08_BeadLocationsForR.csv", "Slide-seq"),
        ("Puck.digital_expression.txt.gz", "Slide-seq"),
        ("SS200000135TL_D1.tissue.gef", "Stereo-seq"),
        ("SS200000135TL_D1.gem.gz", "Stereo-seq"),
        ("Rep1_MOB_count_matrix-1.tsv", "legacy ST"),
        ("cell_feature_matrix.zarr.zip", "Xenium as zarr"),
    ],
)
def test_outputs_of_others_are_named(tmp_path: Path, name: str, what: str) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / name).write_bytes(b"a,b\n1,2\n")
    for path, verb in ((tmp_path, "holds"), (tmp_path / "in" / name, "is of the")):
        if what == "Xenium as zarr" and path == tmp_path:
            continue  # the reader of Xenium knows the folder
        with pytest.raises(EosinError, match=f"{verb} outputs of {what}") as error:
            info(path)
        assert error.value.fix and "known layouts" not in error.value.fix


@pytest.mark.parametrize("suffix", [".h5mu", ".h5Seurat", ".qs", ".qs2", ".Robj", ".mat", ".RDS"])
def test_objects_of_other_programs_are_to_be_written_as_h5ad(tmp_path: Path, suffix: str) -> None:
    file = tmp_path / f"a{suffix}"
    file.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(200))
    with pytest.raises(EosinError) as error:
        info(file)
    assert ".h5ad" in str(error.value.fix)


def test_an_anndata_in_zarr_is_named(tmp_path: Path) -> None:
    adata = anndata.AnnData(X=np.ones((4, 2), dtype=np.float32))
    adata.obsm["spatial"] = np.zeros((4, 2))
    adata.write_zarr(tmp_path / "a.zarr")
    for path in (tmp_path, tmp_path / "a.zarr"):
        with pytest.raises(EosinError, match="an AnnData in zarr is not read") as error:
            info(path)
        assert "read_zarr" in str(error.value.fix)


def test_a_part_of_a_sample_names_the_folder_of_all(tmp_path: Path) -> None:
    hd_bundle(tmp_path)
    (inner,) = tmp_path.rglob("segmented_outputs")
    with pytest.raises(EosinError, match="it is a part of a sample") as error:
        info(inner)
    assert str(inner.parent) in str(error.value.fix)


def test_a_folder_above_readable_ones_names_these(tmp_path: Path) -> None:
    folder = layouts_10x.xenium(tmp_path / "a" / "b") / "R1"
    (folder / "analysis.zarr.zip").write_bytes(b"PK")
    with pytest.raises(EosinError) as error:
        info(tmp_path)
    assert "give one of the folders in it: a/b" in str(error.value.fix)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("cell_feature_matrix.zarr.zip", "is not read, and there is no transcripts.parquet"),
        ("cell_feature_matrix.tar.gz", "the matrix is packed"),
    ],
)
def test_a_region_of_xenium_without_tables_says_what_lies_there(tmp_path: Path, name: str, said: str) -> None:
    (tmp_path / "experiment.xenium").write_text("{}")
    (tmp_path / name).write_bytes(b"PK")
    with pytest.raises(EosinError, match=said):
        read(tmp_path)


def test_a_store_without_a_table_is_named(tmp_path: Path) -> None:
    for name in ("points", "shapes"):
        (tmp_path / "s.zarr" / name).mkdir(parents=True)
    (tmp_path / "s.zarr" / "zarr.json").write_text('{"zarr_format": 3, "node_type": "group"}')
    for path in (tmp_path, tmp_path / "s.zarr"):
        with pytest.raises(EosinError, match="a SpatialData store without a table of counts") as error:
            info(path)
        assert "aggregate" in str(error.value.fix)


def test_a_folder_of_slides_says_what_takes_it(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_bytes(b"\x89PNG")
    with pytest.raises(EosinError, match="it holds 2 pictures") as error:
        info(tmp_path)
    assert "eosin predict" in str(error.value.fix)
