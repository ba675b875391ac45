"""SpatialData stores: coordinate systems, the image inside, and the way out and back."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("spatialdata")

import spatialdata as sd
import tifffile
from spatialdata.models import Image2DModel, ShapesModel, TableModel
from spatialdata.transformations import Affine, Identity, Scale, Sequence, Translation, set_transformation

from eosin.data import Thumbnails, read, recognise, write_spatialdata
from eosin.errors import EosinError
from eosin.types import GenePanel, Image, Prediction, Spots
from unit.data.layouts import GENES, counts, lattice, placeholder, section, spatialdata

pytestmark = pytest.mark.filterwarnings("ignore")


def changed(store: Path, change) -> Path:
    """The store written anew after a change to its parts."""
    sdata = sd.read_zarr(store)
    change(sdata)
    new = sd.SpatialData(
        images=dict(sdata.images), shapes=dict(sdata.shapes), tables=dict(sdata.tables), attrs=sdata.attrs
    )
    target = store.with_name("changed.zarr")
    new.write(target)
    shutil.rmtree(store)
    return target


def test_rows_meet_their_circles(tmp_path: Path) -> None:
    (one,) = read(spatialdata(tmp_path / "slide1"))
    assert (one.name, one.patient, one.genes) == ("slide1", "P3", GENES) and one.counts is not None
    row = {spot: k for k, spot in enumerate(one.spots.ids)}
    order = [row[f"bc{j}"] for j in range(36)]  # the table is shuffled against the circles
    assert np.array_equal(one.counts.toarray()[order], counts(36, 5))
    assert np.allclose(one.spots.xy_um[order], lattice(6, 400.0) * 0.25) and one.spots.diameter_um == pytest.approx(55)


def test_a_reduced_image_has_its_own_scale_and_is_copied_out_once(tmp_path: Path) -> None:
    (one,) = read(spatialdata(tmp_path / "slide1"))
    assert one.image and one.image.mpp == pytest.approx(2.5) and one.image.path.parent == tmp_path / "eosin-cache"
    expected = np.random.default_rng(1).integers(0, 255, (3, 300, 400), dtype=np.uint8)
    assert np.array_equal(tifffile.imread(one.image.path), np.moveaxis(expected, 0, -1))
    assert any("reduced 10 times: 2.5 µm/px" in note for note in one.notes)
    before = one.image.path.stat().st_mtime_ns
    again = read(tmp_path / "slide1.zarr")[0].image
    assert again == one.image and again.path.stat().st_mtime_ns == before


def test_a_given_scale_is_that_of_the_full_resolution(tmp_path: Path) -> None:
    (one,) = read(spatialdata(tmp_path / "slide1"), mpp=0.5)
    assert one.image and one.image.mpp == pytest.approx(5.0) and one.spots.diameter_um == pytest.approx(110)


def test_a_reduced_image_alone_as_spatialdata_io_keeps_visium(tmp_path: Path) -> None:
    """Shapes in pixels of a slide that is not there; the image's own pixels are the system in which they meet."""

    def hires_only(sdata: sd.SpatialData) -> None:
        set_transformation(sdata["he"], {"downscaled_hires": Identity()}, set_all=True)
        reduced = {"global": Identity(), "downscaled_hires": Scale([0.1, 0.1], axes=("x", "y"))}
        set_transformation(sdata.shapes["circles"], reduced, set_all=True)

    (one,) = read(changed(spatialdata(tmp_path / "slide1"), hires_only), mpp=0.5)
    row = [one.spots.ids.index(f"bc{j}") for j in range(36)]
    assert np.allclose(one.spots.xy_um[row], lattice(6, 400.0) * 0.5) and one.spots.diameter_um == pytest.approx(110)
    assert one.image and one.image.mpp == pytest.approx(5.0)
    assert any("reduced 10 times: 5 µm/px" in note for note in one.notes)


def test_scale_from_a_system_in_um_or_not_at_all(tmp_path: Path) -> None:
    def microns(sdata: sd.SpatialData) -> None:
        sdata.attrs.clear()
        set_transformation(sdata.shapes["circles"], Scale([0.2, 0.2], axes=("x", "y")), "microns")

    (one,) = read(changed(spatialdata(tmp_path / "slide1"), microns))
    assert one.spots.diameter_um == pytest.approx(44.0) and one.image and one.image.mpp == pytest.approx(2.0)
    store = changed(spatialdata(tmp_path / "other" / "slide2"), lambda sdata: sdata.attrs.clear())
    with pytest.raises(EosinError, match=r"changed\.zarr: does not say the scale of its shapes.*--mpp"):
        read(store)


