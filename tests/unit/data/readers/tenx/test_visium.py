"""Visium as Space Ranger writes it: counts, positions, scale and image of all versions; broken files."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image as Picture

from eosin.data import read
from eosin.errors import EosinError
from unit.data import hostile_10x as hostile
from unit.data.layouts_10x import (
    GENES,
    MPP,
    VISIUM_PX,
    counts,
    visium,
    visium_positions,
    write_h5,
    write_visium,
)

MATRIX = "filtered_feature_bc_matrix.h5"


@pytest.fixture(autouse=True)
def without_probe(monkeypatch: pytest.MonkeyPatch) -> None:
    """The walk through the file in another process takes most of a second, and none of these files crashes HDF5."""
    monkeypatch.setattr("eosin.storage.hdf5.probe", lambda path: None)


def sample(folder: Path, **how) -> Path:
    """One sample `slide` with its `outs/`; its counts are `counts(62)`."""
    write_visium(folder / "slide" / "outs", counts(62), visium_positions(), **how)
    return folder / "slide"


@pytest.mark.parametrize("text", [False, True])
@pytest.mark.parametrize("version", [1, 2])
def test_counts_and_positions_of_each_version(tmp_path: Path, version: int, *, text: bool) -> None:
    (one,) = read(sample(tmp_path, version=version, text=text))
    where = visium_positions()[2:]
    assert one.counts is not None and np.array_equal(one.counts.toarray(), counts(62))
    assert one.genes == GENES and one.spots.ids == tuple(where["barcode"]) and one.spots.diameter_um == 55.0
    assert (one.name, one.platform) == ("slide", "Visium")
    expected = where[["pxl_col_in_fullres", "pxl_row_in_fullres"]] * MPP
    assert np.allclose(one.spots.xy_um, expected, atol=1e-6)
    assert np.isclose(np.diff(one.spots.xy_um[:2, 0])[0], 100)  # neighbours of a row, in µm


@pytest.mark.parametrize("version", [1, 2])
def test_the_heading_counts_not_the_files_name(tmp_path: Path, version: int) -> None:
    path = sample(tmp_path, version=version)
    spatial = path / "outs" / "spatial"
    names = ["tissue_positions_list.csv", "tissue_positions.csv"]
    shutil.move(spatial / names[version - 1], spatial / names[2 - version])
    assert read(path)[0].spots.ids == tuple(visium_positions()["barcode"][2:])


def test_columns_may_come_in_another_order(tmp_path: Path) -> None:
    path = sample(tmp_path)
    file = path / "outs" / "spatial" / "tissue_positions.csv"
    whole = read(path)[0]
    frame = pd.read_csv(file)
    frame[frame.columns[::-1]].to_csv(file, index=False)
    assert np.array_equal(read(path)[0].spots.xy_um, whole.spots.xy_um)


def test_rows_are_paired_by_barcode_whatever_their_order(tmp_path: Path) -> None:
    path, order = sample(tmp_path), np.random.default_rng(1).permutation(62)
    where = visium_positions()[2:]
    write_h5(path / "outs" / MATRIX, counts(62)[order], list(where["barcode"].iloc[order]), GENES)
    (one,) = read(path)
    assert one.counts is not None and one.spots.ids == tuple(where["barcode"].iloc[order])
    assert np.array_equal(one.counts.toarray(), counts(62)[order])
    assert np.allclose(one.spots.xy_um[:, 0], where["pxl_col_in_fullres"].iloc[order] * MPP, atol=1e-6)


@pytest.mark.parametrize("text", [False, True])
def test_pieces_make_the_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, text: bool) -> None:
    path = sample(tmp_path, text=text)
    monkeypatch.setattr("eosin.data.readers.tenx.tenx_matrix._BLOCK", 37)  # two or three rows at a time
    (one,) = read(path)
    assert one.counts is not None and np.array_equal(one.counts.toarray(), counts(62))


def test_samples_are_called_by_their_folder_wherever_one_points(tmp_path: Path) -> None:
    visium(tmp_path / "many")
    assert [one.name for one in read(tmp_path / "many")] == ["S1", "S2"]
    assert [one.name for one in read(tmp_path / "many" / "S1")] == ["S1"]
    assert [one.name for one in read(tmp_path / "many" / "S1" / "outs")] == ["S1"]


def test_patients_are_told_by_a_table(tmp_path: Path) -> None:
    path = visium(tmp_path / "many")
    assert [one.patient for one in read(path)] == ["S1", "S2"]
    assert "name no patient" in " ".join(read(path)[0].notes)
    (path / "patients.csv").write_text("section,patient\nS1,P\nS2,P\n")
    assert [one.patient for one in read(path)] == ["P", "P"]
    (path / "patients.csv").write_text("section,patient\nS1,P\n")
    with pytest.raises(EosinError, match=r"patients\.csv: names no patient for section 'S2'"):
        read(path)


@pytest.mark.parametrize(
    "text",
    [
        "section,patient\nS1,P1\nS2,P1 \n",
        "section;patient\nS1;P1\nS2;P1\n",
        "section\tpatient\nS1\tP1\nS2\tP1\n",
        "Section, Patient\nS1, P1\nS2, P1\n",
        "\ufeffPatient,SECTION,note\nP1,S1,\nP1,S2,\n\n",
        '"section","patient"\n"1","S1","P1"\n"2","S2","P1"\n',
    ],
)
def test_tables_of_patients_are_read_as_people_write_them(tmp_path: Path, text: str) -> None:
    path = visium(tmp_path / "many")
    (path / "patients.csv").write_text(text, encoding="utf-8")
    assert [one.patient for one in read(path)] == ["P1", "P1"]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("section,patient\nS1,P1\nS2,P2\nS1,P2\n", "section 'S1' is of patient 'P1' and of 'P2'"),
        ("section,patient\nS1,P1\nS2,P2,2019\n", "line 3 has 3 cells where the heading has 2"),
        ("section,patient\nS1,P1,x\nS2,P2,y\n", "line 2 has 3 cells where the heading has 2"),
    ],
)
def test_a_patient_that_cannot_be_told_is_refused(tmp_path: Path, text: str, problem: str) -> None:
    path = visium(tmp_path / "many")
    (path / "patients.csv").write_text(text)
    with pytest.raises(EosinError, match=rf"patients\.csv: {problem}"):
        read(path)


# --- scale and image ----------------------------------------------------------------------------------------------


def test_scale_from_the_pitch_is_right_without_any_neighbours(tmp_path: Path) -> None:
    frame = visium_positions().iloc[[0, 5, 18, 39, 62]].assign(in_tissue=1)
    write_visium(tmp_path / "S" / "outs", counts(5), frame)
    (one,) = read(tmp_path / "S")
    assert np.allclose(one.spots.xy_um[:, 1], frame["pxl_row_in_fullres"] * MPP)
    assert "0.5000 µm/px from the 100 µm pitch" in one.notes


def test_reduced_image_is_used_for_want_of_another_and_said(tmp_path: Path) -> None:
    (one,) = read(sample(tmp_path))
    assert one.image is not None and one.image.path.name == "tissue_hires_image.png"
    assert np.isclose(one.image.mpp, MPP / 0.2)
    assert np.isclose(one.spots.xy_um[0, 1] / one.image.mpp, VISIUM_PX * 0.2)  # the spot's pixel in the reduced image
    notes = " ".join(one.notes)
    assert "no full-resolution image, as slide.tif" in notes and "windows will be coarse" in notes


def tiff(file: Path, mpp: float) -> Path:
    Picture.new("RGB", (8, 8)).save(file, resolution=1e4 / mpp, resolution_unit=3)  # pixels per cm
    return file


@pytest.mark.parametrize("place", ["slide.tif", "slide/slide.tif", "slide/outs/slide.tif", "slide/scan_42.tif"])
def test_full_image_is_found_and_its_scale_believed(tmp_path: Path, place: str) -> None:
    path = sample(tmp_path)
    tiff(tmp_path / place, 0.52)
    (one,) = read(path)
    assert one.image is not None and one.image.path == tmp_path / place and np.isclose(one.image.mpp, 0.52, rtol=1e-3)
    assert "0.52 µm/px as the image says" in one.notes


def test_an_image_that_contradicts_the_lattice_is_not_believed(tmp_path: Path) -> None:
    path = sample(tmp_path)
    tiff(path / "scan.tif", 0.25)
    told = r"scan\.tif: 0.25 µm/px as the image says, which makes the pitch 50 µm .*--mpp; by the pitch it is 0.5"
    with pytest.raises(EosinError, match=told):
        read(path)
    (one,) = read(path, mpp=0.5)
    assert one.image is not None and one.image.mpp == 0.5 and "0.5 µm/px as given" in one.notes
    assert any("the pitch 50 µm where 100 is usual" in note for note in read(path, mpp=0.25)[0].notes)


def test_one_of_several_images_is_not_guessed(tmp_path: Path) -> None:
    path = sample(tmp_path)
    for name in ("a.tif", "b.tif"):
        tiff(path / name, 0.5)
    assert "2 images lie beside the counts and none is called slide.tif" in read(path)[0].notes


# --- what is left out ---------------------------------------------------------------------------------------------


def test_only_genes_are_read_and_repeats_added_up(tmp_path: Path) -> None:
    path, names = sample(tmp_path), [*GENES[:10], GENES[0], "CD3-protein"]
    types = ["Gene Expression"] * 11 + ["Antibody Capture"]
    write_h5(path / "outs" / MATRIX, counts(62), list(visium_positions()["barcode"][2:]), names, types)
    (one,) = read(path)
    assert one.genes == GENES[:10] and one.counts is not None
    assert np.array_equal(one.counts.toarray()[:, 0], counts(62)[:, [0, 10]].sum(1))
    assert "1 features of other types than gene expression were left out" in one.notes


def test_raw_matrix_serves_where_there_is_no_filtered_one(tmp_path: Path) -> None:
    path = sample(tmp_path)
    (path / "outs" / MATRIX).unlink()
    write_h5(path / "outs" / "raw_feature_bc_matrix.h5", counts(64, 5), list(visium_positions()["barcode"]), GENES)
    (one,) = read(path)
    assert one.counts is not None and np.array_equal(one.counts.toarray(), counts(64, 5)[2:])
    assert "2 of 64 rows of counts are not in tissue and were left out" in one.notes


def test_spots_without_counts_are_left_out(tmp_path: Path) -> None:
    path = sample(tmp_path)
    write_h5(path / "outs" / MATRIX, counts(60), list(visium_positions()["barcode"][2:62]), GENES)
    assert "2 of 62 positions in tissue have no counts and were left out" in read(path)[0].notes


# --- broken files -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", hostile.H5_FAULTS)
def test_broken_matrix(tmp_path: Path, fault: str) -> None:
    path = sample(tmp_path)
    edit, said = hostile.H5_FAULTS[fault]
    edit(path / "outs" / MATRIX)
    with pytest.raises(EosinError) as error:
        read(path)
    assert said in str(error.value) and MATRIX in str(error.value)


@pytest.mark.parametrize("key", ["matrix", "matrix/data", "matrix/features", "matrix/features/name"])
def test_links_to_other_files_are_not_followed(tmp_path: Path, key: str) -> None:
    path = sample(tmp_path)
    hostile.external(path / "outs" / MATRIX, key, tmp_path / "outside.h5")
    with pytest.raises(EosinError, match="leads into another file"):
        read(path)


def test_values_kept_in_other_files_are_not_read(tmp_path: Path) -> None:
    path = sample(tmp_path)
    hostile.raw_outside(path / "outs" / MATRIX, "matrix/data", tmp_path / "outside.bin")
    with pytest.raises(EosinError, match="is stored in another file"):
        read(path)


@pytest.mark.parametrize(
    ("size", "said"),
    [
        ("1000000000 62 700", "declares 1000000000 x 62, but 12 features and 62 barcodes are named"),
        ("12 62 999999999999", "declares 999999999999 values that are not there"),
        ("12 62 701", "not readable as a Matrix Market file"),
        ("twelve", "not readable as a Matrix Market file"),
    ],
)
def test_text_matrix_that_claims_another_size(tmp_path: Path, size: str, said: str) -> None:
    path = sample(tmp_path, text=True)
    hostile.claims(path / "outs" / "filtered_feature_bc_matrix" / "matrix.mtx.gz", size)
    with pytest.raises(EosinError, match=said):
        read(path)


POSITION_FAULTS = {
    "five columns": (lambda rows: [row.rsplit(",", 1)[0] for row in rows], "has 5 columns, expected 6"),
    "another column": (lambda rows: [rows[0].replace("array_row", "rank"), *rows[1:]], "has a column 'rank'"),
    "a word": (lambda rows: [*rows[:-1], rows[-1].rsplit(",", 1)[0] + ",left"], "'left' in column 'pxl_col_in"),
    "nan": (lambda rows: [*rows[:-1], rows[-1].rsplit(",", 1)[0] + ",nan"], "is no number"),
    "one twice": (lambda rows: [*rows, rows[-1]], "occurs twice"),
    "nothing": (lambda rows: [], "not readable as a table of positions"),
    "only a heading": (lambda rows: rows[:1], "no position is marked|too few positions"),
    "none in tissue": (lambda rows: [rows[0], *(row.replace("-1,1,", "-1,0,") for row in rows[1:])], "no position is"),
    "numbers beyond all": (
        lambda rows: [row[: row.rindex(",")] + ",1e308" if i else row for i, row in enumerate(rows)],
        ".",
    ),
}


@pytest.mark.parametrize("fault", POSITION_FAULTS)
def test_broken_positions(tmp_path: Path, fault: str) -> None:
    path = sample(tmp_path)
    file = path / "outs" / "spatial" / "tissue_positions.csv"
    edit, said = POSITION_FAULTS[fault]
    file.write_text("\n".join(edit(file.read_text().splitlines())))
    with pytest.raises(EosinError, match=said):
        read(path)


@pytest.mark.parametrize(
    ("gone", "said"),
    [(f"outs/{MATRIX}", "no filtered_feature_bc_matrix.h5"), ("outs/spatial/tissue_positions.csv", "no tissue_pos")],
)
def test_missing_files_are_named(tmp_path: Path, gone: str, said: str) -> None:
    path = sample(tmp_path)
    (path / gone).unlink()
    with pytest.raises(EosinError, match=said):
        read(path)


def test_section_names_cannot_climb_out(tmp_path: Path) -> None:
    visium(tmp_path / "other")
    path = visium(tmp_path / "mine")
    with pytest.raises(EosinError, match="no section is called"):
        read(path, sections=["../other/S1"])


def test_empty_matrix(tmp_path: Path) -> None:
    path = sample(tmp_path)
    write_h5(path / "outs" / MATRIX, np.zeros((0, 12), int), [], GENES)
    with pytest.raises(EosinError, match="no barcode of the matrix"):
        read(path)


@pytest.mark.parametrize("seed", range(4))
def test_altered_bytes_do_not_bring_the_process_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    monkeypatch.undo()  # with the probe
    path, rng = sample(tmp_path), np.random.default_rng(seed)
    file = path / "outs" / MATRIX
    data = bytearray(file.read_bytes())
    for place in rng.integers(0, 3000, 12):  # where HDF5 keeps its books
        data[place] = rng.integers(256)
    file.write_bytes(data)
    hostile.only_ours(path)


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pristine")
    for kind in ("h5", "text"):
        sample(folder / kind, text=kind == "text")
    return folder


@pytest.mark.parametrize("kind", ["h5", "text"])
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_file_cut_anywhere(pristine: Path, tmp_path: Path, kind: str, data: st.DataObject) -> None:
    copy = tmp_path / "copy"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(pristine / kind, copy)
    files = sorted(file for file in copy.rglob("*") if file.is_file())
    hostile.cut(data.draw(st.sampled_from(files)), data.draw(st.floats(0, 0.999)))
    hostile.only_ours(copy / "slide")
