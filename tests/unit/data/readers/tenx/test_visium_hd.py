"""Visium HD: bins as they are, bins pooled to wider squares, scale, and broken files."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from eosin.data import read
from eosin.errors import EosinError
from unit.data import hostile_10x as hostile
from unit.data.layouts_10x import GENES, counts, hd_bins, visium_hd, write_bins

BINS = "outs/binned_outputs/square_016um"
POSITIONS = f"{BINS}/spatial/tissue_positions.parquet"
MATRIX = f"{BINS}/filtered_feature_bc_matrix.h5"


@pytest.fixture(autouse=True)
def without_probe(monkeypatch: pytest.MonkeyPatch) -> None:
    """The walk through the file in another process takes most of a second, and none of these files crashes HDF5."""
    monkeypatch.setattr("eosin.storage.hdf5.probe", lambda path: None)


def test_bins_of_16_um_are_read_as_they_are(tmp_path: Path) -> None:
    (one,) = read(visium_hd(tmp_path / "H"))
    frame = hd_bins(8, 16)
    inside = (frame["in_tissue"] == 1).to_numpy()
    assert one.counts is not None and np.array_equal(one.counts.toarray(), counts(64, 16)[inside])
    assert (one.name, one.platform, one.spots.diameter_um, one.genes) == ("H", "Visium HD", 16.0, GENES)
    assert one.spots.ids == tuple(frame["barcode"][inside])
    expected = frame[["pxl_col_in_fullres", "pxl_row_in_fullres"]][inside] * 0.25
    assert np.allclose(one.spots.xy_um, expected)
    assert one.image is not None and np.isclose(one.image.mpp, 2.5) and "squares of 16 µm" in one.notes


def test_the_files_scale_and_a_given_one(tmp_path: Path) -> None:
    path = visium_hd(tmp_path / "H")
    assert "0.25 µm/px as given" in read(path, mpp=0.25)[0].notes
    with pytest.raises(EosinError, match=r"--mpp says 0\.5 µm per pixel, microns_per_pixel says 0\.25"):
        read(path, mpp=0.5)
    (path / BINS / "spatial" / "scalefactors_json.json").write_text("{}")
    with pytest.raises(EosinError, match=r"scalefactors_json\.json: does not say microns_per_pixel.*--mpp"):
        read(path)
    assert len(read(path, mpp=0.25)) == 1
    with pytest.raises(EosinError, match=r"squares of 16 µm lie 32 µm apart at 0\.5 µm per pixel"):
        read(path, mpp=0.5)


def by_hand(side: int, k: int, values: np.ndarray, frame: pd.DataFrame) -> np.ndarray:
    """Sums of k x k bins in tissue, squares row by row."""
    values = np.where(frame["in_tissue"].to_numpy()[:, None] == 1, values, 0)
    blocks = values.reshape(side // k, k, side // k, k, -1)
    return blocks.sum((1, 3)).reshape(-1, values.shape[1])


def test_wider_squares_are_sums_of_whole_bins_at_their_common_centre(tmp_path: Path) -> None:
    path = visium_hd(tmp_path / "H")
    (one,) = read(path, bin_um=32)  # of the bins of 16 µm; the last column of squares is off the tissue
    frame = hd_bins(8, 16)
    expected = by_hand(8, 2, counts(64, 16), frame).reshape(4, 4, -1)[:, :3].reshape(12, -1)
    assert one.counts is not None and np.array_equal(one.counts.toarray(), expected)
    assert one.spots.diameter_um == 32.0 and len(one) == 12 and one.spots.ids[:2] == ("32um-0x0", "32um-0x1")
    assert np.allclose(one.spots.xy_um[0], [800 * 0.25 + 16, 400 * 0.25 + 16])
    assert np.allclose(one.spots.xy_um[1] - one.spots.xy_um[0], [32, 0])
    assert "squares of 32 µm, 2 x 2 bins each" in one.notes


def test_the_coarsest_bins_that_divide_the_width_are_used(tmp_path: Path) -> None:
    path = visium_hd(tmp_path / "H")
    (one,) = read(path, bin_um=24)
    expected = by_hand(15, 3, np.delete(counts(256, 8).reshape(16, 16, -1), 15, 1)[:15].reshape(225, -1), clipped())
    assert one.counts is not None and np.array_equal(one.counts.toarray()[:4], expected[:4])
    assert "squares of 24 µm, 3 x 3 bins each" in one.notes


def clipped() -> pd.DataFrame:
    frame = hd_bins(16, 8)
    return frame[(frame["array_row"] < 15) & (frame["array_col"] < 15)]


def test_pieces_make_the_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = visium_hd(tmp_path / "H")
    whole = read(path, bin_um=32)[0]
    monkeypatch.setattr("eosin.data.readers.tenx.tenx_matrix._BLOCK", 37)
    assert read(path, bin_um=32)[0].fingerprint() == whole.fingerprint()


def test_squares_mostly_off_the_tissue_are_left_out(tmp_path: Path) -> None:
    (one,) = read(visium_hd(tmp_path / "H"), bin_um=64)  # 4 x 4 bins: the right squares are half in tissue
    assert len(one) == 4
    (one,) = read(visium_hd(tmp_path / "I", sizes=[(9, 16)]), bin_um=48)  # 3 x 3: the right ones are one third
    assert len(one) == 6 and "3 of 9 squares are less than half in tissue and were left out" in one.notes


def test_a_width_that_no_bins_divide_names_those_that_do(tmp_path: Path) -> None:
    path = visium_hd(tmp_path / "H")
    with pytest.raises(EosinError, match=r"squares of 100 µm are not whole bins of 8, 16 µm; give --bin-um 96 or 112"):
        read(path, bin_um=100)
    for impossible in (0.0, -8.0, float("nan"), 1e9):
        with pytest.raises(EosinError, match="are impossible"):
            read(path, bin_um=impossible)


def test_only_bins_of_2_um_are_pooled_to_16(tmp_path: Path) -> None:
    (one,) = read(visium_hd(tmp_path / "H", sizes=[(24, 2)]))
    expected = by_hand(24, 8, counts(576, 2), hd_bins(24, 2))
    assert one.spots.diameter_um == 16.0 and one.counts is not None
    assert np.array_equal(one.counts.toarray(), expected)


def test_readers_of_spots_take_no_width(tmp_path: Path) -> None:
    from unit.data.layouts import legacy_st

    with pytest.raises(EosinError, match=r"reader 'legacy-st' reads spots as they are.*visium-hd or xenium"):
        read(legacy_st(tmp_path), bin_um=100)


# --- broken files -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [16, 32])
@pytest.mark.parametrize("fault", hostile.H5_FAULTS)
def test_broken_matrix(tmp_path: Path, fault: str, width: float) -> None:
    path = visium_hd(tmp_path / "H", sizes=[(8, 16)])
    edit, said = hostile.H5_FAULTS[fault]
    edit(path / MATRIX)
    with pytest.raises(EosinError) as error:
        read(path, bin_um=width)
    assert said in str(error.value)


def test_links_to_other_files_are_not_followed(tmp_path: Path) -> None:
    path = visium_hd(tmp_path / "H")
    hostile.external(path / MATRIX, "matrix/data", tmp_path / "outside.h5")
    with pytest.raises(EosinError, match="leads into another file"):
        read(path)


TABLE_FAULTS = {
    "no column": (lambda f: f.drop(columns="array_col"), "has no column 'array_col'"),
    "no rows": (lambda f: f.iloc[:0], "declares 0 bins"),
    "nan": (lambda f: f.assign(pxl_row_in_fullres=np.nan), "has no finite position"),
    "words": (lambda f: f.assign(array_row="left"), "not readable as a table of positions"),
    "far away": (lambda f: f.assign(array_row=10**12), "outside of any slide"),
    "one twice": (lambda f: pd.concat([f, f.iloc[:1]]), "occurs twice"),
    "none in tissue": (lambda f: f.assign(in_tissue=0), "no bin with counts is in tissue"),
    "others": (lambda f: f.assign(barcode=f["barcode"] + "x"), "no barcode of the matrix"),
}


@pytest.mark.parametrize("fault", TABLE_FAULTS)
def test_broken_positions(tmp_path: Path, fault: str) -> None:
    path = visium_hd(tmp_path / "H")
    edit, said = TABLE_FAULTS[fault]
    edit(pd.read_parquet(path / POSITIONS)).to_parquet(path / POSITIONS)
    with pytest.raises(EosinError, match=said):
        read(path)


@pytest.mark.parametrize("gone", [POSITIONS, MATRIX])
def test_missing_files_are_named(tmp_path: Path, gone: str) -> None:
    path = visium_hd(tmp_path / "H")
    (path / gone).unlink()
    with pytest.raises(EosinError, match=r"no such file|no filtered_feature_bc_matrix\.h5"):
        read(path)


def test_scale_factors_of_another_kind(tmp_path: Path) -> None:
    path = visium_hd(tmp_path / "H")
    for value in ("a", None, -1, 0, True, 1e9):
        file = path / BINS / "spatial" / "scalefactors_json.json"
        file.write_text(json.dumps({"microns_per_pixel": value}))
        with pytest.raises(EosinError, match="scalefactors_json"):
            read(path)


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pristine") / "H"
    write_bins(folder / BINS, hd_bins(8, 16), counts(64))
    return folder


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_file_cut_anywhere(pristine: Path, tmp_path: Path, data: st.DataObject) -> None:
    copy = tmp_path / "copy"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(pristine, copy)
    files = sorted(file for file in copy.rglob("*") if file.is_file())
    hostile.cut(data.draw(st.sampled_from(files)), data.draw(st.floats(0, 0.999)))
    hostile.only_ours(copy)
