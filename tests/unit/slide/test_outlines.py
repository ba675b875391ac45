"""Masks go to GeoJSON and back unchanged, and those of other tools are read as they are meant."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from eosin.errors import EosinError
from eosin.slide import Tissue, open_slide, read_tissue, write_tissue
from eosin.slide.no_tissue import is_no_tissue
from eosin.slide.outlines import outlines
from eosin.storage.geojson import read_geometries
from unit.slide import pictures

SQUARE = [[40, 40], [120, 40], [120, 80], [40, 80], [40, 40]]
HOLE = [[60, 50], [80, 50], [80, 70], [60, 70], [60, 50]]
FAR = [[160, 10], [190, 10], [190, 30], [160, 30], [160, 10]]


@pytest.fixture(scope="module")
def slide(tmp_path_factory: pytest.TempPathFactory):
    """200 x 100 px of 2 µm: a mask of 8 µm has 50 x 25 pixels of 4 px each."""
    picture = np.full((100, 200, 3), 255, np.uint8)
    with open_slide(pictures.save_image(tmp_path_factory.mktemp("slide") / "s.png", picture), mpp=2.0) as opened:
        yield opened


def _expected(*, far: bool, hole: bool = True) -> np.ndarray:
    mask = np.zeros((25, 50), bool)
    mask[10:20, 10:30] = True
    if hole:
        mask[13:17, 15:20] = False  # rows 50 to 70 hold the centres of pixels 13 to 16, columns 60 to 80 those of 15-19
        mask[12, 15:20] = mask[17, 15:20] = False  # centres at 50 and 70: on the hole's edge
    if far:
        mask[3:7, 40:47] = True
    return mask


def _feature(geometry: dict, **about: object) -> dict:
    return {"type": "Feature", "id": "u", "geometry": geometry, "properties": about}


POLYGON = {"type": "Polygon", "coordinates": [SQUARE, HOLE]}
BOTH = {"type": "MultiPolygon", "coordinates": [[SQUARE, HOLE], [FAR]]}
ONLY_FAR = {"type": "Polygon", "coordinates": [FAR]}
IGNORED = {"name": "Ignore*", "color": [1, 2, 3]}


@pytest.mark.parametrize(
    ("tree", "far"),
    [
        (POLYGON, False),
        (_feature(BOTH, objectType="annotation"), True),
        ({"type": "FeatureCollection", "features": [_feature(POLYGON), _feature(BOTH)]}, True),
        ([_feature(POLYGON), _feature(ONLY_FAR, classification={"names": ["Stroma", "Ignore*"]})], False),
        ([_feature(ONLY_FAR, classification=IGNORED), _feature(BOTH, classification={"name": "Tissue"})], False),
        ({"type": "GeometryCollection", "geometries": [BOTH, {"type": "Point", "coordinates": [1, 1]}]}, True),
    ],
)
def test_every_form_of_geojson_gives_the_mask_it_draws(tmp_path: Path, slide, tree: object, *, far: bool) -> None:
    path = tmp_path / "m.geojson"
    path.write_text(json.dumps(tree))
    tissue = read_tissue(path, slide)
    assert tissue.um_per_px == 8.0 and tissue.mask.shape == (25, 50)
    wrong = np.logical_xor(tissue.mask, _expected(far=far))
    on_edge = np.zeros_like(wrong)
    on_edge[[12, 17], 15:20] = True  # a centre on an edge may fall either way
    on_edge[[2, 7], 40:47] = True
    on_edge[:, [14, 20, 39, 40, 47]] = True
    assert not wrong[~on_edge].any()


LEFT = [[40, 40], [80, 40], [80, 80], [40, 80], [40, 40]]


@pytest.mark.parametrize(
    ("label", "cut"),
    [("Ignore*", True), ("Artifact", True), ("Tissue fold", True), ("necrosis", True), ("Background", True),
     ("Pen mark", True), ("My class*", True), ("Region*", False), ("Tumor", False), ("Peritoneum", False),
     ("Penile tissue", False), ("out_of_focus", True), ("Whole tissue", False), ("Stroma", False), ("", False)],
)  # fmt: skip
@pytest.mark.parametrize("first", [False, True])
@pytest.mark.parametrize("how", [lambda kind: {"name": kind}, lambda kind: {"names": ["Tumor", kind]}, str])
def test_what_is_no_tissue_is_cut_out(tmp_path: Path, slide, label: str, how, *, cut: bool, first: bool) -> None:
    """Whatever the order of the outlines; `Region*` is where something is."""
    path = tmp_path / "m.geojson"
    square = {"type": "Polygon", "coordinates": [SQUARE]}
    half = {"type": "Polygon", "coordinates": [LEFT]}
    features = [_feature(square, classification={"name": "Tissue"}), _feature(half, classification=how(label))]
    path.write_text(json.dumps(features[:: -1 if first else 1]))
    mask = read_tissue(path, slide).mask
    assert mask[12:18, 22:28].all()
    assert mask[12:18, 12:18].any() != cut and mask[12:18, 12:18].all() != cut


@pytest.mark.parametrize(
    ("label", "cut"),
    [("Non-necrotic tumor", False), ("Background liver", False), ("Ground glass opacity", False),
     ("No necrosis", False), ("Tumor without necrosis", False), ("artifact-free", False), ("Not blurred", False),
     ("Viable and necrotic", False),
     ("Peri-necrotic tumor", False), ("Tumor with necrosis", False), ("Villous folds", False), ("Black hole", True),
     ("Tumor and debris", False), ("Carbon dust macules", False), ("Necrosis", True), ("Necrotic tumor", True),
     ("Tumor necrosis", True), ("Artefact", True), ("Artifact: knife", True), ("Fold or bubble", True),
     ("Folded tissue", True), ("White space", True), ("non-tissue", True), ("No tissue", True), ("Glass slide", True),
     ("Gland lumen", True), ("Out of focus", True), ("Holes 2", True), ("Excluded tumor", True), ("Air bubbles", True),
     ("Background", True), ("Tissue background", True), ("non_necrotic", False), ("Folds/creases", True),
     ("Dust particles", True)],
)  # fmt: skip
def test_a_word_in_the_name_of_a_tissue_cuts_nothing_out(label: str, *, cut: bool) -> None:
    assert is_no_tissue(label) == cut and is_no_tissue(label.upper()) == cut


def test_missing_cores_of_a_microarray_are_no_tissue(tmp_path: Path, slide, caplog) -> None:
    def core(where: list, *, missing: bool) -> dict:
        return _feature({"type": "Polygon", "coordinates": [where]}, objectType="tma_core", isMissing=missing)

    path = tmp_path / "m.geojson"
    path.write_text(json.dumps([core(SQUARE, missing=False), core(FAR, missing=True)]))
    with caplog.at_level("INFO", "eosin"):
        mask = read_tissue(path, slide).mask
    assert mask[12:18, 12:18].all() and not mask[3:7, 40:47].any() and "1 core marked as missing" in caplog.text
    path.write_text(json.dumps([core(SQUARE, missing=True)]))
    with pytest.raises(EosinError, match="all its cores are marked as missing"):
        read_tissue(path, slide)


def test_a_hole_in_what_is_cut_out_stays_tissue(tmp_path: Path, slide) -> None:
    features = [
        _feature({"type": "Polygon", "coordinates": [[[0, 0], [200, 0], [200, 100], [0, 100]]]}),
        _feature({"type": "MultiPolygon", "coordinates": [[SQUARE, HOLE]]}, classification={"name": "Ignore*"}),
    ]
    (tmp_path / "m.geojson").write_text(json.dumps(features))
    mask = read_tissue(tmp_path / "m.geojson", slide).mask
    assert mask[14:16, 16:18].all() and mask[:8].all() and not mask[11, 11:29].any()


def test_classes_are_named(tmp_path: Path, slide, caplog) -> None:
    kinds = ("Tumor", "Stroma", "Artifact")
    features = [_feature(ONLY_FAR, classification={"name": kind}) for kind in kinds]
    features[2]["geometry"] = {"type": "Polygon", "coordinates": [LEFT]}
    with caplog.at_level("INFO", "eosin"):
        (tmp_path / "m.geojson").write_text(json.dumps(features))
        read_tissue(tmp_path / "m.geojson", slide)
        (tmp_path / "n.geojson").write_text(json.dumps(features[:2]))
        read_tissue(tmp_path / "n.geojson", slide)
        (tmp_path / "o.geojson").write_text(json.dumps(features[:1]))
        read_tissue(tmp_path / "o.geojson", slide)
    assert [line.split("geojson: ")[1] for line in caplog.messages] == [
        "Artifact cut out of Stroma and Tumor",
        "outlines of Stroma and Tumor are joined to one tissue",
    ]


def test_nothing_left_is_an_error(tmp_path: Path, slide) -> None:
    ignored = _feature(ONLY_FAR, classification=IGNORED)
    for features, told in (([ignored], r"only outlines of what is no tissue \(Ignore\*\)"),
                           ([_feature(ONLY_FAR), ignored], "cover all of its tissue")):  # fmt: skip
        (tmp_path / "m.geojson").write_text(json.dumps(features))
        with pytest.raises(EosinError, match=told):
            read_tissue(tmp_path / "m.geojson", slide)


def test_an_outline_that_leaves_the_image_is_cut_not_bent(tmp_path: Path, slide) -> None:
    path = tmp_path / "m.geojson"
    path.write_text(json.dumps({"type": "Polygon", "coordinates": [[[-1e9, -1e9], [1e9, 1e9], [-1e9, 1e9]]]}))
    mask = read_tissue(path, slide).mask
    rows, columns = np.indices(mask.shape)
    off_line = np.abs(np.subtract(rows, columns)) > 1
    assert np.array_equal(mask[off_line], np.greater(rows, columns)[off_line])


def test_crossing_outlines_and_stray_holes_are_drawn_as_they_lie(tmp_path: Path, slide) -> None:
    """A bow tie is its two triangles; a hole takes away what it covers of its own polygon, inside or not."""
    tie = [[40, 10], [120, 90], [120, 10], [40, 90]]
    leaving = [[100, -50], [150, -50], [150, 150], [100, 150]]
    path = tmp_path / "m.geojson"
    path.write_text(json.dumps({"type": "MultiPolygon", "coordinates": [[tie, leaving, leaving], [FAR]]}))
    rows, columns = np.indices((25, 50))
    x, y = 4 * columns + 2, 4 * rows + 2  # centres, px
    in_tie = (np.abs(y - 50) < np.abs(x - 80)) & (x > 40) & (x < 100)
    in_far = (x > 160) & (x < 190) & (y > 10) & (y < 30)
    on_line = (np.abs(y - 50) == np.abs(x - 80)) | np.isin(x, (190,)) | np.isin(y, (10, 30))
    assert np.array_equal(read_tissue(path, slide).mask[~on_line], (in_tie | in_far)[~on_line])


def test_a_piece_is_one_valid_polygon_without_points_on_straight_runs() -> None:
    mask = np.zeros((9, 12), bool)
    mask[1:8, 1:10], mask[3:5, 3:6], mask[6, 8] = True, False, False
    (piece,) = outlines(mask)
    assert piece.is_valid and len(piece.interiors) == 2
    assert len(piece.exterior.coords) == 9 and piece.bounds == (0.5, 0.5, 9.5, 7.5)  # its corners are cut


@settings(max_examples=60, deadline=None)
@given(arrays(bool, st.tuples(st.integers(1, 12), st.integers(1, 14))))
def test_a_mask_comes_back_as_it_was_written(tmp_path_factory: pytest.TempPathFactory, mask: np.ndarray) -> None:
    """Whatever its pieces, holes, islands in holes and corners that touch; at a scale that is no whole number."""

    class Still:
        size_px, mpp = (round(mask.shape[1] * 8 / 0.53), round(mask.shape[0] * 8 / 0.53)), 0.53
        size_um = (size_px[0] * mpp, size_px[1] * mpp)
        scanned_px = None

    path = tmp_path_factory.mktemp("m") / "m.geojson"
    write_tissue(path, Tissue(mask, 8.0), 0.53)
    if mask.any():
        assert np.array_equal(read_tissue(path, Still(), 8.0).mask, mask)  # pyright: ignore[reportArgumentType]
    else:
        assert read_geometries(path) == []


def _nested(depth: int) -> str:
    return '{"type": "FeatureCollection", "features": [' * depth + "]}" * depth


BROKEN: dict[str, tuple[str | bytes, str]] = {
    "empty": ("", "not GeoJSON"),
    "cut": (json.dumps(POLYGON)[:60], "not GeoJSON"),
    "binary": (b"\x89PNG\r\n\x1a\n\xff", "not GeoJSON"),
    "number": ("3", "not GeoJSON"),
    "untyped": ("{}", "not GeoJSON"),
    "no-coordinates": ('{"type": "Polygon"}', "not GeoJSON"),
    "deep": (_nested(100_000), "not GeoJSON"),
    "no-polygon": ('{"type": "Point", "coordinates": [1, 2]}', "no polygon"),
    "nan": ('{"type": "Polygon", "coordinates": [[[NaN, 1], [2, 2], [3, 1]]]}', "finite"),
    "two-points": ('{"type": "Polygon", "coordinates": [[[1, 1], [2, 2]]]}', "three points"),
    "words": ('{"type": "Polygon", "coordinates": [[["a", 1], [2, 2], [3, 1]]]}', "not usable"),
    "flat": ('{"type": "MultiPolygon", "coordinates": [1, 2, 3]}', "not usable"),
    "scalar": ('{"type": "MultiPolygon", "coordinates": 7}', "not usable"),
    "elsewhere": (json.dumps({"type": "Polygon", "coordinates": [[[900, 900], [950, 900], [950, 950]]]}), "no tissue"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_mask_is_one_line(tmp_path: Path, slide, name: str) -> None:
    text, problem = BROKEN[name]
    path = tmp_path / f"{name}.geojson"
    (path.write_bytes if isinstance(text, bytes) else path.write_text)(text)  # type: ignore[arg-type]
    with pytest.raises(EosinError, match=problem) as caught:
        read_tissue(path, slide)
    assert "\n" not in str(caught.value) and str(path) in str(caught.value)


@pytest.mark.parametrize("make", [lambda p: None, lambda p: p.mkdir()])
def test_no_file_is_one_line(tmp_path: Path, slide, make: Callable[[Path], None]) -> None:
    make(tmp_path / "m.geojson")
    with pytest.raises(EosinError, match="no such file"):
        read_tissue(tmp_path / "m.geojson", slide)
