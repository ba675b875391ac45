"""`unit="cells"`: cells of Xenium and of Visium HD with ids, places, areas and outlines; and what cannot be."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest

from cell_layouts import GENES, MPP, SIDE_UM, TURN, DrawnCells, hd_bundle, to_xenium, write_boundaries, xenium_bundle
from eosin.data import describe, read, recognise
from eosin.data.check import check_reader
from eosin.data.readers.tenx import cell_units
from eosin.data.readers.tenx.visium_hd import VisiumHd
from eosin.data.readers.tenx.xenium import Xenium
from eosin.errors import EosinError
from eosin.types import Section
from unit.data.layouts_10x import visium, visium_hd

N = 60


@pytest.fixture(autouse=True)
def without_probe(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("eosin.storage.hdf5.probe", lambda path: None)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, DrawnCells]:
    folder = tmp_path_factory.mktemp("xenium")
    return folder, xenium_bundle(folder, n=N)


@pytest.fixture
def copied(bundle: tuple[Path, DrawnCells], tmp_path: Path) -> tuple[Path, DrawnCells]:
    """The region's folder, to be altered, and what is in it."""
    shutil.copytree(bundle[0], tmp_path / "data")
    return tmp_path / "data" / "R1", bundle[1]


def as_cells(path: Path) -> Section:
    return read(path, unit="cells")[0]


def edited(file: Path, edit: Callable[[pd.DataFrame], pd.DataFrame]) -> None:
    edit(pd.read_parquet(file)).to_parquet(file, index=False)


# --- what a cell is -----------------------------------------------------------------------------------------------


def holds(section: Section, drawn: DrawnCells) -> None:
    """The section's cells are those that were drawn, on the H&E image."""
    assert section.counts is not None and section.genes is not None
    assert list(section.spots.ids) == drawn.ids
    assert np.allclose(section.spots.xy_um, drawn.xy_um, atol=1e-3)
    assert np.array_equal(section.counts.toarray(), drawn.counts[:, [GENES.index(gene) for gene in section.genes]])
    footprints = section.spots.footprints
    assert footprints is not None and footprints.outlines is not None
    for i, corners in enumerate(drawn.outlines_um()):
        assert np.allclose(footprints.outlines.of(i), corners, atol=2e-3)
    assert section.image is not None and section.image.mpp == pytest.approx(MPP)


def test_xenium_cells_lie_on_the_image_with_ids_areas_and_outlines(bundle: tuple[Path, DrawnCells]) -> None:
    path, drawn = bundle
    section = as_cells(path)
    holds(section, drawn)
    assert np.allclose(section.spots.footprints.area_um2, drawn.area_um2)
    assert section.spots.diameter_um == pytest.approx(2 * np.sqrt(np.median(drawn.area_um2) / np.pi))
    assert (section.spots.unit, section.platform, section.patient) == ("cells", "Xenium", "R1")
    assert "cells are the units; transcripts outside of cells are not counted" in section.notes


def test_hd_cells_lie_on_the_image_with_ids_areas_and_outlines(tmp_path: Path) -> None:
    drawn = hd_bundle(tmp_path, n=N)
    section = as_cells(tmp_path)
    holds(section, drawn)
    inside = drawn.area_um2 * 16 / (2 * np.pi) * np.sin(2 * np.pi / 16)  # of a polygon of 16 corners
    assert np.allclose(section.spots.footprints.area_um2, inside, rtol=1e-3)


def test_squares_stay_as_they_were(bundle: tuple[Path, DrawnCells]) -> None:
    """Transcripts go first, and no square has a footprint."""
    path, drawn = bundle
    (squares,) = read(path, bin_um=50.0)
    assert squares.spots.footprints is None and squares.spots.diameter_um == 50.0
    assert squares.counts is not None and squares.counts.sum() == drawn.counts.sum()
    assert {tuple(s) for s in np.floor(squares.spots.xy_um / 50).astype(int)} == {
        tuple(s) for s in np.floor(drawn.xy_um[drawn.counts.any(1)] / 50).astype(int)
    }


def test_hd_cells_are_taken_where_there_are_bins_too(tmp_path: Path) -> None:
    drawn = hd_bundle(tmp_path, n=N)
    visium_hd(tmp_path / "H1")
    assert read(tmp_path)[0].spots.diameter_um == 16.0
    holds(as_cells(tmp_path), drawn)


