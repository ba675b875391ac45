"""Space Ranger's files as repositories serve them: prefixes, packed, flat, text in any folder, aggregated, alone."""

from __future__ import annotations

import gzip
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from eosin.data import read
from eosin.errors import EosinError
from unit.data.layouts_10x import (
    COLUMNS,
    GENES,
    counts,
    hd_bins,
    visium_positions,
    write_bins,
    write_h5,
    write_mtx,
    write_visium,
)


@pytest.fixture(autouse=True)
def without_probe(monkeypatch: pytest.MonkeyPatch) -> None:
    """The walk through the file in another process takes most of a second, and none of these files crashes HDF5."""
    monkeypatch.setattr("eosin.storage.hdf5.probe", lambda path: None)


def pack(file: Path) -> None:
    file.with_name(f"{file.name}.gz").write_bytes(gzip.compress(file.read_bytes()))
    file.unlink()


def whole(folder: Path, seed: int = 0) -> Path:
    """A sample as Space Ranger writes it, without `outs/`."""
    return write_visium(folder, counts(62, seed), visium_positions(), version=1)


def flat(folder: Path, prefixes: dict[str, int], *, packed: bool = True) -> Path:
    """The files of several samples in one folder, with a prefix before each name."""
    folder.mkdir(parents=True, exist_ok=True)
    for prefix, seed in prefixes.items():
        made = whole(folder.parent / "made" / prefix, seed)
        for file in sorted(made.rglob("*")):
            if file.is_file():
                shutil.copy(file, folder / f"{prefix}{file.name}")
                if packed and file.suffix != ".h5":
                    pack(folder / f"{prefix}{file.name}")
    return folder


@pytest.mark.parametrize("packed", [True, False])
def test_a_flat_folder_of_several_samples(tmp_path: Path, *, packed: bool) -> None:
    left, right = read(flat(tmp_path / "GSE1", {"GSM11_P1_": 1, "GSM12_P10_": 2}, packed=packed))
    assert (left.name, right.name) == ("P1", "P10") and len(left) == len(right) == 62
    for one, seed in ((left, 1), (right, 2)):
        assert one.counts is not None and np.array_equal(one.counts.toarray(), counts(62, seed))
        assert (one.image is None) == packed
    if packed:
        assert any("tissue_hires_image.png.gz is packed" in note and "gunzip" in note for note in left.notes)


@pytest.mark.parametrize("text", [False, True])
def test_a_prefix_that_begins_with_another_is_another_sample(tmp_path: Path, *, text: bool) -> None:
    folder = flat(tmp_path / "GSE1", {"P1_": 1, "P1_rep2_": 2}, packed=False)
    if text:
        for prefix, seed in {"P1_": 1, "P1_rep2_": 2}.items():
            (folder / f"{prefix}filtered_feature_bc_matrix.h5").unlink()
            inside = list(visium_positions()["barcode"][2:])
            for file in write_mtx(tmp_path / "mtx" / prefix, counts(62, seed), inside, GENES).glob("*"):
                shutil.copy(file, folder / f"{prefix}{file.name}")
    found = read(folder)
    assert [one.name for one in found] == ["P1", "P1_rep2"]
    for one, seed in zip(found, (1, 2)):
        assert one.counts is not None and np.array_equal(one.counts.toarray(), counts(62, seed))
        assert not any("of one sample?" in note for note in one.notes)


@pytest.mark.parametrize(
    "name", [None, "filtered_feature_bc_matrix.h5", "filtered_feature_bc_matrix", "mex/matrix.mtx"]
)
def test_a_sample_without_a_matrix_does_not_get_that_of_another(tmp_path: Path, name: str | None) -> None:
    """Slides share their barcodes, so that it would fit."""
    folder = flat(tmp_path / "GSE1", {"P1_": 1, "P2_": 2}, packed=False)
    (folder / "P2_filtered_feature_bc_matrix.h5").unlink()
    inside = list(visium_positions()["barcode"][2:])
    if name is not None and name.endswith(".h5"):
        write_h5(folder / name, counts(62, 3), inside, GENES)
    elif name is not None:
        place = write_mtx(folder / name.partition("/")[0], counts(62, 3), inside, GENES)
        if "/" in name:
            (place / "matrix.mtx").write_bytes(gzip.decompress((place / "matrix.mtx.gz").read_bytes()))
    assert read(folder, sections=["P1"])[0].name == "P1"
    with pytest.raises(EosinError, match=r"GSE1: no filtered_feature_bc_matrix\.h5 that begins with 'P2_'"):
        read(folder)


