"""Xenium: transcripts and cells pooled to squares, the H&E image's frame, and broken files."""

from __future__ import annotations

import gzip
import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from eosin.data import pooling, read
from eosin.data.pooling import Pool, squares_at
from eosin.errors import EosinError
from unit.data import hostile_10x as hostile
from unit.data.layouts_10x import GENES, align, counts, transcripts, write_h5, xenium


@pytest.fixture(autouse=True)
def without_probe(monkeypatch: pytest.MonkeyPatch) -> None:
    """The walk through the file in another process takes most of a second, and none of these files crashes HDF5."""
    monkeypatch.setattr("eosin.storage.hdf5.probe", lambda path: None)


def one_region(folder: Path) -> Path:
    return xenium(folder, ["R1"]) / "R1"


def by_hand(frame: pd.DataFrame, width_um: float) -> dict[tuple[int, int, str], int]:
    """Counts by (row, column, gene) of what is a gene and good enough."""
    frame = frame[(frame["qv"] >= 20) & ~frame["feature_name"].str.startswith("Neg")]
    row, column = frame["y_location"] // width_um, frame["x_location"] // width_um
    return frame.groupby([row.astype(int), column.astype(int), frame["feature_name"]]).size().to_dict()


def told(section) -> dict[tuple[int, int, str], int]:
    found = section.counts.tocoo()
    ids = [tuple(map(int, one.split("-", 1)[1].split("x"))) for one in section.spots.ids]
    return {(*ids[i], section.genes[j]): int(n) for i, j, n in zip(found.row, found.col, found.data) if n}


@pytest.mark.parametrize("width_um", [None, 50.0])
def test_transcripts_are_counted_by_square_and_gene(tmp_path: Path, width_um: float | None) -> None:
    (one,) = read(one_region(tmp_path), bin_um=width_um)
    assert told(one) == by_hand(transcripts(seed=0), width_um or 100.0)
    assert (one.name, one.platform, one.spots.diameter_um) == ("R1", "Xenium", width_um or 100.0)
    assert one.genes == tuple(sorted(GENES)) and one.image is None
    row, column = map(int, one.spots.ids[7].split("-", 1)[1].split("x"))
    assert np.allclose(one.spots.xy_um[7], (np.array([column, row]) + 0.5) * one.spots.diameter_um)


def test_what_is_left_out_is_told(tmp_path: Path) -> None:
    notes = read(one_region(tmp_path))[0].notes
    frame = transcripts(seed=0)
    control = frame["feature_name"].str.startswith("Neg")
    low = (~control & (frame["qv"] < 20)).sum()
    assert f"{low} of 4000 transcripts are below quality 20 and were left out" in notes
    assert f"{control.sum()} of 4000 transcripts are of control probes and were left out" in notes
    assert any("no *he_image.ome.tif: positions are µm" in note for note in notes)


@pytest.mark.parametrize("packed", [True, False])
def test_text_tells_the_same_as_parquet(tmp_path: Path, *, packed: bool) -> None:
    path = one_region(tmp_path)
    expected = read(path)[0]
    (path / "transcripts.parquet").unlink()
    name = "transcripts.csv.gz" if packed else "transcripts.csv"
    transcripts(seed=0).to_csv(path / name, index=False)
    one = read(path)[0]
    assert told(one) == told(expected) and np.array_equal(one.spots.xy_um, expected.spots.xy_um)


def test_names_as_bytes_and_the_genes_flag(tmp_path: Path) -> None:
    """Early files hold names as bytes; late ones say what is a gene."""
    path, frame = one_region(tmp_path), transcripts(seed=0)
    expected = {key: n for key, n in by_hand(frame, 100.0).items() if key[2] != "GENE3"}
    frame["is_gene"] = frame["feature_name"] != "GENE3"
    frame["feature_name"] = [name.encode() for name in frame["feature_name"]]
    frame.to_parquet(path / "transcripts.parquet", index=False)
    one = read(path)[0]
    assert told(one) == expected and one.genes is not None and "GENE3" not in one.genes


