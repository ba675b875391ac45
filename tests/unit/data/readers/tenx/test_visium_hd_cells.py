"""Space Ranger 4's segmented cells, pooled to squares."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from eosin.data import read, recognise
from eosin.data.check import check_reader
from eosin.data.readers.tenx.visium_hd_outlines import read_outlines
from eosin.errors import EosinError
from unit.data.hostile_10x import cut
from unit.data.layouts_10x import GENES, counts, visium_hd, write_h5

MPP = 0.25
N = 40
CELLS = "outs/segmented_outputs"


@pytest.fixture(autouse=True)
def without_probe(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("eosin.storage.hdf5.probe", lambda path: None)


def places() -> np.ndarray:
    """Centres of cells [n 2] in pixels; none lies at a border of squares of 100 or 50 µm."""
    return np.random.default_rng(3).integers(0, 1000, (N, 2)) * 2.0 + 1.0


def outline(number: int | str, x: float, y: float) -> dict:
    """A square whose centre of mass, not whose corners' mean, is (x, y)."""
    corners = ((-2, -2), (2, -2), (2, -1), (2, 0), (2, 2), (-2, 2), (-2, -2))
    geometry = {"type": "Polygon", "coordinates": [[[x + dx, y + dy] for dx, dy in corners]]}
    return {"type": "Feature", "properties": {"cell_id": number}, "geometry": geometry}


def segmented(folder: Path, features: list[dict] | None = None) -> Path:
    """Outlines of cells 1 to n in another order than the matrix's."""
    place = folder / CELLS
    (place / "spatial").mkdir(parents=True)
    features = [outline(i + 1, *places()[i]) for i in reversed(range(N))] if features is None else features
    (place / "cell_segmentations.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    names = [f"cellid_{i + 1:09d}-1" for i in range(N)]
    write_h5(place / "filtered_feature_cell_matrix.h5", counts(N), names, GENES)
    factors = {"microns_per_pixel": MPP, "tissue_hires_scalef": 0.1}
    (place / "spatial" / "scalefactors_json.json").write_text(json.dumps(factors))
    (place / "spatial" / "tissue_hires_image.png").write_bytes(b"not an image, and nobody looks")
    return folder


@pytest.mark.parametrize("bin_um", [None, 50.0])
def test_cells_are_counted_whole_where_their_centre_lies(bin_um: float | None, tmp_path: Path) -> None:
    (one,) = read(segmented(tmp_path / "H"), bin_um=bin_um)
    width = bin_um or 100.0
    squares, place = np.unique(np.floor(places() * MPP / width)[:, ::-1], axis=0, return_inverse=True)
    expected = np.zeros((len(squares), len(GENES)))
    np.add.at(expected, place.ravel(), counts(N))
    assert one.counts is not None and np.array_equal(one.counts.toarray(), expected)
    assert np.allclose(one.spots.xy_um, (squares[:, ::-1] + 0.5) * width) and one.spots.diameter_um == width
    assert one.spots.ids[0] == f"{width:g}um-{squares[0, 0]:.0f}x{squares[0, 1]:.0f}"
    assert one.image is not None and one.image.mpp == pytest.approx(2.5) and one.ensembl is not None
    assert (one.name, one.platform) == ("H", "Visium HD")


def test_it_is_a_layout_of_the_reader(tmp_path: Path) -> None:
    path = segmented(tmp_path / "H")
    assert recognise(path)[1] == "1 Space Ranger outputs with segmented_outputs/"
    check_reader("visium-hd", path)


def test_bins_are_preferred(tmp_path: Path) -> None:
    segmented(tmp_path / "H")
    assert read(visium_hd(tmp_path / "H"))[0].spots.diameter_um == 16.0


def test_cells_without_an_outline_are_left_out_and_said(tmp_path: Path) -> None:
    (one,) = read(segmented(tmp_path / "H", [outline(f"cellid_{i + 1:09d}-1", *places()[i]) for i in range(30)]))
    assert one.counts is not None and one.counts.sum() == counts(N)[:30].sum()
    assert "10 of 40 cells have no outline and were left out" in one.notes


def test_several_pieces_and_no_area(tmp_path: Path) -> None:
    def square(x: float, side: float) -> list:
        return [[[x, 0], [x + side, 0], [x + side, side], [x, side], [x, 0]]]

    far = {"type": "MultiPolygon", "coordinates": [square(1e6, 2), square(1e6 + 10, 2)[:1]]}
    flat = {"type": "Polygon", "coordinates": [[[0, 0], [4, 0], [0, 0], [4, 0]]]}
    file = tmp_path / "c.geojson"
    features = [{"properties": {"cell_id": k}, "geometry": one} for k, one in enumerate((far, flat))]
    file.write_text(json.dumps({"features": features}))
    found = read_outlines(file)
    assert found.number.tolist() == [0, 1]
    assert np.allclose(found.centres_px, [(1e6 + 6, 1), (2, 0)], rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("features", "said"),
    [
        ([], "holds no outlines"),
        ([{"properties": {}, "geometry": None}], "an outline has no cell_id"),
        ([outline(1, 0, 0), outline(1, 9, 9)], "cell 1 has two outlines"),
        ([outline(1, float("nan"), 0)], "the outline of cell 1 is not of finite numbers"),
        (
            [{"properties": {"cell_id": 1}, "geometry": {"type": "Point", "coordinates": [1, 2]}}],
            "an outline is a Point",
        ),
        ([{"properties": {"cell_id": 1}, "geometry": {"type": "Polygon"}}], "not readable as outlines of cells"),
        ([outline(77, 0, 0)], r"no cell of the matrix \('cellid_000000001-1'\) has an outline"),
        ([outline(1, 1e12, 0)], "far off any slide"),
        ([7], "not readable as outlines of cells"),
    ],
)
def test_broken_outlines(features: list, said: str, tmp_path: Path) -> None:
    with pytest.raises(EosinError, match=said):
        read(segmented(tmp_path / "H", features))


@pytest.mark.parametrize("share", [0.0, 0.3, 0.99])
def test_cut_short(share: float, tmp_path: Path) -> None:
    path = segmented(tmp_path / "H")
    cut(path / CELLS / "cell_segmentations.geojson", share)
    with pytest.raises(EosinError, match=r"cell_segmentations\.geojson: not readable as outlines of cells"):
        read(path)


def test_missing_files(tmp_path: Path) -> None:
    path = segmented(tmp_path / "H")
    (path / CELLS / "filtered_feature_cell_matrix.h5").unlink()
    with pytest.raises(EosinError, match=r"no filtered_feature_cell_matrix\.h5"):
        read(path)
    (path / CELLS / "cell_segmentations.geojson").unlink()
    with pytest.raises(EosinError, match=r"no cell_segmentations\.geojson; copy all"):
        read(path)