def test_a_matrix_of_another_name_than_the_positions_is_said(tmp_path: Path) -> None:
    folder = flat(tmp_path / "GSE1", {"P1_": 1}, packed=False)
    (folder / "P1_filtered_feature_bc_matrix.h5").rename(folder / "P1_rep2_filtered_feature_bc_matrix.h5")
    (one,) = read(folder)
    assert "counts are those of 'P1_rep2', positions those of 'P1': are they of one sample?" in one.notes
    (folder / "P1_rep2_filtered_feature_bc_matrix.h5").rename(folder / "GSM1_P1_filtered_feature_bc_matrix.h5")
    assert not any("of one sample?" in note for note in read(folder)[0].notes)


def test_spatial_may_have_become_part_of_the_names(tmp_path: Path) -> None:
    folder = flat(tmp_path / "GSE1", {"GSM11_P1_": 1, "GSM12_P2_": 2}, packed=False)
    for file in sorted(folder.glob("*")):
        if file.suffix != ".h5":
            accession, patient, rest = file.name.split("_", 2)
            file.rename(folder / f"{accession}_{patient}_spatial_{rest}")
    found = read(folder)
    assert [one.name for one in found] == ["P1", "P2"] and all(one.image is not None for one in found)
    assert found[1].counts is not None and np.array_equal(found[1].counts.toarray(), counts(62, 2))


def test_names_that_differ_by_their_accession_only_keep_it(tmp_path: Path) -> None:
    found = read(flat(tmp_path / "GSE1", {"GSM11_A_": 1, "GSM12_A_": 2}))
    assert [one.name for one in found] == ["GSM11_A", "GSM12_A"]


def test_images_of_a_flat_folder_are_told_by_the_prefix(tmp_path: Path) -> None:
    folder = flat(tmp_path / "GSE1", {"GSM11_P1_": 1, "GSM12_P2_": 2})
    for name in ("GSM11_P1_image.tif", "GSM12_P2_image.tif"):
        (folder / name).write_bytes(b"not an image, and nobody looks")
    found = read(folder)
    assert [one.image and one.image.path.name for one in found] == ["GSM11_P1_image.tif", "GSM12_P2_image.tif"]


def test_a_flat_folder_with_matrices_as_text(tmp_path: Path) -> None:
    folder = flat(tmp_path / "GSE1", {"GSM11_P1_": 1, "GSM12_P2_": 2})
    barcodes = list(visium_positions()["barcode"][2:])
    for prefix, seed in (("GSM11_P1_", 1), ("GSM12_P2_", 2)):
        (folder / f"{prefix}filtered_feature_bc_matrix.h5").unlink()
        for file in write_mtx(tmp_path / f"text{seed}", counts(62, seed), barcodes, GENES).iterdir():
            shutil.copy(file, folder / f"{prefix}{file.name}")
    found = read(folder)
    assert [one.name for one in found] == ["P1", "P2"]
    assert found[1].counts is not None and np.array_equal(found[1].counts.toarray(), counts(62, 2))


@pytest.mark.parametrize("place", [".", "filtered_feature_bc_matrix", "matrix", "raw_data/GRCh38"])
def test_text_lies_in_any_folder_of_the_sample(tmp_path: Path, place: str) -> None:
    expected = read(whole(tmp_path / "whole" / "S"))[0]
    path = whole(tmp_path / "S")
    (path / "filtered_feature_bc_matrix.h5").unlink()
    write_mtx(path / place, counts(62), list(visium_positions()["barcode"][2:]), GENES)
    assert read(path)[0].fingerprint() == expected.fingerprint()


