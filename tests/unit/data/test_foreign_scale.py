"""Scale of other tools' AnnData: facts in the file first, told twice is compared, hints that fit, order of axes."""

from __future__ import annotations

from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest
from PIL import Image as Picture
from scipy import sparse

from eosin.data import read
from eosin.data.array_map import array_map
from eosin.errors import EosinError
from unit.data.layouts import GENES, counts, lattice, placeholder
from unit.data.layouts_10x import hd_bins, visium_positions
from unit.slide import pictures


@pytest.fixture(autouse=True)
def without_probe(monkeypatch: pytest.MonkeyPatch) -> None:
    """The walk through the file in another process takes most of a second, and none of these files crashes HDF5."""
    monkeypatch.setattr("eosin.storage.hdf5.probe", lambda path: None)


def of_frame(frame: pd.DataFrame, **factors: float) -> anndata.AnnData:
    """An AnnData as scanpy makes it of Space Ranger's table of positions."""
    adata = anndata.AnnData(
        X=sparse.csr_matrix(counts(len(frame), 1).astype(np.float32)),
        obs=frame[["array_row", "array_col"]].set_index(pd.Index(frame["barcode"].to_numpy())),
        var=pd.DataFrame(index=list(GENES)),
    )
    adata.obsm["spatial"] = frame[["pxl_col_in_fullres", "pxl_row_in_fullres"]].to_numpy(float)
    adata.uns["spatial"] = {"S": {"images": {}, "scalefactors": factors}}
    return adata


def put(adata: anndata.AnnData, folder: Path) -> Path:
    adata.write_h5ad(folder / "S.h5ad")
    return folder / "S.h5ad"


def bins(**factors: float) -> anndata.AnnData:
    return of_frame(hd_bins(12, 8, mpp=0.25), **factors)


def test_microns_per_pixel_in_the_file_is_the_scale(tmp_path: Path) -> None:
    (one,) = read(put(bins(microns_per_pixel=0.25, spot_diameter_fullres=32.0), tmp_path))
    assert np.allclose(np.diff(one.spots.xy_um[:2, 0]), 8.0)
    assert (one.spots.diameter_um, one.platform) == (8.0, "Visium HD")
    assert read(tmp_path / "S.h5ad", mpp=0.25)[0].fingerprint() == one.fingerprint()
    with pytest.raises(EosinError, match=r"--mpp says 6\.25 µm per pixel, microns_per_pixel of uns.* says 0\.25"):
        read(tmp_path / "S.h5ad", mpp=6.25)


@pytest.mark.parametrize(
    "written", [str, lambda v: np.array([v]), lambda v: np.array([[v]]), lambda v: np.array([str(v)])]
)
def test_numbers_that_r_wrote_as_texts_or_arrays_count(tmp_path: Path, written) -> None:
    """A factor that is passed over is a scale that nobody compares, and an image that nobody measures."""
    adata = of_frame(visium_positions(), microns_per_pixel=0.5, tissue_hires_scalef=0.2, spot_diameter_fullres=130.0)
    adata.uns["spatial"]["S"]["images"]["hires"] = np.arange(180 * 200 * 3).reshape(180, 200, 3).astype(np.uint8)
    expected = read(put(adata, tmp_path))[0].spots
    factors = adata.uns["spatial"]["S"]["scalefactors"]
    adata.uns["spatial"]["S"]["scalefactors"] = {key: written(value) for key, value in factors.items()}
    Picture.new("RGB", (2000, 1800)).save(tmp_path / "S.png")
    (one,) = read(put(adata, tmp_path))
    assert np.array_equal(one.spots.xy_um, expected.xy_um) and one.spots.diameter_um == expected.diameter_um == 65.0
    assert one.image is not None and one.image.mpp == 0.25
    with pytest.raises(EosinError, match=r"--mpp says 1 µm per pixel, microns_per_pixel"):
        read(tmp_path / "S.h5ad", mpp=0.5)
    Picture.new("RGB", (1800, 2000)).save(tmp_path / "S.png")
    with pytest.raises(EosinError, match=r"has 1800 x 2000 px, but the picture"):
        read(tmp_path / "S.h5ad")