def test_readers_of_cells_keep_their_promises(bundle: tuple[Path, DrawnCells], tmp_path: Path) -> None:
    check_reader(Xenium().in_cells(), bundle[0])
    hd_bundle(tmp_path, n=N)
    check_reader(VisiumHd().in_cells(), tmp_path)


def test_a_given_scale_makes_cells_larger_as_it_does_distances(bundle: tuple[Path, DrawnCells]) -> None:
    own, twice = as_cells(bundle[0]), read(bundle[0], unit="cells", mpp=2 * MPP)[0]
    assert np.allclose(twice.spots.xy_um, 2 * own.spots.xy_um)
    assert np.allclose(twice.spots.footprints.area_um2, 4 * own.spots.footprints.area_um2)
    assert np.allclose(twice.spots.footprints.outlines.of(3), 2 * own.spots.footprints.outlines.of(3), atol=1e-3)
    assert twice.spots.diameter_um == pytest.approx(2 * own.spots.diameter_um)


def test_info_tells_cells(bundle: tuple[Path, DrawnCells]) -> None:
    (told,) = describe(bundle[0], unit="cells")["sections"]
    assert (told["unit"], told["spots"], told["outlines"]) == ("cells", N, N)
    (told,) = describe(bundle[0])["sections"]
    assert told["unit"] is None and told["outlines"] is None


# --- forms of the files -------------------------------------------------------------------------------------------


def test_tables_as_text_and_ids_as_numbers_or_bytes(copied: tuple[Path, DrawnCells]) -> None:
    """Early files name cells by numbers, or by bytes."""
    path, drawn = copied
    number = {name: i + 1 for i, name in enumerate(drawn.ids)}
    for name in ("cells", "cell_boundaries"):
        file = path / f"{name}.parquet"
        table = pd.read_parquet(file)
        table["cell_id"] = table["cell_id"].map(number)
        table.to_csv(path / f"{name}.csv.gz", index=False)
        file.unlink()
    with h5py.File(path / "cell_feature_matrix.h5", "a") as file:
        del file["matrix/barcodes"]
        file["matrix/barcodes"] = np.array([str(i + 1) for i in range(N)], dtype="S")
    section = as_cells(path)
    assert section.spots.ids == tuple(str(i + 1) for i in range(N))
    assert np.allclose(section.spots.xy_um, drawn.xy_um, atol=1e-3)
    assert np.allclose(section.spots.footprints.outlines.of(7), drawn.outlines_um()[7], atol=2e-3)
    edited_ids = pd.read_csv(path / "cells.csv.gz")
    edited_ids["cell_id"] = [str(i).encode() for i in edited_ids["cell_id"]]
    edited_ids.to_parquet(path / "cells.parquet", index=False)
    assert as_cells(path).fingerprint() == section.fingerprint()


def test_without_an_image_cells_are_in_xeniums_own_um(tmp_path: Path) -> None:
    drawn = xenium_bundle(tmp_path, n=N, image=False)
    section = as_cells(tmp_path)
    assert section.image is None and np.allclose(section.spots.xy_um, drawn.xy_um)
    assert np.allclose(section.spots.footprints.outlines.of(3), drawn.outlines_um()[3], atol=1e-3)


def test_outlines_in_several_pieces_keep_the_largest(copied: tuple[Path, DrawnCells]) -> None:
    path, drawn = copied
    file = path / "cell_boundaries.parquet"
    table = pd.read_parquet(file).assign(label_id=1)
    crumb = to_xenium(drawn.xy_um[5] + np.array([[0.0, 0.0], [0.2, 0.0], [0.0, 0.2]]))
    extra = pd.DataFrame({"cell_id": drawn.ids[5], "vertex_x": crumb[:, 0], "vertex_y": crumb[:, 1], "label_id": 2})
    pd.concat([extra, table]).to_parquet(file, index=False)
    section = as_cells(path)
    assert np.allclose(section.spots.footprints.outlines.of(5), drawn.outlines_um()[5], atol=2e-3)
    assert "1 cells have several outlines, of which the largest is kept" in section.notes