def test_files_without_spatial_folder_and_packed_ones_are_the_same_section(tmp_path: Path) -> None:
    expected = read(whole(tmp_path / "whole" / "S"))[0].fingerprint()
    bare, packed = whole(tmp_path / "bare" / "S"), whole(tmp_path / "packed" / "S")
    for file in sorted((bare / "spatial").iterdir()):
        shutil.move(file, bare / file.name)
    (bare / "spatial").rmdir()
    pack(packed / "spatial" / "tissue_positions_list.csv")
    pack(packed / "spatial" / "scalefactors_json.json")
    assert read(bare)[0].fingerprint() == read(packed)[0].fingerprint() == expected


def test_a_folder_of_positions_with_a_prefix(tmp_path: Path) -> None:
    path = whole(tmp_path / "S")
    shutil.move(path / "spatial", path / "V1_Lymph_Node_spatial")
    shutil.move(path / "filtered_feature_bc_matrix.h5", path / "V1_Lymph_Node_filtered_feature_bc_matrix.h5")
    (one,) = read(path)
    assert one.name == "S" and len(one) == 62 and one.image is not None


def test_a_packed_matrix_names_the_command(tmp_path: Path) -> None:
    path = whole(tmp_path / "S")
    pack(path / "filtered_feature_bc_matrix.h5")
    with pytest.raises(EosinError, match=r"the matrix is packed; gunzip -k .*filtered_feature_bc_matrix\.h5\.gz"):
        read(path)


def rewritten(folder: Path, how) -> Path:
    """A sample whose table of positions was rewritten by another tool."""
    path = write_visium(folder, counts(62), visium_positions())
    how(visium_positions()[COLUMNS], path / "spatial" / "tissue_positions.csv")
    return path


@pytest.mark.parametrize(
    "how",
    [
        lambda frame, file: frame.to_csv(file),  # with row numbers
        lambda frame, file: frame.to_csv(file, index=False, sep="\t"),
        lambda frame, file: frame.to_csv(file, index=False, sep=";"),
        lambda frame, file: frame.assign(in_tissue=frame["in_tissue"] == 1).to_csv(file, index=False),
        lambda frame, file: file.write_bytes(
            b"\xef\xbb\xbf" + frame.to_csv(index=False).replace("\n", "\r\n").encode()
        ),
    ],
)
def test_positions_that_another_tool_rewrote(tmp_path: Path, how) -> None:
    expected = read(write_visium(tmp_path / "whole" / "S", counts(62), visium_positions()))[0]
    assert read(rewritten(tmp_path / "S", how))[0].fingerprint() == expected.fingerprint()


def test_files_that_another_system_left_are_passed_over(tmp_path: Path) -> None:
    path = whole(tmp_path / "D" / "S")
    for name in (".DS_Store", "S/._filtered_feature_bc_matrix.h5", "S/spatial/._tissue_positions.csv", "__MACOSX/a"):
        (tmp_path / "D" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "D" / name).write_bytes(b"x")
    assert [one.name for one in read(path.parent)] == ["S"]


# --- several samples in one matrix ----------------------------------------------------------------------------------


def aggregated(outs: Path) -> Path:
    """`spaceranger aggr` of two libraries: one matrix and one table, whose barcodes end with `-1` and `-2`."""
    frame, tables = visium_positions(), []
    for i, name in enumerate(("LV123", "LB456"), 1):
        tables.append(frame.assign(barcode=[f"{code[:-2]}-{i}" for code in frame["barcode"]]))
        (outs / "spatial" / name).mkdir(parents=True)
        facts = {"spot_diameter_fullres": 130.0, "tissue_hires_scalef": 0.2 * i}
        (outs / "spatial" / name / "scalefactors_json.json").write_text(json.dumps(facts))
        (outs / "spatial" / name / "tissue_hires_image.png").write_bytes(b"not an image, and nobody looks")
    names = [code for table in tables for code in table["barcode"][2:]]
    write_h5(outs / "filtered_feature_bc_matrix.h5", np.concatenate([counts(62, 1), counts(62, 2)]), names, GENES)
    both = tables[0].merge(tables[1], how="outer")
    both[COLUMNS].to_csv(outs / "aggr_tissue_positions.csv", index=False)
    (outs / "aggregation.csv").write_text("library_id,molecule_h5\nLV123,a.h5\nLB456,b.h5\n")
    return outs