@pytest.mark.parametrize("value", ["half a micron", "0,5", np.array([0.5, 0.5])])
def test_a_factor_that_is_no_number_is_said(tmp_path: Path, value: object) -> None:
    adata = of_frame(visium_positions())
    adata.uns["spatial"]["S"]["scalefactors"] = {"microns_per_pixel": value}
    with pytest.raises(EosinError, match=r"S\.h5ad: microns_per_pixel of uns is '.*', which is no number; write it"):
        read(put(adata, tmp_path))


@pytest.mark.parametrize("value", ["", "nan", "NA", np.nan, 0.0])
def test_a_factor_that_is_missing_is_none(tmp_path: Path, value: object) -> None:
    adata = of_frame(visium_positions())
    adata.uns["spatial"]["S"]["scalefactors"] = {"microns_per_pixel": value}
    assert "0.5000 µm/px from the 100 µm pitch of Visium's array" in read(put(adata, tmp_path))[0].notes


def test_bins_say_the_scale_where_nothing_else_does(tmp_path: Path) -> None:
    (one,) = read(put(bins(spot_diameter_fullres=32.0), tmp_path))
    assert one.spots.diameter_um == 8.0 and np.allclose(np.diff(one.spots.xy_um[:2, 0]), 8.0)
    assert "0.2500 µm/px from the pitch of bins of 8 µm" in one.notes
    with pytest.raises(EosinError, match=r"bins of 8 µm by their barcodes lie 16 µm apart.*by the bins it is 0\.25"):
        read(tmp_path / "S.h5ad", mpp=0.5)


def test_a_scale_in_the_file_that_its_bins_contradict_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EosinError, match=r"bins of 8 µm by their barcodes lie 200 µm apart"):
        read(put(bins(microns_per_pixel=6.25), tmp_path))


@pytest.mark.parametrize("array", [None, 0])
def test_bins_without_their_array_are_compared_by_their_barcodes(tmp_path: Path, array: int | None) -> None:
    """Tables that were subset, or made by other tools, keep barcodes and lose `array_row` and `array_col`."""
    adata = bins(microns_per_pixel=0.5, spot_diameter_fullres=16.0)
    adata.obs = adata.obs.drop(columns=["array_row", "array_col"])
    if array is not None:
        adata.obs[["array_row", "array_col"]] = array
    with pytest.raises(EosinError, match=r"bins of 8 µm by their barcodes lie 16 µm apart.*by the bins it is 0\.25"):
        read(put(adata, tmp_path))
    adata.uns["spatial"]["S"]["scalefactors"] = {}
    (one,) = read(put(adata, tmp_path))
    assert one.spots.diameter_um == 8.0 and "0.2500 µm/px from the pitch of bins of 8 µm" in one.notes
    adata.obsm["spatial"] = np.asarray(adata.obsm["spatial"])[:, ::-1].copy()
    assert any("rows and columns seem exchanged" in note for note in read(put(adata, tmp_path))[0].notes)


def test_width_and_bins_that_differ_are_said(tmp_path: Path) -> None:
    (one,) = read(put(bins(microns_per_pixel=0.25, spot_diameter_fullres=220.0), tmp_path))
    assert one.spots.diameter_um == 8.0
    assert "bins are 8 µm wide by their barcodes; spot_diameter_fullres says 55 µm" in one.notes


def test_eosins_own_record_and_a_fact_must_agree(tmp_path: Path) -> None:
    adata = bins(microns_per_pixel=0.25)
    adata.uns["eosin"] = {"mpp": 0.5}
    with pytest.raises(EosinError, match=r"uns\['eosin'\] says 0\.5 µm per pixel, microns_per_pixel .* says 0\.25"):
        read(put(adata, tmp_path))