def test_shapes_and_image_may_each_be_shifted(tmp_path: Path) -> None:
    """The image begins at (300, 100), and the shapes are moved by (50, 70), another way in x than in y."""

    def shift(sdata: sd.SpatialData) -> None:
        placed = Sequence([Scale([10.0, 10.0], axes=("x", "y")), Translation([300.0, 100.0], axes=("x", "y"))])
        set_transformation(sdata.images["he"], placed, "global")
        set_transformation(sdata.shapes["circles"], Translation([50.0, 70.0], axes=("x", "y")), "global")

    (one,) = read(changed(spatialdata(tmp_path / "slide1"), shift))
    row = [one.spots.ids.index(f"bc{j}") for j in range(36)]
    assert np.allclose(one.spots.xy_um[row], (lattice(6, 400.0) + np.array([50 - 300, 70 - 100])) * 0.25)
    assert one.spots.diameter_um == pytest.approx(55)


def test_a_sheared_image_is_refused(tmp_path: Path) -> None:
    def shear(sdata: sd.SpatialData) -> None:
        matrix = [[10.0, 0, 0], [0, 12.0, 0], [0, 0, 1]]
        set_transformation(sdata.images["he"], Affine(matrix, input_axes=("x", "y"), output_axes=("x", "y")), "global")

    with pytest.raises(EosinError, match="differ in scale"):
        read(changed(spatialdata(tmp_path / "slide1"), shear))


def test_a_slide_beside_the_store_is_taken_as_wsidata_keeps_it(tmp_path: Path) -> None:
    store = changed(spatialdata(tmp_path / "slide1"), lambda sdata: sdata.images.clear())
    slide = placeholder(tmp_path / "changed.svs")
    (one,) = read(store)
    assert one.image == Image(slide, 0.25)
    slide.unlink()
    assert read(store)[0].image is None


def test_squares_and_several_regions(tmp_path: Path) -> None:
    from shapely import box

    def two(sdata: sd.SpatialData) -> None:
        import geopandas

        squares = [box(x - 40, y - 40, x + 40, y + 40) for x, y in lattice(6, 400.0)]
        frame = geopandas.GeoDataFrame(geometry=squares, index=[f"sq{j}" for j in range(36)])
        sdata.shapes["squares"] = ShapesModel.parse(frame)
        table = sdata.tables["table"]
        other = table.copy()
        other.obs["id"], other.obs["region"] = [f"sq{j}" for j in range(36)], pd.Categorical(["squares"] * 36)
        other.obs_names = list(other.obs["id"])
        both = __import__("anndata").concat([table, other], merge="same")
        both.uns = {}
        sdata.tables["table"] = TableModel.parse(
            both, region=["circles", "squares"], region_key="region", instance_key="id"
        )

    found = read(changed(spatialdata(tmp_path / "slide1"), two))
    assert [one.name for one in found] == ["changed-circles", "changed-squares"]
    assert found[1].spots.diameter_um == pytest.approx(20.0) and len(found[1]) == 36
    assert np.allclose(found[1].spots.xy_um, lattice(6, 400.0) * 0.25)


def test_section_there_and_back(tmp_path: Path) -> None:
    given = section("A1", "A", 0, placeholder(tmp_path / "he.svs"))
    write_spatialdata(given, tmp_path / "other.zarr")
    (one,) = read(tmp_path / "other.zarr")
    assert (one.name, one.patient, one.platform, one.image) == ("A1", "A", "test", given.image)
    assert one.fingerprint() == given.fingerprint() or np.allclose(one.spots.xy_um, given.spots.xy_um, atol=1e-6)
    assert one.counts is not None and given.counts is not None and (one.counts != given.counts).nnz == 0
    assert one.domains == given.domains and one.spots.diameter_um == pytest.approx(100.0)


def prediction(tmp_path: Path) -> Prediction:
    spots = Spots(lattice(4, 100.0), 55.0, tuple(f"s{i}" for i in range(16)))
    draws = np.random.default_rng(0).normal(size=(3, 16, 5)).astype(np.float32)
    return Prediction("A1", spots, GenePanel(GENES[:5]), draws, "stflow", 1, Image(tmp_path / "he.svs", 0.5))


def test_prediction_is_what_scverse_expects(tmp_path: Path) -> None:
    given = prediction(tmp_path)
    small = Thumbnails(np.full((60, 80, 3), 7, np.uint8), np.zeros((6, 8, 3), np.uint8), 25.0, 250.0)
    write_spatialdata(given, tmp_path / "out.zarr", draws=True, thumbnails=small)
    sdata = sd.read_zarr(tmp_path / "out.zarr")
    table = sdata.tables["stflow_spots"]
    assert np.allclose(table.X, given.mean) and np.allclose(table.layers["std"], given.sd)
    assert np.array_equal(table.obsm["draws"][:, 2], given.draws[2])
    assert table.uns["spatialdata_attrs"] == {"region": "spots", "region_key": "region", "instance_key": "spot_id"}
    circles, matched = sd.match_element_to_table(sdata, "spots", "stflow_spots")
    assert list(circles["spots"].index) == list(matched.obs_names) == list(given.spots.ids)
    for system, unit in (("global", 2.0), ("um", 1.0)):
        drawn = sd.transform(circles["spots"], to_coordinate_system=system)
        xy = np.stack([drawn.geometry.x, drawn.geometry.y], 1)
        assert np.allclose(xy, given.spots.xy_um * unit) and np.allclose(drawn["radius"], 27.5 * unit)
    extent = sd.get_extent(sdata.images["thumbnail"], coordinate_system="global")
    assert extent["x"] == (0, 80 * 25 / 0.5) and extent["y"] == (0, 60 * 25 / 0.5)