@pytest.mark.parametrize("where", ["outs", "."])
def test_aggregated_libraries_are_sections(tmp_path: Path, where: str) -> None:
    aggregated(tmp_path / "AGG" / "outs")
    first, second = read(tmp_path / "AGG" / where)
    assert (first.name, second.name) == ("LV123", "LB456")
    assert first.counts is not None and np.array_equal(first.counts.toarray(), counts(62, 1))
    assert second.counts is not None and np.array_equal(second.counts.toarray(), counts(62, 2))
    assert first.image is not None and second.image is not None
    assert first.image.path.parent.name == "LV123" and np.isclose(first.image.mpp, 2 * second.image.mpp)


def test_aggregated_libraries_may_keep_their_own_positions(tmp_path: Path) -> None:
    """Their barcodes end with `-1` in the tables of their own, whichever they are in the matrix."""
    outs = aggregated(tmp_path / "AGG")
    expected = read(outs)
    (outs / "aggr_tissue_positions.csv").unlink()
    letters = dict(zip(visium_positions()["barcode"], (f"{core}-1" for core in LONG)))
    names = [letters[code][:-1] + str(i) for i in (1, 2) for code in visium_positions()["barcode"][2:]]
    write_h5(outs / "filtered_feature_bc_matrix.h5", np.concatenate([counts(62, 1), counts(62, 2)]), names, GENES)
    own = visium_positions().assign(barcode=list(letters.values()))[COLUMNS]
    for name in ("LV123", "LB456"):
        own.to_csv(outs / "spatial" / name / "tissue_positions.csv", index=False)
    found = read(outs)
    for one, other in zip(found, expected, strict=True):
        assert one.counts is not None and other.counts is not None and one.name == other.name
        assert np.array_equal(one.counts.toarray(), other.counts.toarray())
        assert np.allclose(one.spots.xy_um, other.spots.xy_um, atol=1e-6)


def test_aggregated_outputs_without_their_table_are_told_what_to_copy(tmp_path: Path) -> None:
    outs = aggregated(tmp_path / "AGG")
    (outs / "aggregation.csv").unlink()
    with pytest.raises(EosinError, match=r"put aggregation\.csv of spaceranger aggr beside the matrix"):
        read(outs)


@pytest.mark.parametrize("name", ["../other", "", ".."])
def test_libraries_cannot_climb_out(tmp_path: Path, name: str) -> None:
    outs = aggregated(tmp_path / "AGG" / "outs")
    (outs / "aggregation.csv").write_text(f"library_id,molecule_h5\n{name},a.h5\n")
    with pytest.raises(EosinError, match="which is no folder of spatial/"):
        read(outs)


def test_a_packed_table_that_unpacks_without_end_is_refused(tmp_path: Path) -> None:
    path = whole(tmp_path / "S")
    file = path / "spatial" / "tissue_positions_list.csv"
    file.with_name(f"{file.name}.gz").write_bytes(gzip.compress(b"0" * 30_000_000))
    file.unlink()
    with pytest.raises(EosinError, match="unpacks to over"):
        read(path)


def test_a_matrix_of_several_samples_is_not_taken_for_one(tmp_path: Path) -> None:
    path, agg = whole(tmp_path / "S"), aggregated(tmp_path / "AGG")
    shutil.copy(agg / "filtered_feature_bc_matrix.h5", path / "filtered_feature_bc_matrix.h5")
    with pytest.raises(EosinError, match=r"62 of 124 barcodes have no position.*of several"):
        read(path)


# --- barcodes -------------------------------------------------------------------------------------------------------