def test_visiums_lattice_says_the_scale_with_a_note(tmp_path: Path) -> None:
    (one,) = read(put(of_frame(visium_positions()), tmp_path))
    assert "0.5000 µm/px from the 100 µm pitch of Visium's array" in one.notes
    assert (one.platform, one.spots.diameter_um) == ("Visium", 55.0)
    assert any("the pitch is 50 µm at this scale" in note for note in read(tmp_path / "S.h5ad", mpp=0.25)[0].notes)


@pytest.mark.parametrize(
    ("xy", "factors", "hint"),
    [
        (lattice(6, 400.0), {}, r"Visium's, 100 µm apart, it is 0\.25$"),
        (lattice(6, 32.0), {"bin_size_um": 8.0}, r"bins of 8 µm, it is 0\.25$"),
        (lattice(6, 32.0), {"spot_diameter_fullres": 32.0}, r"bins of 8 or 16 µm, it is 0\.25 or 0\.5$"),
        (np.random.default_rng(0).uniform(0, 900, (36, 2)), {}, r"if they are µm$"),
    ],
)
def test_a_hint_fits_the_platform(tmp_path: Path, xy: np.ndarray, factors: dict[str, float], hint: str) -> None:
    frame = visium_positions(6, 6).assign(barcode=[f"c{i}" for i in range(36)])
    adata = of_frame(frame, **factors)
    adata.obs = adata.obs.drop(columns=["array_row", "array_col"])
    adata.obsm["spatial"] = xy
    with pytest.raises(EosinError, match=hint):
        read(put(adata, tmp_path))


@pytest.mark.parametrize("names", [("x", "y"), None])
@pytest.mark.parametrize("how", [{}, {"mpp": 1.0}, {"mpp": 10.0}, {"positions_um": True}])
def test_places_on_the_array_are_no_positions(tmp_path: Path, how: dict, names: tuple[str, str] | None) -> None:
    adata = of_frame(visium_positions())
    places = adata.obs[["array_col", "array_row"]].to_numpy(float)
    adata.obs = adata.obs[[]]
    for xy in (places, lattice(8, 1.0, 2.0)):
        adata.obsm["spatial"] = xy if names is None else pd.DataFrame(xy, columns=list(names), index=adata.obs_names)
        with pytest.raises(
            EosinError, match=r"on whole numbers: .* seems to hold places on the array; store positions"
        ):
            read(put(adata, tmp_path), **how)


def test_a_hint_is_no_scale_that_would_be_refused(tmp_path: Path) -> None:
    adata = of_frame(visium_positions())
    adata.obs = adata.obs[[]]
    adata.obsm["spatial"] = lattice(8, 1.01, 2.0)
    with pytest.raises(EosinError, match=r"or --positions-um if they are µm$"):
        read(put(adata, tmp_path))
    assert any("1.01 µm apart: the scale may be wrong" in note for note in read(tmp_path / "S.h5ad", mpp=1.0)[0].notes)


def test_spots_called_by_places_may_be_those_of_legacy_st(tmp_path: Path) -> None:
    adata = of_frame(visium_positions())
    adata.obs = pd.DataFrame(index=[f"{i // 8}x{i % 8}" for i in range(64)])
    adata.obsm["spatial"] = lattice(8, 400.0)
    with pytest.raises(EosinError, match=r"legacy ST's, 200 µm apart, it is 0\.5$"):
        read(put(adata, tmp_path))


@pytest.mark.parametrize(("factor", "name"), [(0.2, "hires"), (0.05, "lowres")])
def test_positions_of_a_reduced_picture_are_refused(tmp_path: Path, factor: float, name: str) -> None:
    factors = {"spot_diameter_fullres": 130.0, f"tissue_{name}_scalef": factor}
    adata = of_frame(visium_positions(), **factors)
    read(put(adata, tmp_path))
    adata.obsm["spatial"] = np.asarray(adata.obsm["spatial"]) * factor
    with pytest.raises(EosinError, match=rf"one is 130 px wide; positions seem to be pixels of the {name} picture"):
        read(put(adata, tmp_path))


