"""What is said of a path that no reader knows: what is there, what is missing, which command unpacks it."""

from __future__ import annotations

from pathlib import Path

import pytest

import eosin
from eosin.data import recognise
from eosin.errors import EosinError
from unit.data.layouts import legacy_st, placeholder
from unit.data.layouts_10x import counts, visium_positions, write_visium


def refusal(path: Path) -> str:
    with pytest.raises(EosinError) as error:
        recognise(path)
    return str(error.value)


def test_a_matrix_alone_is_said_with_what_is_missing(tmp_path: Path) -> None:
    placeholder(tmp_path / "GSM1_filtered_feature_bc_matrix.h5")
    said = refusal(tmp_path)
    assert "it holds 1 matrix of counts (0.0 MB); no picture" in said and "spatial/tissue_positions.csv" in said


def test_positions_alone_are_said(tmp_path: Path) -> None:
    for name in ("P1_tissue_positions_list.csv.gz", "P2_tissue_positions_list.csv.gz", "P1.png"):
        placeholder(tmp_path / name)
    assert "it holds positions of 2 samples, 1 picture; put the matrix of counts beside" in refusal(tmp_path)


def test_matrices_and_positions_that_lie_apart(tmp_path: Path) -> None:
    placeholder(tmp_path / "matrices" / "P1.matrix.mtx.gz")
    placeholder(tmp_path / "places" / "P1_tissue_positions_list.csv.gz")
    assert "put matrix and positions of a sample into one folder" in refusal(tmp_path)


def test_folders_that_readers_know_are_named(tmp_path: Path) -> None:
    legacy_st(tmp_path / "her2st")
    write_visium(tmp_path / "cohort" / "S1", counts(62), visium_positions())
    assert "give one of the folders in it: cohort, her2st" in refusal(tmp_path)
    write_visium(tmp_path / "deep" / "GSE1" / "P1" / "S1" / "outs", counts(62), visium_positions())
    assert "give one of the folders in it: GSE1/P1" in refusal(tmp_path / "deep")


@pytest.mark.parametrize(
    ("name", "command"),
    [
        ("V1_spatial.tar.gz", "tar -xf '{}/V1_spatial.tar.gz' -C '{}"),
        ("GSE1_RAW.tar", "tar -xf '{}/GSE1_RAW.tar' -C '{}/GSE1_RAW'"),
        ("slide.zarr.zip", "unzip '{}/slide.zarr.zip' -d '{}/slide.zarr'"),
        ("cohort.h5ad.gz", "gunzip -k '{}/cohort.h5ad.gz'"),
        ("scan.svs.gz", "gunzip -k '{}/scan.svs.gz'"),
    ],
)
def test_packed_files_are_named_with_the_command(tmp_path: Path, name: str, command: str) -> None:
    file = placeholder(tmp_path / "d" / name)
    command = command.replace("{}", str(file.parent))
    assert command in refusal(file.parent) and command in refusal(file)
    for verb in (eosin.info, lambda path: eosin.encode(path, out=tmp_path / "features", mpp=0.5)):
        with pytest.raises(EosinError) as error:
            verb(file)
        assert command in str(error.value) and "not an image that" not in str(error.value)


def test_archives_of_10x_are_unpacked_beside_the_matrix_unless_there_are_several(tmp_path: Path) -> None:
    placeholder(tmp_path / "V1_filtered_feature_bc_matrix.h5")
    file = placeholder(tmp_path / "V1_spatial.tar.gz")
    assert refusal(tmp_path).endswith(f"unpack tar -xf '{file}' -C '{tmp_path}'")
    placeholder(tmp_path / "V2_spatial.tar.gz")
    assert refusal(tmp_path).endswith(f"-C '{tmp_path}/V1_spatial' (and 1 more)")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("matrix.mtx", "is a matrix of counts, not an image; give the image, or the folder"),
        ("positions.csv", "has no column 'path', which a table of slides has"),
        ("slides.xlsx", "is a table, not an image; save it as .csv (CSV UTF-8) if it lists slides"),
        ("seurat.rds", "is an object of R, not an image; write it as .h5ad first"),
        ("outlines.geojson", "is outlines, not an image; give the image, and this file by --tissue"),
    ],
)
def test_files_of_another_kind_are_no_damaged_images(tmp_path: Path, name: str, said: str) -> None:
    with pytest.raises(EosinError) as error:
        eosin.info(placeholder(tmp_path / name))
    assert said in str(error.value)


def test_a_matrix_given_as_a_file_asks_for_its_folder(tmp_path: Path) -> None:
    with pytest.raises(EosinError, match=r"without positions; give the folder that holds it"):
        eosin.info(placeholder(tmp_path / "filtered_feature_bc_matrix.h5"))


def test_an_archive_that_was_unpacked_into_a_folder_of_its_name(tmp_path: Path) -> None:
    made = write_visium(tmp_path / "made", counts(62), visium_positions())
    for prefix in ("GSM1_P1_", "GSM2_P2_"):
        (tmp_path / "GSE" / f"{prefix}spatial").mkdir(parents=True)
        (tmp_path / "GSE" / f"{prefix}filtered_feature_bc_matrix.h5").write_bytes(
            (made / "filtered_feature_bc_matrix.h5").read_bytes()
        )
        for file in (made / "spatial").iterdir():
            target = tmp_path / "GSE" / f"{prefix}spatial" / "spatial" / file.name
            target.parent.mkdir(exist_ok=True)
            target.write_bytes(file.read_bytes())
    found = eosin.read(tmp_path / "GSE")
    assert [one.name for one in found] == ["P1", "P2"] and all(one.image is not None for one in found)


def test_ome_zarr_counts_as_a_picture(tmp_path: Path) -> None:
    """And alone it is one without counts; what lies in its chunks is not looked at."""
    placeholder(tmp_path / "S1_filtered_feature_bc_matrix.h5")
    store = tmp_path / "S1.ome.zarr"
    placeholder(store / "0" / "matrix.mtx")
    (store / ".zattrs").write_text('{"multiscales": []}')
    assert "it holds 1 matrix of counts (0.0 MB), 1 picture; put" in refusal(tmp_path)
    assert "S1.ome.zarr: no reader fits: it is the image of a slide, without counts" in refusal(store)