def test_hd_cells_of_several_polygons_and_without_one(tmp_path: Path) -> None:
    drawn = hd_bundle(tmp_path, n=N)
    file = tmp_path / "H1/outs/segmented_outputs/cell_segmentations.geojson"
    tree = json.loads(file.read_text())
    kept = [one for one in tree["features"] if one["properties"]["cell_id"] != 4]
    for one in kept:
        if one["properties"]["cell_id"] == 9:
            far = (np.array([[0.0, 0], [1, 0], [1, 1]]) + drawn.xy_um[8] / MPP).tolist()
            one["geometry"] = {"type": "MultiPolygon", "coordinates": [[far], one["geometry"]["coordinates"]]}
    file.write_text(json.dumps({"type": "FeatureCollection", "features": kept}))
    section = as_cells(tmp_path)
    assert section.spots.ids == tuple(name for i, name in enumerate(drawn.ids) if i != 3)
    assert f"1 of {N} cells have no outline and were left out" in section.notes
    assert "1 cells have several outlines, of which the largest is kept" in section.notes
    assert np.allclose(section.spots.footprints.outlines.of(7), drawn.outlines_um()[8], atol=2e-3)


def test_outlines_longer_than_a_piece_of_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hd_bundle(tmp_path, n=N)
    expected = as_cells(tmp_path)
    monkeypatch.setattr("eosin.data.readers.tenx.visium_hd_outlines._PIECE", 64)
    monkeypatch.setattr("eosin.data.readers.tenx.visium_hd_outlines._AT_ONCE", 7)
    again = as_cells(tmp_path)
    assert again.fingerprint() == expected.fingerprint()
    assert np.array_equal(again.spots.footprints.outlines.corners_um, expected.spots.footprints.outlines.corners_um)


# --- what is missing or told twice --------------------------------------------------------------------------------


def test_missing_outlines_are_said(copied: tuple[Path, DrawnCells]) -> None:
    path, drawn = copied
    edited(path / "cell_boundaries.parquet", lambda t: t[~t["cell_id"].isin(drawn.ids[:5])])
    section = as_cells(path)
    assert f"5 of {N} cells have no outline" in section.notes
    assert not section.spots.footprints.outlines.drawn[:5].any() and section.spots.footprints.outlines.drawn[5:].all()
    (path / "cell_boundaries.parquet").unlink()
    section = as_cells(path)
    assert section.spots.footprints.outlines is None and np.allclose(section.spots.footprints.area_um2, drawn.area_um2)
    assert "no cell_boundaries.parquet: cells have no outlines" in section.notes


def test_areas_of_zero_or_none_are_taken_from_the_outlines(copied: tuple[Path, DrawnCells]) -> None:
    path, drawn = copied
    odd = {drawn.ids[0]: 0.0, drawn.ids[1]: np.nan, drawn.ids[2]: -3.0, drawn.ids[3]: np.inf}
    edited(
        path / "cells.parquet",
        lambda t: t.assign(cell_area=t["cell_id"].map(odd).where(t["cell_id"].isin(odd), t["cell_area"])),
    )
    section = as_cells(path)
    assert f"4 of {N} cells have no area above 0 in the table of cells" in section.notes
    assert np.allclose(section.spots.footprints.area_um2[:4], drawn.area_um2[:4], rtol=0.03)
    (path / "cell_boundaries.parquet").unlink()
    area = as_cells(path).spots.footprints.area_um2
    assert np.isnan(area[:4]).all() and np.allclose(area[4:], drawn.area_um2[4:])


def test_neither_areas_nor_outlines(copied: tuple[Path, DrawnCells]) -> None:
    path, _ = copied
    (path / "cell_boundaries.parquet").unlink()
    edited(path / "cells.parquet", lambda t: t.drop(columns="cell_area"))
    section = as_cells(path)
    assert "cells have neither areas nor outlines: taken to be 10 µm wide" in section.notes
    assert section.spots.unit == "cells" and section.spots.diameter_um == 10.0


def test_areas_that_outlines_contradict_are_said(copied: tuple[Path, DrawnCells]) -> None:
    edited(copied[0] / "cells.parquet", lambda t: t.assign(cell_area=t["cell_area"] / 4))
    assert any("outlines enclose 3.9 times the area" in note for note in as_cells(copied[0]).notes)