# --- µm -----------------------------------------------------------------------------------------------------------


def cells(xy: np.ndarray) -> anndata.AnnData:
    adata = anndata.AnnData(
        X=sparse.csr_matrix(counts(len(xy), 1).astype(np.float32)),
        obs=pd.DataFrame(index=[f"cell{i}" for i in range(len(xy))]),
        var=pd.DataFrame(index=list(GENES)),
    )
    adata.obsm["spatial"] = xy
    return adata


@pytest.mark.parametrize("names", [("x_centroid", "y_centroid"), ("center_x", "center_y")])
@pytest.mark.parametrize("where", ["obsm", "obs"])
def test_centroids_are_um_by_their_columns(tmp_path: Path, names: tuple[str, str], where: str) -> None:
    xy = np.random.default_rng(0).uniform(0, 500, (36, 2))
    adata = cells(xy)
    if where == "obsm":
        adata.obsm["spatial"] = pd.DataFrame(xy[:, ::-1], columns=list(names[::-1]), index=adata.obs_names)
    else:
        adata.obs[list(names)] = xy
    (one,) = read(put(adata, tmp_path))
    assert np.allclose(one.spots.xy_um, xy) and "positions are µm by the columns they are in" in one.notes


def test_cells_are_as_wide_as_their_area_says(tmp_path: Path) -> None:
    adata = cells(np.random.default_rng(0).uniform(0, 500, (36, 2)))
    adata.obs["cell_area"] = np.pi * 36.0
    (one,) = read(put(adata, tmp_path), positions_um=True)
    assert one.spots.diameter_um == pytest.approx(12.0)


def test_few_spots_without_position_are_left_out_and_many_refused(tmp_path: Path) -> None:
    xy = np.random.default_rng(0).uniform(0, 500, (36, 2))
    xy[5] = np.nan
    (one,) = read(put(cells(xy), tmp_path), positions_um=True)
    assert len(one) == 35 and "1 of 36 spots have no position and were left out" in one.notes
    xy[:8] = np.nan
    with pytest.raises(EosinError, match="the position of spot 'cell0' is not a finite number"):
        read(put(cells(xy), tmp_path), positions_um=True)


def test_positions_um_is_a_flag_and_mpp_then_the_images_scale(tmp_path: Path) -> None:
    xy = np.random.default_rng(0).uniform(0, 500, (36, 2))
    placeholder(tmp_path / "S.png")
    file = put(cells(xy), tmp_path)
    (one,) = read(file, positions_um=True)
    assert np.allclose(one.spots.xy_um, xy) and one.image is None
    (one,) = read(file, positions_um=True, mpp=0.5)
    assert np.allclose(one.spots.xy_um, xy) and one.image is not None and one.image.mpp == 0.5


def test_the_image_says_the_scale_where_nothing_else_does(tmp_path: Path) -> None:
    xy = lattice(6, 100.0)
    file = put(cells(xy), tmp_path)
    pictures.save_ome(tmp_path / "S.ome.tif", np.full((1800, 2000, 3), 200, np.uint8), 0.5)
    (one,) = read(file)
    assert np.allclose(one.spots.xy_um, xy * 0.5) and one.image is not None and one.image.mpp == 0.5
    assert "0.5 µm/px as S.ome.tif says" in one.notes
    assert np.allclose(read(file, mpp=0.25)[0].spots.xy_um, xy * 0.25)


def test_the_scale_of_a_larger_image_is_that_of_its_picture(tmp_path: Path) -> None:
    adata = cells(lattice(6, 100.0))
    pixels = np.arange(180 * 200 * 3).reshape(180, 200, 3).astype(np.uint8)
    adata.uns["spatial"] = {"S": {"images": {"hires": pixels}, "scalefactors": {"tissue_hires_scalef": 0.2}}}
    pictures.save_ome(tmp_path / "S.ome.tif", np.full((1800, 2000, 3), 200, np.uint8), 0.5)
    (one,) = read(put(adata, tmp_path))  # positions are those of 1000 x 900 px
    assert np.allclose(one.spots.xy_um, lattice(6, 100.0)) and one.image is not None and one.image.mpp == 0.5