def with_cells(path: Path) -> tuple[np.ndarray, pd.DataFrame]:
    (path / "transcripts.parquet").unlink()
    values, rng = counts(80), np.random.default_rng(4)
    frame = pd.DataFrame({"cell_id": [f"cell-{i}" for i in range(80)], "x_centroid": 0.0, "y_centroid": 0.0})
    frame[["x_centroid", "y_centroid"]] = rng.uniform(0, 700, (80, 2))
    types = ["Gene Expression"] * 11 + ["Negative Control Codeword"]
    write_h5(path / "cell_feature_matrix.h5", values, list(frame["cell_id"]), GENES, types)
    return values, frame


@pytest.mark.parametrize("name", ["cells.parquet", "cells.csv.gz"])
def test_cells_serve_where_there_are_no_transcripts(tmp_path: Path, name: str) -> None:
    path = one_region(tmp_path)
    values, frame = with_cells(path)
    shuffled = frame.sample(frac=1, random_state=0)
    shuffled.to_parquet(path / name) if name.endswith("parquet") else shuffled.to_csv(path / name, index=False)
    one = read(path)[0]
    row, column = (frame[axis].to_numpy() // 100 for axis in ("y_centroid", "x_centroid"))
    expected: dict[tuple[int, int, str], int] = {}
    for i, j in np.argwhere(values[:, :11] > 0):
        key = (int(row[i]), int(column[i]), GENES[j])
        expected[key] = expected.get(key, 0) + int(values[i, j])
    assert told(one) == expected and any("80 cells were pooled whole" in note for note in one.notes)


# --- the H&E image's frame ----------------------------------------------------------------------------------------

QUARTER = np.array([[0.0, 1.25, 900.0], [-1.25, 0.0, 4000.0], [0, 0, 1]])
"""A quarter turn; a pixel of the H&E image is 1.25 pixels of the morphology image, 0.265625 µm."""


def test_positions_lie_on_the_aligned_image(tmp_path: Path) -> None:
    path = one_region(tmp_path)
    align(path, QUARTER)
    (one,) = read(path, bin_um=20)
    assert one.image is not None and np.isclose(one.image.mpp, 1.25 * 0.2125) and one.image.path.parent == path
    frame = transcripts(seed=0)
    kept = frame[(frame["qv"] >= 20) & ~frame["feature_name"].str.startswith("Neg")]
    morphology_px = kept[["x_location", "y_location"]].to_numpy() / 0.2125
    he_px = np.linalg.solve(QUARTER, np.column_stack([morphology_px, np.ones(len(kept))]).T).T[:, :2]
    expected = {tuple(square) for square in np.floor(he_px * one.image.mpp / 20).astype(int)}
    assert {tuple(square) for square in np.floor(one.spots.xy_um / 20).astype(int)} == expected
    assert one.counts is not None and one.counts.sum() == len(kept)


def test_a_given_scale_keeps_the_pixels(tmp_path: Path) -> None:
    path = one_region(tmp_path)
    align(path, QUARTER)
    own, given_ = read(path)[0], read(path, mpp=0.5)[0]
    assert own.image is not None and given_.image is not None and given_.image.mpp == 0.5
    assert np.allclose(own.spots.xy_um / own.image.mpp, given_.spots.xy_um / 0.5)
    assert "0.5 µm/px as given, the alignment says 0.2656" in given_.notes
    assert own.spots.diameter_um == 100 and np.isclose(given_.spots.diameter_um, 100 * 0.5 / own.image.mpp)


def test_mirrored_or_stretched_images_are_told(tmp_path: Path) -> None:
    path = one_region(tmp_path)
    align(path, np.diag([1.2, -1.3, 1.0]))
    notes = " ".join(read(path)[0].notes)
    assert "mirrored" in notes and "stretches one direction by 8.3%" in notes


@pytest.mark.parametrize(
    "name", ["Slide_he_image_matrix.csv", "Slide_he_alignment.csv", "Slide_he_image_alignment_files/matrix.csv"]
)
def test_alignments_are_known_by_each_of_their_names(tmp_path: Path, name: str) -> None:
    path = xenium(tmp_path, ["R"]) / "R"
    align(path, np.diag([1.25, 1.25, 1.0]))
    expected = read(path)[0]
    (path / name).parent.mkdir(exist_ok=True)
    (path / "Slide_he_imagealignment.csv").rename(path / name)
    assert read(path)[0].fingerprint() == expected.fingerprint() and expected.image is not None


def test_an_image_without_alignment_is_not_used(tmp_path: Path) -> None:
    path = one_region(tmp_path)
    align(path, QUARTER)
    (path / "Slide_he_imagealignment.csv").unlink()
    (one,) = read(path)
    assert one.image is None and any("Slide_he_image.ome.tif has no *he_imagealignment.csv" in n for n in one.notes)


@pytest.mark.parametrize(
    "text",
    [
        "0, 1.25, 900\n-1.25, 0, 4000\n0, 0, 1\n",
        "0\t1.25\t900\n-1.25\t0\t4000\n0\t0\t1\n",
        "0,1.25,900,\n-1.25,0,4000,\n0,0,1,\n",
        " 0 1.25  900\r\n-1.25 0 4000\r\n\r\n0 0 1\r\n",
        "0;1,25;900\n-1,25;0;4000\n0;0;1\n",
    ],
)
def test_alignments_are_read_whatever_stands_between_their_numbers(tmp_path: Path, text: str) -> None:
    path = one_region(tmp_path)
    align(path, QUARTER)
    expected = read(path)[0]
    (path / "Slide_he_imagealignment.csv").write_text(text)
    one = read(path)[0]
    assert one.fingerprint() == expected.fingerprint()
    assert one.image is not None and expected.image is not None and one.image.mpp == expected.image.mpp


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("1,0\n0,1", "is no affine matrix of 3 x 3"),
        ("1,0,0\n0,1,0\n1,0,1", "is no affine matrix of 3 x 3"),
        ("1,0,0\n0,nan,0\n0,0,1", "is no affine matrix of 3 x 3"),
        ("1,2,0\n2,4,0\n0,0,1", "maps the image to a line"),
        ("1000,0,0\n0,1000,0\n0,0,1", "is not plausible"),
        ("a,b,c\n0,1,0\n0,0,1", "not readable as an alignment"),
        ("1,0,0\n0,1\n0,0,1", "is no affine matrix of 3 x 3: its rows have 3, 2, 3 numbers"),
        ("1,,0\n0,1,0\n0,0,1", "not readable as an alignment"),
        ("1,2,0,0\n0,1,2,0\n0,0,1", "its rows have 4, 4, 3 numbers"),
        ("", "is no affine matrix of 3 x 3: it holds no numbers"),
    ],
)
def test_broken_alignment(tmp_path: Path, text: str, said: str) -> None:
    path = one_region(tmp_path)
    align(path, QUARTER)
    (path / "Slide_he_imagealignment.csv").write_text(text)
    with pytest.raises(EosinError, match=said):
        read(path)