def test_few_cells_without_a_place_are_left_out(copied: tuple[Path, DrawnCells]) -> None:
    path, drawn = copied
    edited(path / "cells.parquet", lambda t: t.assign(x_centroid=t["x_centroid"].where(t["cell_id"] != drawn.ids[6])))
    section = as_cells(path)
    assert section.spots.ids == tuple(name for name in drawn.ids if name != drawn.ids[6])
    assert f"1 of {N} cells have no place and were left out" in section.notes
    assert np.array_equal(section.counts.toarray().sum(1), np.delete(drawn.counts.sum(1), 6))
    assert np.allclose(section.spots.footprints.outlines.of(6), drawn.outlines_um()[7], atol=2e-3)


def test_two_cells_at_one_place_are_said_and_kept(copied: tuple[Path, DrawnCells]) -> None:
    path, drawn = copied
    (path / "cell_boundaries.parquet").unlink()

    def move(table: pd.DataFrame) -> pd.DataFrame:
        table = table.set_index("cell_id")
        table.loc[drawn.ids[1], ["x_centroid", "y_centroid"]] = table.loc[drawn.ids[0], ["x_centroid", "y_centroid"]]
        return table.reset_index()

    edited(path / "cells.parquet", move)
    section = as_cells(path)
    assert len(section) == N and f"1 of {N} cells lie at the place of another" in section.notes
    assert np.array_equal(section.spots.xy_um[0], section.spots.xy_um[1])


def test_cells_off_the_image_are_left_out(copied: tuple[Path, DrawnCells]) -> None:
    path, drawn = copied
    (path / "cell_boundaries.parquet").unlink()
    off = to_xenium(np.array([[SIDE_UM + 30, 50.0]]))[0]

    def move(table: pd.DataFrame) -> pd.DataFrame:
        table = table.set_index("cell_id")
        table.loc[drawn.ids[2], ["x_centroid", "y_centroid"]] = off
        return table.reset_index()

    edited(path / "cells.parquet", move)
    section = as_cells(path)
    assert drawn.ids[2] not in section.spots.ids and len(section) == N - 1 == len(section.spots.footprints)
    assert any(f"1 of {N} spots lie outside the image" in note for note in section.notes)


def test_cells_that_the_matrix_does_not_have_are_said(copied: tuple[Path, DrawnCells]) -> None:
    path, drawn = copied
    edited(path / "cells.parquet", lambda t: pd.concat([t, t.iloc[:2].assign(cell_id=["other-1", "other-2"])]))
    section = as_cells(path)
    assert list(section.spots.ids) == drawn.ids and "2 cells of cells.parquet are not in the matrix" in section.notes


