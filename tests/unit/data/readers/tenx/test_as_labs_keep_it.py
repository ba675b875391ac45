"""Outputs of 10x as they lie on a lab's disk: two tables of one thing, other names, files of other kinds beside."""

from __future__ import annotations

import gzip
import io
import shutil
import unicodedata
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile
from scipy import io as scipy_io
from scipy import sparse

from cell_layouts import xenium_bundle
from eosin.data import read
from eosin.data.slide_entries import entries_of
from eosin.errors import EosinError
from unit.data.layouts_10x import counts, visium_hd, visium_positions, write_visium, xenium


@pytest.fixture(autouse=True)
def without_probe(monkeypatch: pytest.MonkeyPatch) -> None:
    """None of these files crashes HDF5."""
    monkeypatch.setattr("eosin.storage.hdf5.probe", lambda path: None)


def test_two_tables_of_cells_must_agree(tmp_path: Path) -> None:
    xenium_bundle(tmp_path)
    folder = tmp_path / "R1"
    table = pd.read_parquet(folder / "cells.parquet")
    table.round(3).to_csv(folder / "cells.csv.gz", index=False)
    expected = read(tmp_path, unit="cells")[0].spots.ids
    table["x_centroid"] += 30
    table.to_csv(folder / "cells.csv.gz", index=False)
    with pytest.raises(EosinError, match=r"cells\.csv\.gz put the same cells up to 30 µm apart"):
        read(tmp_path, unit="cells")
    table["cell_id"] = [f"{cell}x" for cell in table["cell_id"]]
    table.to_csv(folder / "cells.csv.gz", index=False)
    with pytest.raises(EosinError, match=r"names other cells than cells\.csv\.gz beside it"):
        read(tmp_path, unit="cells")
    (folder / "cells.csv.gz").unlink()
    assert read(tmp_path, unit="cells")[0].spots.ids == expected


@pytest.mark.parametrize(
    ("image", "alignment"),
    [
        ("R1_HE.ome.tif", "R1_HE_alignment.csv"),
        ("H&E.ome.tif", "alignment.csv"),
        ("he.tif", "matrix.csv"),
        ("Xenium_V1_he_unaligned_image.ome.tif", "Xenium_V1_he_imagealignment.csv"),
    ],
)
def test_the_image_of_xenium_under_other_names(tmp_path: Path, image: str, alignment: str) -> None:
    folder = xenium(tmp_path, ("R1",)) / "R1"
    (folder / image).write_bytes(b"not an image, and nobody looks")
    (folder / "morphology_focus.ome.tif").write_bytes(b"not the H&E")
    (folder / "overview_scan_the.tif").write_bytes(b"not the H&E")
    np.savetxt(folder / alignment, np.diag([2.0, 2.0, 1.0]), delimiter=",")
    found = read(tmp_path)[0].image
    assert found is not None and found.path.name == image and found.mpp == pytest.approx(0.425)


def test_points_in_the_place_of_an_alignment_are_said(tmp_path: Path) -> None:
    folder = xenium(tmp_path, ("R1",)) / "R1"
    (folder / "Slide_he_image.ome.tif").write_bytes(b"not an image, and nobody looks")
    (folder / "Slide_he_image_keypoints.csv").write_text("fixedX,fixedY,alignmentX,alignmentY\n1,2,3,4\n")
    (section,) = read(tmp_path)
    assert section.image is None
    assert any("keypoints.csv holds points: export the alignment's matrix" in note for note in section.notes)


def test_the_cytassists_picture_under_its_serial_number_is_not_the_slide(tmp_path: Path) -> None:
    outs = write_visium(tmp_path / "S1" / "outs", counts(62), visium_positions())
    (outs / "CAVG10539_2023-11-16_14-56-24_H1-YD7CDZK_A1.tif").write_bytes(b"not an image, and nobody looks")
    (section,) = read(tmp_path)
    assert section.image is not None and section.image.path.name == "tissue_hires_image.png"
    assert any("is the CytAssist's picture" in note for note in section.notes)


@pytest.mark.parametrize("name", ["raw_probe_bc_matrix.h5", "molecule_info.h5"])
def test_files_of_probes_and_molecules_are_no_matrix_of_genes(tmp_path: Path, name: str) -> None:
    outs = write_visium(tmp_path / "S1" / "outs", counts(62), visium_positions())
    shutil.move(outs / "filtered_feature_bc_matrix.h5", outs / name)
    with pytest.raises(EosinError, match=r"no filtered_feature_bc_matrix\.h5") as error:
        read(tmp_path)
    assert f"{name} counts probes or molecules, not genes" in str(error.value.fix)


def test_an_inverse_alignment_is_refused_where_the_image_says_its_scale(tmp_path: Path) -> None:
    folder = xenium(tmp_path, ("R1",)) / "R1"
    options = {"photometric": "rgb", "resolution": (1e4 / 0.5, 1e4 / 0.5), "resolutionunit": "CENTIMETER"}
    tifffile.imwrite(folder / "Slide_he_image.ome.tif", np.zeros((40, 40, 3), np.uint8), metadata=None, **options)
    matrix = np.array([[0.5 / 0.2125, 0, 40], [0, 0.5 / 0.2125, 70], [0, 0, 1]])
    np.savetxt(folder / "Slide_he_imagealignment.csv", matrix, delimiter=",")
    image = read(tmp_path)[0].image
    assert image is not None and image.mpp == pytest.approx(0.5)
    np.savetxt(folder / "Slide_he_imagealignment.csv", np.linalg.inv(matrix), delimiter=",")
    with pytest.raises(EosinError, match="maps the morphology image to the H&E image"):
        read(tmp_path)