# --- pooling ------------------------------------------------------------------------------------------------------


def test_pool_is_the_sum_however_it_is_fed(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    squares, genes = rng.integers(-3, 4, (500, 2)), rng.integers(0, 5, 500)
    weights = rng.integers(1, 4, 500)
    expected = np.zeros((7, 7, 5))
    np.add.at(expected, (squares[:, 1] + 3, squares[:, 0] + 3, genes), weights)
    monkeypatch.setattr(pooling, "_PENDING", 64)  # many merges
    pool = Pool()
    for piece in np.array_split(np.arange(500), 37):
        pool.add(squares[piece], genes[piece], weights[piece])
    found, summed = pool.finish(5)
    assert np.array_equal(found[:, 1] * 7 + found[:, 0], np.sort(found[:, 1] * 7 + found[:, 0]))  # row by row
    assert np.array_equal(summed.toarray(), expected[found[:, 1] + 3, found[:, 0] + 3])
    assert summed.sum() == weights.sum()


def test_squares_begin_at_the_origin_on_both_sides() -> None:
    assert squares_at(np.array([[0.0, 99.9], [-0.1, 100.0]]), 100.0).tolist() == [[0, 0], [-1, 1]]
    for far in (np.inf, np.nan, 1e30):
        with pytest.raises(EosinError, match=r"not a finite number|far off any slide"):
            squares_at(np.array([[far, 0.0]]), 100.0)


# --- broken files -------------------------------------------------------------------------------------------------

FAULTS = {
    "no column": (lambda f: f.drop(columns="qv"), "has no column 'qv'"),
    "no rows": (lambda f: f.iloc[:0], "holds no transcripts"),
    "nan": (lambda f: f.assign(x_location=np.nan), "position is not a finite number"),
    "words": (lambda f: f.assign(x_location="left"), "not readable as a table of transcripts"),
    "no names": (lambda f: f.assign(feature_name=None), "transcripts.parquet: a transcript has no feature_name"),
    "pixels for µm": (lambda f: f.assign(y_location=1e12), "far off any slide"),
    "all low": (lambda f: f.assign(qv=3.0), "has no spots"),
    "all controls": (lambda f: f.assign(feature_name="BLANK_0001"), "has no spots"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_broken_transcripts(tmp_path: Path, fault: str) -> None:
    path = one_region(tmp_path)
    edit, said = FAULTS[fault]
    edit(transcripts()).to_parquet(path / "transcripts.parquet")
    with pytest.raises(EosinError, match=said):
        read(path)


@pytest.mark.parametrize("fault", hostile.H5_FAULTS)
def test_broken_cells(tmp_path: Path, fault: str) -> None:
    path = one_region(tmp_path)
    _, frame = with_cells(path)
    frame.to_parquet(path / "cells.parquet")
    edit, said = hostile.H5_FAULTS[fault]
    edit(path / "cell_feature_matrix.h5")
    with pytest.raises(EosinError) as error:
        read(path)
    assert said in str(error.value) or "has no cell 'xcell-0' of the matrix" in str(error.value)


def test_nothing_but_the_manifest(tmp_path: Path) -> None:
    path = one_region(tmp_path)
    (path / "transcripts.parquet").unlink()
    with pytest.raises(EosinError, match=r"R1: no transcripts\.parquet; copy"):
        read(path)


@pytest.mark.parametrize("pixel_size", [-1, 0, "x", None, 1e6])
def test_odd_pixel_sizes(tmp_path: Path, pixel_size: object) -> None:
    path = one_region(tmp_path)
    align(path, QUARTER)
    (path / "experiment.xenium").write_text(json.dumps({"pixel_size": pixel_size}))
    found = hostile.only_ours(path)
    assert isinstance(found, EosinError) or any("0.2125 µm is used" in note for note in found[0].notes)


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pristine")
    for kind in ("parquet", "text", "cells"):
        path = xenium(folder / kind, ["R1"]) / "R1"
        align(path, QUARTER)
        if kind == "cells":
            with_cells(path)[1].to_csv(path / "cells.csv.gz", index=False)
        if kind == "text":
            (path / "transcripts.parquet").unlink()
            transcripts().to_csv(path / "transcripts.csv.gz", index=False)
    return folder


@pytest.mark.parametrize("kind", ["parquet", "text", "cells"])
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_file_cut_anywhere(pristine: Path, tmp_path: Path, kind: str, data: st.DataObject) -> None:
    copy = tmp_path / "copy"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(pristine / kind, copy)
    files = sorted(file for file in copy.rglob("*") if file.is_file())
    hostile.cut(data.draw(st.sampled_from(files)), data.draw(st.floats(0, 0.999)))
    hostile.only_ours(copy)


def test_packed_text_that_ends_early_is_not_taken_for_whole(tmp_path: Path) -> None:
    path = one_region(tmp_path)
    (path / "transcripts.parquet").unlink()
    whole = gzip.compress(transcripts(40_000).to_csv(index=False).encode())
    (path / "transcripts.csv.gz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(EosinError, match="not readable as a table of transcripts"):
        read(path)


def test_transcripts_in_a_zip_are_one_line(tmp_path: Path) -> None:
    (tmp_path / "R1").mkdir()
    (tmp_path / "R1" / "transcripts.zarr.zip").write_bytes(b"PK")
    with pytest.raises(
        EosinError, match=r"R1: transcripts\.zarr\.zip is not read, and there is no transcripts\.parquet"
    ):
        read(tmp_path)