FAULTS: dict[str, tuple[str, Callable[[pd.DataFrame], pd.DataFrame], str]] = {
    "other ids": ("cells", lambda t: t.assign(cell_id="x" + t["cell_id"]), r"has no cell '0cell0000-1' of the matrix"),
    "an id twice": ("cells", lambda t: t.assign(cell_id=t["cell_id"].iloc[0]), "a cell_id occurs twice"),
    "no column": ("cells", lambda t: t.drop(columns="y_centroid"), "has no column 'y_centroid'"),
    "words": ("cells", lambda t: t.assign(x_centroid="left"), "not readable as a table of cells"),
    "no places": ("cells", lambda t: t.assign(y_centroid=np.nan), f"{N} of {N} cells have no place"),
    "one place": ("cells", lambda t: t.assign(x_centroid=5.0, y_centroid=6.0), f"{N} cells lie at 1 places"),
    "outlines of others": (
        "cell_boundaries",
        lambda t: t.assign(cell_id="x" + t["cell_id"]),
        "has no outline of a cell of the matrix: its first cell is 'x0cell",
    ),
    "no outlines": ("cell_boundaries", lambda t: t.iloc[:0], "has no outline of a cell of the matrix"),
    "no corner": ("cell_boundaries", lambda t: t.drop(columns="vertex_x"), "has no column 'vertex_x'"),
    "corners elsewhere": (
        "cell_boundaries",
        lambda t: t.assign(vertex_x=t["vertex_x"] + 80),
        "outlines lie 80 µm from the centres of their cells",
    ),
    "corners of nothing": (
        "cell_boundaries",
        lambda t: t.assign(vertex_x=np.nan),
        "a corner of an outline is not a finite number",
    ),
    "corner without a cell": ("cell_boundaries", lambda t: t.assign(cell_id=None), "cell_boundaries.parquet: "),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_cannot_be_is_one_line(copied: tuple[Path, DrawnCells], fault: str) -> None:
    table, edit, said = FAULTS[fault]
    edited(copied[0] / f"{table}.parquet", edit)
    with pytest.raises(EosinError, match=said) as error:
        as_cells(copied[0])
    assert error.value.file is not None and "\n" not in str(error.value)


def test_a_mirrored_frame_still_places_outlines_on_their_cells(copied: tuple[Path, DrawnCells]) -> None:
    path, drawn = copied
    mirror = TURN.copy()
    mirror[:, 0] *= -1  # x of the image runs the other way
    np.savetxt(path / "Slide_he_imagealignment.csv", mirror, delimiter=",")
    (path / "Slide_he_image.ome.tif").write_bytes(b"not an image, and nobody looks")
    section = as_cells(path)
    assert np.allclose(section.spots.xy_um, drawn.xy_um * [-1, 1], atol=1e-3)
    assert np.allclose(section.spots.footprints.outlines.of(3), drawn.outlines_um()[3] * [-1, 1], atol=2e-3)


# --- where cells are not to be had --------------------------------------------------------------------------------


def test_plain_visium_has_no_cells(tmp_path: Path) -> None:
    path = visium(tmp_path)
    with pytest.raises(
        EosinError,
        match=r"reader 'visium' reads units as its files have them and cannot take --unit cells; .*visium-hd or xenium",
    ):
        read(path, unit="cells")


def test_cells_are_not_pooled(bundle: tuple[Path, DrawnCells]) -> None:
    with pytest.raises(EosinError, match=r"--unit cells takes every cell by itself, and --bin-um 50 pools them"):
        read(bundle[0], unit="cells", bin_um=50.0)


def test_an_unknown_unit_is_refused(bundle: tuple[Path, DrawnCells]) -> None:
    with pytest.raises(EosinError, match=r"--unit is 'nuclei'; give spots or cells"):
        read(bundle[0], unit="nuclei")


def test_bins_and_transcripts_alone_hold_no_cells(tmp_path: Path, copied: tuple[Path, DrawnCells]) -> None:
    with pytest.raises(EosinError, match=r"no segmented_outputs/; copy what Space Ranger 4 segmented"):
        as_cells(visium_hd(tmp_path / "H"))
    (copied[0] / "cell_feature_matrix.h5").unlink()
    with pytest.raises(EosinError, match=r"no cell_feature_matrix\.h5; copy it with cells\.parquet"):
        as_cells(copied[0])


def test_recognised_as_before(bundle: tuple[Path, DrawnCells]) -> None:
    assert recognise(bundle[0])[1] == "1 Xenium outputs with transcripts or cells"


def test_outlines_may_come_in_another_order_and_open(copied: tuple[Path, DrawnCells]) -> None:
    path, drawn = copied
    expected = as_cells(path)
    order = np.random.default_rng(3).permutation(N)
    write_boundaries(path, [drawn.ids[i] for i in order], to_xenium(drawn.outlines_um()[order]))
    edited(path / "cell_boundaries.parquet", lambda t: t[t.duplicated() | ~t.duplicated(keep=False)])  # no corner twice
    again = as_cells(path)
    for i in range(N):
        first, second = (s.spots.footprints.outlines.of(i) for s in (expected, again))
        assert {tuple(corner) for corner in first.round(3)} == {tuple(corner) for corner in second.round(3)}


def test_cells_without_an_outline_do_not_vote_on_whether_areas_agree() -> None:
    given, drawn = np.full(10, 50.0), np.where(np.arange(10) < 4, 51.0, 0.0)  # most have none
    area, notes = cell_units._areas(given, drawn, 10)
    assert area.tolist() == [50.0] * 10 and not notes
    area, notes = cell_units._areas(np.where(np.arange(10) < 2, np.nan, given), drawn, 10)
    assert area.tolist() == [51.0] * 2 + [50.0] * 8 and "no area above 0" in notes[0] and len(notes) == 1