def test_a_matrix_of_spots_by_genes_is_to_be_transposed(tmp_path: Path) -> None:
    outs = write_visium(tmp_path / "S1" / "outs", counts(62), visium_positions(), text=True)
    file = outs / "filtered_feature_bc_matrix" / "matrix.mtx.gz"
    text = io.BytesIO()
    scipy_io.mmwrite(text, sparse.coo_matrix(counts(62)), field="integer", symmetry="general")
    file.write_bytes(gzip.compress(text.getvalue()))
    with pytest.raises(EosinError, match="declares 62 x 12") as error:
        read(tmp_path)
    assert "transpose it" in str(error.value.fix)


def test_names_composed_by_another_system_are_the_same(tmp_path: Path) -> None:
    name = unicodedata.normalize("NFD", "Müller")
    write_visium(tmp_path / name / "outs", counts(62), visium_positions())
    (tmp_path / "patients.csv").write_text("section,patient\n" + unicodedata.normalize("NFC", "Müller") + ",P1\n")
    assert read(tmp_path)[0].patient == "P1"
    (tmp_path / f"{name}.png").write_bytes(b"\x89PNG")
    (tmp_path / "slides.csv").write_text("path\n" + unicodedata.normalize("NFC", "Müller") + ".png\n")
    assert entries_of(tmp_path / "slides.csv")[0].path.exists()


def test_a_bin_named_by_no_text_is_one_line(tmp_path: Path) -> None:
    square = visium_hd(tmp_path, ((8, 16),)) / "outs" / "binned_outputs" / "square_016um"
    file = square / "spatial" / "tissue_positions.parquet"
    table = pd.read_parquet(file)
    table["barcode"] = [barcode.encode() for barcode in table["barcode"]]
    table.loc[3, ["barcode", "pxl_row_in_fullres"]] = [b"\xff", np.nan]
    table.to_parquet(file, index=False)
    with pytest.raises(EosinError, match="has no finite position"):
        read(tmp_path)


def retold(outs: Path, name: str, tell: Callable[[list[list[str]]], list[list[str]]]) -> None:
    """A table of the matrix as text, told otherwise."""
    file = outs / "filtered_feature_bc_matrix" / name
    rows = tell([line.split("\t") for line in gzip.decompress(file.read_bytes()).decode().splitlines()])
    file.write_bytes(gzip.compress("".join("\t".join(row) + "\n" for row in rows).encode()))


@pytest.mark.parametrize(
    "tell",
    [
        lambda rows: [[f'"{cell}"' for cell in row] for row in rows],
        lambda rows: [["gene_id" if len(rows[0]) > 1 else "barcode", *rows[0][1:]], *rows],
        lambda rows: [[row[1], row[0], row[2]] if len(row) > 1 else row for row in rows],
    ],
    ids=["quotes", "a heading", "symbols before ids"],
)
def test_tables_of_a_matrix_as_other_programs_write_them(
    tmp_path: Path, tell: Callable[[list[list[str]]], list[list[str]]]
) -> None:
    outs = write_visium(tmp_path / "S1" / "outs", counts(62), visium_positions(), text=True)
    (expected,) = read(tmp_path)
    for name in ("barcodes.tsv.gz", "features.tsv.gz"):
        retold(outs, name, tell)
    (section,) = read(tmp_path)
    assert (section.genes, section.ensembl, section.spots.ids) == (expected.genes, expected.ensembl, expected.spots.ids)


def test_transcripts_in_pixels_lie_beyond_the_cells(tmp_path: Path) -> None:
    xenium_bundle(tmp_path, image=False)
    expected = read(tmp_path)[0].spots.ids
    file = tmp_path / "R1" / "transcripts.parquet"
    table = pd.read_parquet(file)
    table[["x_location", "y_location"]] /= 0.2125
    table.to_parquet(file, index=False)
    with pytest.raises(EosinError, match="transcripts reach x = "):
        read(tmp_path)
    (tmp_path / "R1" / "cells.parquet").unlink()
    assert read(tmp_path)[0].spots.ids != expected  # nothing else tells


@pytest.mark.parametrize(
    ("name", "text"), [("Patients.CSV", "Section,Patient\nS1,P9\n"), ("patients.tsv", "section\tpatient\nS1\tP9\n")]
)
def test_the_table_of_patients_in_other_letters_or_with_tabs(tmp_path: Path, name: str, text: str) -> None:
    write_visium(tmp_path / "S1" / "outs", counts(62), visium_positions())
    (tmp_path / name).write_text(text)
    assert read(tmp_path)[0].patient == "P9"


def test_a_table_of_patients_that_is_not_read_is_said(tmp_path: Path) -> None:
    write_visium(tmp_path / "S1" / "outs", counts(62), visium_positions())
    (tmp_path / "patients.xlsx").write_bytes(b"PK")
    assert any("patients.xlsx is not read: save it as patients.csv" in note for note in read(tmp_path)[0].notes)
    for name in ("patients.csv", "patients.tsv"):
        (tmp_path / name).write_text("section,patient\nS1,P9\n")
    with pytest.raises(EosinError, match=r"patients\.csv and patients\.tsv both fit"):
        read(tmp_path)
