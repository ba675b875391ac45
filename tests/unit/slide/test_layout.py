"""Spots of a bare image: on lattices that are what they are called, or at the places that a file names."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from eosin.errors import EosinError
from eosin.geometry import nearest_spacing, neighbours
from eosin.slide import AtPoints, HexagonalLattice, Lattice, OnTissue, SquareLattice, Tissue, layout_of, open_slide
from unit.slide import pictures

ALL = Tissue(np.ones((60, 80), bool), 10.0)


@pytest.fixture(scope="module")
def slide(tmp_path_factory: pytest.TempPathFactory):
    """400 x 300 px of 2 µm, half of it tissue."""
    picture = np.full((300, 400, 3), 245, np.uint8)
    picture[:, :200] = (222, 150, 190)
    with open_slide(pictures.save_image(tmp_path_factory.mktemp("slide") / "s.png", picture), mpp=2.0) as opened:
        yield opened


def test_a_lattice_covers_tissue_only() -> None:
    mask = np.zeros((50, 80), dtype=bool)
    mask[10:40, 20:70] = True
    spots = SquareLattice(50.0).lay(Tissue(mask, 10.0))
    assert len(spots) == 6 * 10
    assert spots.xy_um.min(0).tolist() == [225.0, 125.0]
    assert nearest_spacing(spots.xy_um) == 50.0


@pytest.mark.parametrize("pitch", [100.0, 55.0, 17.3])
def test_hexagonal_spots_have_six_neighbours_at_the_pitch(pitch: float) -> None:
    spots = HexagonalLattice(pitch).lay(ALL)
    middle = np.argmin(np.linalg.norm(spots.xy_um - (400, 300), axis=1))
    near = neighbours(spots.xy_um, 6)
    distance = np.linalg.norm(spots.xy_um[near.index[middle]] - spots.xy_um[middle], axis=1)
    assert distance == pytest.approx([pitch] * 6)
    assert (spots.xy_um >= 0).all() and (spots.xy_um <= (800, 600)).all()


@pytest.mark.parametrize("kind", [SquareLattice, HexagonalLattice])
def test_spot_width_and_pitch_are_two_settings(kind: type[Lattice]) -> None:
    assert kind(80.0).lay(ALL).diameter_um == 80.0
    narrow = kind(80.0).lay(ALL, 55.0)
    assert narrow.diameter_um == 55.0 and np.array_equal(narrow.xy_um, kind(80.0).lay(ALL).xy_um)


def test_a_name_is_a_place_on_every_lattice() -> None:
    """Features are matched by name: one name at two places would give a spot the features of another."""
    places: dict[str, tuple[float, ...]] = {}
    for lattice in (SquareLattice(100.0), SquareLattice(50.0), HexagonalLattice(100.0), SquareLattice(1.5)):
        spots = lattice.lay(ALL)
        for name, (x, y) in zip(spots.ids, spots.xy_um.tolist()):
            x_known, y_known = places.setdefault(name, (x, y))
            assert abs(x - x_known) <= 1.01 and abs(y - y_known) <= 1.01  # whole µm


@pytest.mark.parametrize("pitch", [0.0, -3.0, float("nan"), float("inf"), 0.2])
def test_impossible_pitches_are_refused(pitch: float) -> None:
    with pytest.raises(EosinError, match="--pitch-um"):
        layout_of(lattice="square", pitch_um=pitch)


def test_no_tissue_too_many_spots_and_unknown_lattices_are_one_line() -> None:
    with pytest.raises(EosinError, match=r"no tissue.*--points"):
        SquareLattice().lay(Tissue(np.zeros((10, 10), bool), 10.0))
    with pytest.raises(EosinError, match=r"20,000,000 spots.*--pitch-um"):
        SquareLattice(1.0).lay(Tissue(np.zeros((1000, 1000), bool), 8.0))
    with pytest.raises(EosinError, match="did you mean 'hexagonal'"):
        layout_of(lattice="hexagon")
    with pytest.raises(EosinError, match="--spot-um"):
        layout_of(spot_um=0.0)
    with pytest.raises(EosinError, match="--points, or --tissue"):
        layout_of(points="a.csv", tissue="b.geojson")


def test_the_tissue_of_a_mask_goes_before_what_is_found(tmp_path: Path, slide) -> None:
    mask = tmp_path / "m.geojson"
    mask.write_text(json.dumps({"type": "Polygon", "coordinates": [[[300, 100], [400, 100], [400, 200], [300, 200]]]}))
    found = OnTissue(SquareLattice(40.0)).lay(slide)
    drawn = layout_of(lattice="square", pitch_um=40.0, tissue=mask).lay(slide)
    assert found.xy_um[:, 0].max() < 420 and len(found) > 100
    assert (drawn.xy_um >= (600, 200)).all() and (drawn.xy_um <= (800, 400)).all() and len(drawn) == 25


POINTS = np.array([[10.0, 20.0], [150.5, 3.25], [400.0, 300.0]])


@pytest.mark.parametrize(
    ("name", "text", "ids"),
    [
        ("px.csv", "x,y\n10,20\n150.5,3.25\n400,300\n", None),
        ("um.csv", "id,x_um,y_um\na,20,40\nb,301,6.5\nc,800,600\n", ("a", "b", "c")),
        (
            "tabs.tsv",
            "\ufeffX\t-\tY\tID\r\n10\t-\t20\ta\r\n150.5\t-\t3.25\tb\r\n\r\n400\t-\t300\tc\r\n",
            ("a", "b", "c"),
        ),
        ("named.csv", 'barcode;x;y\na;10;20\n"b\nc";150.5;3.25\nd;400;300\n', ("a", "b\nc", "d")),
        ("m.geojson", json.dumps({"type": "MultiPoint", "coordinates": POINTS.tolist()}), None),
        (
            "q.geojson",
            json.dumps(
                [
                    {"type": "Feature", "id": i, "geometry": {"type": "Point", "coordinates": [*xy, 0.0]}}
                    for i, xy in zip("abc", POINTS.tolist())
                ]
            ),
            ("a", "b", "c"),
        ),
    ],
)
def test_points_of_tables_and_geojson(tmp_path: Path, slide, name: str, text: str, ids: tuple | None) -> None:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    spots = layout_of(points=path, spot_um=55.0).lay(slide)
    assert np.allclose(spots.xy_um, POINTS * 2.0) and spots.diameter_um == 55.0
    assert spots.ids == ids if ids else len(set(spots.ids)) == 3


BROKEN = {
    "empty.csv": ("", "columns"),
    "heading.csv": ("x,y\n", "no points"),
    "columns.csv": ("row,col\n1,2\n", r"has columns row, col; give columns x,y .* x_um,y_um"),
    "both.csv": ("x,y,x_um,y_um\n1,2,1,2\n", "both pixels and µm"),
    "twice.csv": ("x,y,x\n1,2,3\n", "twice"),
    "nan.csv": ("x,y\n1,2\nnan,3\n", "line 3: 'nan' is not a finite number"),
    "word.csv": ("x,y\n1,two\n", "line 2: 'two' is not a finite number"),
    "short.csv": ("x,y\n1\n", "line 2 has 1 cell where the heading has 2"),
    "outside.csv": ("x,y\n1,2\n401,5\n", r"1 of 2 points lie outside .* 800 x 600 µm.*x,y are pixels"),
    "negative.csv": ("x_um,y_um\n-1,5\n", "outside"),
    "places.csv": ("x,y\n1,2\n3,4\n1.0,2\n", "points 1 and 3 have the same position"),
    "ids.csv": ("x,y,id\n1,2,a\n3,4,a\n", "points 1 and 2 have the same id 'a'"),
    "noid.csv": ("x,y,id\n1,2,a\n3,4,\n", "point 2 has no id"),
    "quote.csv": ('x,y\n"1,2\n', "not readable as a table"),
    "binary.csv": (b"x,y\n\xff\xfe\x00\n", "not readable as a table"),
    "zero.csv": (b"x,y\n\x001,2\n", "table|finite"),
    "shape.geojson": ('{"type": "Polygon", "coordinates": [[[1, 1], [2, 2], [3, 1]]]}', "no points"),
    "infinite.geojson": ('{"type": "Point", "coordinates": [Infinity, 1]}', "not a finite"),
    "word.geojson": ('{"type": "Point", "coordinates": "ab"}', "not usable as points"),
    "number.geojson": ('{"type": "MultiPoint", "coordinates": 3}', "not usable as points"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_points_are_one_line(tmp_path: Path, slide, name: str) -> None:
    text, problem = BROKEN[name]
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(EosinError, match=problem) as caught:
        AtPoints(path).lay(slide)
    assert "\n" not in str(caught.value) and str(path) in str(caught.value)