@pytest.mark.parametrize("told", [True, False])
def test_an_image_beside_positions_in_um_has_its_own_scale(tmp_path: Path, *, told: bool) -> None:
    xy = np.random.default_rng(0).uniform(0, 500, (36, 2))
    adata = cells(xy)
    if not told:
        adata.obs[["x_centroid", "y_centroid"]] = xy
    pictures.save_ome(tmp_path / "S.ome.tif", np.full((1800, 2000, 3), 200, np.uint8), 0.5)
    (one,) = read(put(adata, tmp_path), positions_um=told)
    assert np.allclose(one.spots.xy_um, xy) and one.image is not None and one.image.mpp == 0.5
    assert "0.5 µm/px as S.ome.tif says" in one.notes


@pytest.mark.parametrize(("kind", "width"), [("bins", 25.0), ("cell_bins", 12.5)])
def test_stereopys_resolution_is_nm_per_unit(tmp_path: Path, kind: str, width: float) -> None:
    adata = cells(lattice(6, 50.0))
    adata.uns |= {"resolution": 500, "bin_size": 50, "bin_type": kind}
    (one,) = read(put(adata, tmp_path))
    assert np.allclose(one.spots.xy_um, lattice(6, 50.0) * 0.5) and one.spots.diameter_um == width
    assert "0.5 µm per unit, as uns['resolution'] says in nm" in one.notes
    with pytest.raises(EosinError, match=r"--mpp says 0\.6 µm per pixel, uns\['resolution'\] says 0\.5"):
        read(tmp_path / "S.h5ad", mpp=0.6)
    adata = cells(lattice(6, 400.0))
    adata.uns["resolution"] = 1.0  # of clusters
    with pytest.raises(EosinError, match="does not say the scale"):
        read(put(adata, tmp_path))


def test_readers_whose_files_say_it_take_no_such_flag(tmp_path: Path) -> None:
    from unit.data.layouts import legacy_st

    for how, flag in (({"positions_um": True}, "--positions-um"), ({"library": "sample"}, "--library sample")):
        with pytest.raises(EosinError, match=f"reader 'legacy-st' cannot take {flag}"):
            read(legacy_st(tmp_path), **how)


# --- order of axes ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("names", [("imagerow", "imagecol"), ("pixel_y", "pixel_x"), ("row", "col"), ("Y_px", "X_px")])
def test_axes_are_known_by_name(tmp_path: Path, names: tuple[str, str]) -> None:
    adata = of_frame(visium_positions())
    xy = np.asarray(adata.obsm["spatial"])
    adata.obsm["spatial"] = pd.DataFrame(xy[:, ::-1], columns=list(names), index=adata.obs_names)
    (one,) = read(put(adata, tmp_path))
    assert np.allclose(one.spots.xy_um, xy * 0.5) and not any("exchanged" in note for note in one.notes)


def test_exchanged_axes_are_seen_by_the_array(tmp_path: Path) -> None:
    adata = of_frame(visium_positions())
    adata.obsm["spatial"] = np.asarray(adata.obsm["spatial"])[:, ::-1].copy()
    (one,) = read(put(adata, tmp_path))
    assert any("rows and columns seem exchanged" in note for note in one.notes)