LONG = ["".join("ACGT"[(i >> 2 * k) & 3] for k in range(16)) for i in range(64)]


def renamed(path: Path, of_matrix: list[str], *, ending: str = "-1") -> Path:
    """A sample whose positions are called by 16 letters, and its matrix otherwise."""
    frame = visium_positions().assign(barcode=[f"{core}{ending}" for core in LONG])
    write_visium(path, counts(62), frame)
    write_h5(path / "filtered_feature_bc_matrix.h5", counts(62), of_matrix, GENES)
    return path


@pytest.mark.parametrize("form", ["{}", "{}-1_3", "{}-3", "P7_{}-1", "P7#{}", "{}.1"])
def test_barcodes_are_joined_by_their_core_with_a_note(tmp_path: Path, form: str) -> None:
    path = renamed(tmp_path / "S", [form.format(core) for core in LONG[2:]])
    (one,) = read(path)
    assert one.spots.ids == tuple(f"{core}-1" for core in LONG[2:])
    assert one.counts is not None and np.array_equal(one.counts.toarray(), counts(62))
    assert any("joined without it" in note and form.format(LONG[2]) in note for note in one.notes)


def test_cores_of_several_samples_are_refused(tmp_path: Path) -> None:
    path = renamed(tmp_path / "S", [f"{core}-1_{k}" for k in (1, 2) for core in LONG[2:33]])
    with pytest.raises(EosinError, match="holds barcodes of several samples"):
        read(path)


def test_a_filtered_matrix_beside_the_tissue_is_of_another_sample(tmp_path: Path) -> None:
    """All slides share their barcodes: matrices of two samples that were exchanged join without complaint."""
    for name, seed in (("A", 1), ("B", 2)):
        frame = visium_positions()
        frame["in_tissue"] = (np.random.default_rng(seed).random(64) > 0.1).astype(int)
        write_visium(tmp_path / name, counts(int(frame["in_tissue"].sum()), seed), frame)
    matrices = [tmp_path / name / "filtered_feature_bc_matrix.h5" for name in "AB"]
    assert len(read(tmp_path)) == 2
    for matrix, other in zip(matrices, reversed(matrices)):
        shutil.copy(matrix, other.with_suffix(".new"))
    for matrix in matrices:
        shutil.move(matrix.with_suffix(".new"), matrix)
    with pytest.raises(
        EosinError, match=r"barcodes of a filtered matrix are beside the tissue; matrix and spatial/ are"
    ):
        read(tmp_path)
    for matrix in matrices:  # a raw one may hold any spot
        shutil.move(matrix, matrix.with_name("raw_feature_bc_matrix.h5"))
    assert all(any("not in tissue" in note for note in one.notes) for one in read(tmp_path))


def test_a_matrix_of_all_spots_is_not_filtered_whatever_its_name(tmp_path: Path) -> None:
    path, frame = whole(tmp_path / "S"), visium_positions()
    write_h5(path / "filtered_feature_bc_matrix.h5", counts(64), list(frame["barcode"]), GENES)
    assert "2 of 64 rows of counts are not in tissue and were left out" in read(path)[0].notes


def test_scale_factors_of_another_sample_are_refused(tmp_path: Path) -> None:
    path = whole(tmp_path / "S")
    facts = {"spot_diameter_fullres": 260.0, "tissue_hires_scalef": 0.2}
    (path / "spatial" / "scalefactors_json.json").write_text(json.dumps(facts))
    with pytest.raises(EosinError, match="spots lie 200 px apart, and the scale factors say that one is 260 px wide"):
        read(path)


def test_a_scale_among_the_scale_factors_is_compared(tmp_path: Path) -> None:
    path = whole(tmp_path / "S")
    facts = {"spot_diameter_fullres": 130.0, "tissue_hires_scalef": 0.2, "microns_per_pixel": 0.5}
    (path / "spatial" / "scalefactors_json.json").write_text(json.dumps(facts))
    assert len(read(path)) == len(read(path, mpp=0.5)) == 1
    with pytest.raises(EosinError, match=r"--mpp says 0\.25 µm per pixel, microns_per_pixel says 0\.5"):
        read(path, mpp=0.25)
    (path / "spatial" / "scalefactors_json.json").write_text(json.dumps(facts | {"microns_per_pixel": 0.25}))
    with pytest.raises(EosinError, match=r"image or lattice say 0\.5 µm per pixel, microns_per_pixel says 0\.25"):
        read(path)