def test_a_prediction_is_no_section(tmp_path: Path) -> None:
    write_spatialdata(prediction(tmp_path), tmp_path / "out.zarr")
    with pytest.raises(EosinError, match="holds no sections"):
        read(tmp_path / "out.zarr")


def test_what_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sd.SpatialData, "write", lambda *_, **__: (_ for _ in ()).throw(OSError(28, "full")))
    with pytest.raises(EosinError, match="the disk is full"):
        write_spatialdata(prediction(tmp_path), tmp_path / "out.zarr")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_of_stores(tmp_path: Path) -> None:
    for name in ("b", "a"):
        write_spatialdata(section(name), tmp_path / f"{name}.zarr")
    assert [one.name for one in read(tmp_path)] == ["a", "b"]


def test_without_the_package_one_line_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = spatialdata(tmp_path / "slide1")
    monkeypatch.setitem(sys.modules, "spatialdata", None)
    assert recognise(store)[0].name == "spatialdata"
    with pytest.raises(EosinError, match=r"needs the package spatialdata.*eosin\[scverse\]"):
        read(store)
    with pytest.raises(EosinError, match=r"eosin\[scverse\]"):
        write_spatialdata(section(), tmp_path / "out.zarr")


def test_an_array_that_declares_a_terabyte_is_refused(tmp_path: Path) -> None:
    store = spatialdata(tmp_path / "slide1")
    root = json.loads((store / "zarr.json").read_text())
    consolidated = root["consolidated_metadata"]["metadata"]
    key = next(key for key in consolidated if key.endswith("X/data"))
    for facts, file in ((consolidated[key], None), (json.loads((store / key / "zarr.json").read_text()), store / key)):
        facts["shape"] = [10**12]
        shards = [codec for codec in facts["codecs"] if codec["name"] == "sharding_indexed"]
        inner = shards[0]["configuration"]["chunk_shape"][0] if shards else 1  # must divide the chunk, in newer zarr
        facts["chunk_grid"]["configuration"]["chunk_shape"] = [10**9 // inner * inner]
        if file is not None:
            (file / "zarr.json").write_text(json.dumps(facts))
    (store / "zarr.json").write_text(json.dumps(root))
    with pytest.raises(EosinError, match=r"declares .* GB and holds"):
        read(store)


def test_labels_instead_of_shapes_are_not_taken(tmp_path: Path) -> None:
    def pointless(sdata: sd.SpatialData) -> None:
        table = sdata.tables["table"]
        table.obs["id"] = [f"other{j}" for j in range(36)]

    with pytest.raises(EosinError, match="table 'table' names no shape of 'circles'"):
        read(changed(spatialdata(tmp_path / "slide1"), pointless))


def test_image_of_other_depth_is_not_taken_for_a_slide(tmp_path: Path) -> None:
    def deep(sdata: sd.SpatialData) -> None:
        sdata.images["he"] = Image2DModel.parse(np.zeros((3, 30, 40), np.uint16), dims=("c", "y", "x"))

    (one,) = read(changed(spatialdata(tmp_path / "slide1"), deep))
    assert one.image is None and any("no RGB image" in note for note in one.notes)


def test_spots_beside_the_tissue_are_left_out_with_their_circles(tmp_path: Path) -> None:
    whole = read(spatialdata(tmp_path / "slide1"))[0]

    def off(sdata) -> None:
        sdata.tables["table"].obs["in_tissue"] = (np.arange(36) > 5).astype(int)

    (one,) = read(changed(tmp_path / "slide1.zarr", off))
    place = dict(zip(whole.spots.ids, whole.spots.xy_um.tolist()))
    assert one.spots.ids == whole.spots.ids[6:] and one.spots.xy_um.tolist() == [place[spot] for spot in one.spots.ids]
    assert "6 of 36 spots are not in tissue and were left out" in one.notes


def test_two_scales_are_said(tmp_path: Path) -> None:
    (one,) = read(spatialdata(tmp_path / "slide1"), mpp=0.5)
    assert any("--mpp says 0.5 µm per pixel of the slide, slide_properties 0.25" in note for note in one.notes)
    (one,) = read(tmp_path / "slide1.zarr", mpp=0.25)
    assert not any("slide_properties" in note for note in one.notes)