@pytest.mark.parametrize(
    ("turn", "said"),
    [
        ([[1, 0], [0, 1]], ""),
        ([[0, 1], [-1, 0]], ""),  # a quarter turn
        ([[-1, 0], [0, -1]], ""),
        ([[0.8, 0.6], [-0.6, 0.8]], ""),
        ([[0, 1], [1, 0]], "exchanged"),
        ([[-1, 0], [0, 1]], "mirrored"),
    ],
)
def test_turned_slides_are_right_and_mirrored_ones_are_not(turn: list[list[float]], said: str) -> None:
    frame = visium_positions()
    xy = frame[["pxl_col_in_fullres", "pxl_row_in_fullres"]].to_numpy() @ np.array(turn)
    found = array_map(frame[["array_col", "array_row"]].to_numpy(float), xy)
    assert found is not None and found.is_lattice and found.hexagonal and np.isclose(found.pitch, 200)
    assert [said in note for note in found.note()] == ([True] if said else [])


# --- the picture, and spots beside the tissue -------------------------------------------------------------------------


@pytest.mark.parametrize(("size", "ratio"), [((1000, 900), 1.0), ((2000, 1800), 2.0), ((500, 450), 0.5)])
def test_an_image_beside_the_file_is_compared_with_the_one_within(
    tmp_path: Path, size: tuple[int, int], ratio: float
) -> None:
    adata = of_frame(visium_positions(), tissue_hires_scalef=0.2)
    adata.uns["spatial"]["S"]["images"]["hires"] = np.arange(180 * 200 * 3).reshape(180, 200, 3).astype(np.uint8)
    file = put(adata, tmp_path)
    expected = read(file)[0]
    Picture.new("RGB", size).save(tmp_path / "S.png")
    (one,) = read(file)
    assert np.array_equal(one.spots.xy_um, expected.spots.xy_um)
    assert one.image is not None and np.isclose(one.image.mpp, 0.5 / ratio)
    assert any("scaled" in note for note in one.notes) == (ratio != 1.0)
    assert np.allclose(read(file, mpp=0.5 / ratio)[0].spots.xy_um, one.spots.xy_um)  # of the image that is there
    Picture.new("RGB", (900, 1000)).save(tmp_path / "S.png")
    told = r"has 900 x 1000 px, but the picture .* had 1000 x 900 px; .* take this one away: the section then has none"
    with pytest.raises(EosinError, match=told):
        read(file)
    (tmp_path / "S.png").unlink()
    assert read(file)[0].image is None


@pytest.mark.parametrize("values", [(0, 1), (False, True), ("0", "1"), ("False", "True"), (0.0, 1.0)])
def test_spots_beside_the_tissue_are_left_out_however_it_is_written(tmp_path: Path, values: tuple) -> None:
    adata = of_frame(visium_positions())
    adata.obs["in_tissue"] = [values[i > 3] for i in range(64)]
    (one,) = read(put(adata, tmp_path))
    assert len(one) == 60 and "4 of 64 spots are not in tissue and were left out" in one.notes


# --- as public reports have them --------------------------------------------------------------------------------------


def test_a_first_row_that_a_reader_lost_is_left_out(tmp_path: Path) -> None:
    """Readers that took the first row for a heading left one spot without position, place and `in_tissue`."""
    adata = of_frame(visium_positions())
    adata.obs["in_tissue"] = 1.0
    adata.obs = adata.obs.astype(float)
    adata.obs.iloc[0] = np.nan
    xy = np.asarray(adata.obsm["spatial"]).copy()
    xy[0] = np.nan
    adata.obsm["spatial"] = xy
    (one,) = read(put(adata, tmp_path))
    assert len(one) == 63 and np.allclose(one.spots.xy_um, xy[1:] * 0.5)
    assert "1 of 64 spots are not in tissue and were left out" in one.notes


def test_positions_that_are_texts_are_numbers(tmp_path: Path) -> None:
    adata = of_frame(visium_positions())
    expected = read(put(adata, tmp_path))[0].fingerprint()
    texts = pd.DataFrame(np.asarray(adata.obsm["spatial"]).astype(str), index=adata.obs_names, columns=["x", "y"])
    adata.obsm["spatial"] = texts
    assert read(put(adata, tmp_path))[0].fingerprint() == expected