def test_pixels_that_do_not_fit_the_array_are_said(tmp_path: Path) -> None:
    frame = visium_positions()
    frame.loc[30:, "pxl_row_in_fullres"] += 3000
    (one,) = read(write_visium(tmp_path / "S", counts(62), frame), mpp=0.5)
    assert any("do not fit one lattice" in note for note in one.notes)


def test_exchanged_columns_of_positions_are_said(tmp_path: Path) -> None:
    frame = visium_positions().rename(
        columns={"pxl_row_in_fullres": "pxl_col_in_fullres", "pxl_col_in_fullres": "pxl_row_in_fullres"}
    )
    (one,) = read(write_visium(tmp_path / "S", counts(62), frame))
    assert any("rows and columns seem exchanged" in note for note in one.notes)


# --- bins alone -----------------------------------------------------------------------------------------------------


def lone_bins(folder: Path, *, csv: bool, factors: bool = True) -> Path:
    frame = hd_bins(12, 8)
    write_bins(folder, frame, counts(len(frame), 3))
    facts = {"microns_per_pixel": 0.25} | ({"bin_size_um": 8.0} if factors else {})
    (folder / "spatial" / "scalefactors_json.json").write_text(json.dumps(facts))
    if csv:
        (folder / "spatial" / "tissue_positions.parquet").unlink()
        frame[COLUMNS].to_csv(folder / "spatial" / "tissue_positions_list.csv", index=False)
    return folder


@pytest.mark.parametrize("csv", [True, False])
@pytest.mark.parametrize("place", ["square_008um", "S1/square_008um", "S1", "S1/outs"])
def test_bins_alone_are_visium_hd_as_they_are(tmp_path: Path, place: str, *, csv: bool) -> None:
    lone_bins(tmp_path / place, csv=csv)
    (one,) = read(tmp_path / place.partition("/")[0])
    frame = hd_bins(12, 8)
    inside = (frame["in_tissue"] == 1).to_numpy()
    assert (one.platform, one.spots.diameter_um, len(one)) == ("Visium HD", 8.0, inside.sum())
    assert np.allclose(one.spots.xy_um, frame[["pxl_col_in_fullres", "pxl_row_in_fullres"]][inside] * 0.25)
    assert one.counts is not None and np.array_equal(one.counts.toarray(), counts(144, 3)[inside])


def test_bins_are_known_by_their_barcodes_alone(tmp_path: Path) -> None:
    lone_bins(tmp_path / "S1", csv=True, factors=False)
    assert read(tmp_path / "S1")[0].spots.diameter_um == 8.0


def test_bin_sizes_of_one_sample_are_no_sections_of_their_own(tmp_path: Path) -> None:
    """Else one tissue would stand on both sides of a split."""
    for size_um in (8, 16):
        frame = hd_bins(8, size_um)
        write_bins(tmp_path / "S1" / "outs" / "binned_outputs" / f"square_{size_um:03d}um", frame, counts(64, size_um))
    for path in ("S1", "S1/outs", "S1/outs/binned_outputs", "S1/outs/binned_outputs/square_016um"):
        (one,) = read(tmp_path / path)
        assert (one.name, one.spots.diameter_um) == ("S1", 16.0)


def test_bins_that_are_not_as_far_apart_as_wide_are_refused(tmp_path: Path) -> None:
    folder = lone_bins(tmp_path / "square_008um", csv=False)
    (folder / "spatial" / "scalefactors_json.json").write_text(json.dumps({"microns_per_pixel": 0.5}))
    with pytest.raises(EosinError, match=r"squares of 8 µm lie 16 µm apart at 0\.5 µm per pixel"):
        read(folder)
