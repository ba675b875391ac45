"""OME-Zarr as a slide: colours, places, scale, levels; which folders are one, and what others are told."""

from __future__ import annotations

import json
import logging
import re
import shutil
import zipfile
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import zarr

from eosin.errors import EosinError
from eosin.slide import open_slide, scale_of, size_px_of
from eosin.slide.slide_path import is_slide_folder
from unit.slide import pictures
from unit.slide.zarr_files import axes_of, save_zarr

MPP = 0.5
PLACES = np.random.default_rng(0).integers(20, (280, 220), (10, 2))
"""Whole pixels (x, y)."""


@pytest.fixture
def pixels() -> np.ndarray:
    return pictures.painted(300, 240, MPP)


def differ(path: Path, flat: np.ndarray) -> int:
    """Greatest difference of a window of 8 px around each place from the flat picture [h w 3]."""
    with open_slide(path, mpp=MPP) as slide:
        assert slide.size_px == flat.shape[1::-1]
        windows = [(slide.read((x * MPP, y * MPP), 8 * MPP, 8).astype(int), x, y) for x, y in PLACES]
    return max(int(np.abs(got - flat[y - 4 : y + 4, x - 4 : x + 4]).max()) for got, x, y in windows)


def flat(folder: Path) -> np.ndarray:
    """The picture [h w 3] of an array [1 3 1 h w] in chunks [1 1 1 c c], which imagecodecs decodes; zarr reads none."""
    v3 = (folder / "zarr.json").is_file()
    facts = json.loads((folder / ("zarr.json" if v3 else ".zarray")).read_text())
    _, n_channels, _, height, width = facts["shape"]
    side = (facts["chunk_grid"]["configuration"]["chunk_shape"] if v3 else facts["chunks"])[-1]
    codec = facts["codecs"][-1]["name"] if v3 else facts["compressor"]["id"]
    decode = {"zstd": imagecodecs.zstd_decode, "blosc": imagecodecs.blosc_decode}[codec]
    whole = np.zeros((n_channels, -(-height // side) * side, -(-width // side) * side), np.uint8)
    n_files = 0
    for file in folder.rglob("*"):
        if file.is_file() and not file.name.startswith((".", "zarr")):
            key = re.split(r"[./]", file.relative_to(folder).as_posix().removeprefix("c/"))
            _, channel, _, row, column = map(int, key)
            tile = np.frombuffer(decode(file.read_bytes()), np.uint8).reshape(side, side)
            whole[channel, row * side : (row + 1) * side, column * side : (column + 1) * side] = tile
            n_files += 1
    assert n_files == 3 * (whole.shape[1] // side) * (whole.shape[2] // side)
    return whole[:, :height, :width].transpose(1, 2, 0)


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_colours_are_those_of_a_flat_decoding(tmp_path: Path, pixels: np.ndarray, version: str) -> None:
    path = save_zarr(tmp_path / "s.ome.zarr", pixels, MPP, version=version)
    assert differ(path, flat(path / "0")) == 0
    with open_slide(path) as slide:
        assert (slide.library, slide.mpp) == ("zarr", MPP)


ORDERS = ["tczyx", "czyx", "cyx", "yxc", "zyxc", "xyc", "cxy", "ycx", "xcyzt", "cztxy"]


@pytest.mark.parametrize("version", ["0.4", "0.5"])
@pytest.mark.parametrize("axes", ORDERS)
def test_axes_in_any_order(tmp_path: Path, pixels: np.ndarray, axes: str, version: str) -> None:
    path = save_zarr(tmp_path / "s.zarr", pixels, (MPP, 0.504), axes=axes, version=version)
    assert differ(path, pixels) == 0
    assert scale_of(path) == pytest.approx(np.sqrt(MPP * 0.504))
    with open_slide(path) as slide:
        assert [level.width for level in slide._source.levels] == [300, 150, 75]


@pytest.mark.parametrize(
    ("unit", "scale", "mpp"),
    [
        ("micrometer", 0.25, 0.25),
        ("nanometer", 250, 0.25),
        ("millimeter", 0.00025, 0.25),
        ("MICROMETER", 0.25, 0.25),
        ("inch", 0.25, None),
        (None, 0.25, None),
        ("micrometer", None, None),
        ("micrometer", (0.25, 0.3), None),
        ("micrometer", 1000.0, None),
    ],
)
@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_scale(tmp_path: Path, pixels: np.ndarray, unit, scale, mpp, version: str) -> None:
    path = save_zarr(tmp_path / "s.zarr", pixels, scale, unit=unit, version=version, n_levels=1)
    assert scale_of(path) == (None if mpp is None else pytest.approx(mpp))
    if mpp is None:
        with pytest.raises(EosinError, match=r"s\.zarr: .*(does not say|not square|no microscope).*--mpp"):
            open_slide(path)
    open_slide(path, mpp=0.4).close()


def test_transformations_of_all_levels_come_after_their_own(tmp_path: Path, pixels: np.ndarray) -> None:
    """The scale of a level may stand in two places, which multiply."""
    common = [{"type": "scale", "scale": [1, 1, 1, 0.25, 0.25]}]
    assert scale_of(save_zarr(tmp_path / "s.zarr", pixels, 2.0, common=common)) == pytest.approx(0.5)


def test_translation_of_the_picture_on_the_stage_moves_nothing(tmp_path: Path, pixels: np.ndarray) -> None:
    """Positions are from the picture's own corner. Levels are shifted by half a pixel, as centres are, or not."""
    for name, shifts in {"centres": (0, 0.25, 0.75), "corners": (0, 0, 0)}.items():
        moved = [(5000 + shift, -300 + shift) for shift in shifts]
        path = save_zarr(tmp_path / f"{name}.zarr", pixels, MPP, translations=moved)
        with open_slide(path) as slide:
            assert len(slide._source.levels) == 3
            assert np.array_equal(slide.read((50.0, 50.0), 20.0, 40), pixels[80:120, 80:120])
            quarter = pictures.halved(pictures.halved(pixels))
            assert np.array_equal(slide.read((74.0, 60.0), 80.0, 40), quarter[10:50, 17:57])


def test_levels_of_another_place_or_shape_are_not_used(tmp_path: Path, pixels: np.ndarray, caplog) -> None:
    caplog.set_level(logging.INFO, "eosin")
    moved = save_zarr(tmp_path / "moved.zarr", pixels, MPP, translations=[(0, 0), (100, 0), (0, 0)])
    with open_slide(moved) as slide:
        assert [level.downsample for level in slide._source.levels] == [1.0, 4.0]
    assert "level '1' is not the same picture at another scale" in caplog.text
    cropped = save_zarr(tmp_path / "cropped.zarr", pixels, MPP)
    shutil.rmtree(cropped / "1")
    zarr.open_group(cropped).create_array("1", data=np.zeros((1, 3, 1, 120, 90), np.uint8), chunks=(1, 1, 1, 64, 64))
    with open_slide(cropped) as slide:
        assert [level.downsample for level in slide._source.levels] == [1.0, 4.0]


def test_channels_go_by_their_colours_or_names(tmp_path: Path, pixels: np.ndarray, caplog) -> None:
    told = {
        "colours": [{"color": "0000FF"}, {"color": "00ff00", "label": "1"}, {"color": "FF0000", "label": "2"}],
        "names": [{"label": "Blue"}, {"label": "green"}, {"label": "R"}],
    }
    for name, channels in told.items():
        path = save_zarr(tmp_path / f"{name}.zarr", pixels[..., ::-1], MPP, omero={"channels": channels})
        assert differ(path, pixels) == 0
    assert not caplog.records
    stains = [{"label": "DAPI"}, {"label": "CD3"}, {"label": "CD8"}]
    path = save_zarr(tmp_path / "stains.zarr", pixels, MPP, omero={"channels": stains})
    assert differ(path, pixels) == 0
    assert "three channels called DAPI, CD3, CD8 are taken for red, green and blue" in caplog.text


@pytest.mark.parametrize(
    ("picture", "axes", "told"),
    [
        (lambda px: px[..., :1], "cyx", "1 channel, not the three of an RGB image; export it as 8-bit RGB"),
        (lambda px: px[..., 0], "yx", "1 channel, not the three"),
        (lambda px: np.dstack([px, px])[..., :4], "cyx", "4 channels, not the three"),
        (lambda px: px.astype(np.uint16), "cyx", "pixels of type uint16, not 8-bit; export it as 8-bit RGB"),
        (lambda px: px.astype(np.float32), "cyx", "pixels of type float32, not 8-bit"),
    ],
)
def test_what_is_no_rgb_of_8_bit_is_refused(tmp_path: Path, pixels: np.ndarray, picture, axes: str, told: str) -> None:
    given = picture(pixels)
    path = save_zarr(tmp_path / "s.zarr", given if given.ndim == 3 else given[..., None], MPP, axes="cyx", n_levels=1)
    if axes == "yx":
        path = tmp_path / "grey.zarr"
        group = zarr.open_group(path, mode="w", zarr_format=2)
        group.create_array("0", data=given)
        group.attrs["multiscales"] = [{"axes": ["y", "x"], "datasets": [{"path": "0"}]}]
    with pytest.raises(EosinError, match=rf"zarr: {told}"):
        open_slide(path, mpp=MPP)


@pytest.mark.parametrize(("axis", "told"), [("t", "2 points in time"), ("z", "2 planes in depth")])
def test_stacks_are_refused(tmp_path: Path, pixels: np.ndarray, axis: str, told: str) -> None:
    path = save_zarr(tmp_path / "s.zarr", pixels, MPP, axes="tczyx", n_levels=1)
    shutil.rmtree(path / "0")
    shape = tuple(2 if one == axis else size for one, size in zip("tczyx", (1, 3, 1, 64, 64)))
    zarr.open_group(path).create_array("0", data=np.zeros(shape, np.uint8), chunks=shape)
    with pytest.raises(EosinError, match=rf"s\.zarr: a stack of {told}, not one picture; export one of them"):
        open_slide(path)


def test_shards_and_chunks_that_were_not_stored(tmp_path: Path, pixels: np.ndarray) -> None:
    """Chunks of nothing but the fill value are not stored: they are of that value, as for every reader of zarr."""
    path = save_zarr(tmp_path / "s.zarr", pixels, MPP, axes="cyx", n_levels=1)
    shutil.rmtree(path / "0")
    black = pixels.copy()
    black[:64, :64] = 0
    options = {"chunks": (3, 32, 32), "shards": (3, 128, 128), "fill_value": 0}
    zarr.open_group(path).create_array("0", data=black.transpose(2, 0, 1).copy(), **options)
    assert differ(path, black) == 0


def test_bioformats2raw_and_labels(tmp_path: Path, pixels: np.ndarray) -> None:
    """Of several series the first; the label and the macro picture are others. A folder of labels is not looked at."""
    path = tmp_path / "s.zarr"
    zarr.open_group(path, mode="w", zarr_format=2).attrs["bioformats2raw.layout"] = 3
    save_zarr(path / "0", pixels, MPP, version="0.4")
    save_zarr(path / "1", pixels[:90, :90], MPP, version="0.4")
    labels = zarr.open_group(path / "0" / "labels", mode="w", zarr_format=2)
    labels.attrs["labels"] = ["cells"]
    labels.create_array("cells", data=np.zeros((240, 300), np.int32))
    assert differ(path, pixels) == 0
    assert scale_of(path) == MPP


def test_earlier_versions_have_five_axes_and_no_scale(tmp_path: Path, pixels: np.ndarray) -> None:
    for version, axes in (("0.3", list("tczyx")), ("0.1", None)):
        path = save_zarr(tmp_path / f"{version}.zarr", pixels, None, version="0.4")
        facts = json.loads((path / ".zattrs").read_text())
        facts["multiscales"][0] |= {"version": version, "axes": axes}
        (path / ".zattrs").write_text(json.dumps(facts))
        assert differ(path, pixels) == 0
        assert scale_of(path) is None


def test_a_plate_and_axes_that_are_no_picture(tmp_path: Path, pixels: np.ndarray) -> None:
    zarr.open_group(tmp_path / "plate.zarr", mode="w", zarr_format=2).attrs["plate"] = {"wells": []}
    with pytest.raises(EosinError, match=r"plate\.zarr: a plate of many images; give the image of one field"):
        open_slide(tmp_path / "plate.zarr")
    path = save_zarr(tmp_path / "s.zarr", pixels, MPP, axes="cyx", version="0.4")
    facts = json.loads((path / ".zattrs").read_text())
    facts["multiscales"][0]["axes"][0]["name"] = "angle"
    (path / ".zattrs").write_text(json.dumps(facts))
    with pytest.raises(EosinError, match=r"has axes angle, y, x, not those of a picture"):
        open_slide(path)


def test_other_stores_of_zarr_are_no_slides(tmp_path: Path, pixels: np.ndarray) -> None:
    """SpatialData and AnnData: readers take them. Their images lie deeper, and can be given by their own path."""
    for version in ("0.4", "0.5"):
        store = tmp_path / f"{version}.zarr"
        zarr.open_group(store, mode="w", zarr_format=3 if version == "0.5" else 2).attrs["spatialdata_attrs"] = {}
        save_zarr(store / "images" / "he", pixels, MPP, axes="cyx", version=version)
        assert not is_slide_folder(store)
        with pytest.raises(EosinError, match=r"a zarr store that is no OME-Zarr image; give the group in it"):
            open_slide(store)
        assert differ(store / "images" / "he", pixels) == 0
    assert not is_slide_folder(tmp_path)
    with pytest.raises(EosinError, match=r"a folder, not an image"):
        open_slide(tmp_path)


def test_a_folder_around_one_names_it(tmp_path: Path, pixels: np.ndarray) -> None:
    """As `unzip -d` makes it where the archive holds the folder itself."""
    save_zarr(tmp_path / "s.ome.zarr" / "s.ome.zarr", pixels, MPP)
    with pytest.raises(EosinError, match=r"a folder, not an image; give one in it, as .*s\.ome\.zarr/s\.ome\.zarr"):
        open_slide(tmp_path / "s.ome.zarr")


def test_zip_is_refused_with_the_command_that_unpacks_it(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "s.zarr.zip", "w") as archive:
        archive.writestr("zarr.json", "{}")
    with pytest.raises(EosinError, match=r"s\.zarr\.zip: a zip archive, which is not read; unpack it, as by: unzip IN"):
        open_slide(tmp_path / "s.zarr.zip")


HOSTILE = {
    "dots": lambda m: m["datasets"][0].update(path="../../elsewhere"),
    "absolute": lambda m: m["datasets"][0].update(path="/etc"),
    "missing": lambda m: m["datasets"][1].update(path="7"),
    "no datasets": lambda m: m.update(datasets=[]),
    "no list": lambda m: m.update(datasets=3),
    "short scale": lambda m: m["datasets"][0]["coordinateTransformations"][0].update(scale=[1.0]),
    "words": lambda m: m["datasets"][0]["coordinateTransformations"][0].update(scale=["a"] * 5),
    "infinite": lambda m: m["datasets"][0]["coordinateTransformations"][0].update(scale=[float("inf")] * 5),
    "axes": lambda m: m.update(axes=[{"name": "y"}, {"name": "x"}]),
    "axis twice": lambda m: m.update(axes=[{"name": name} for name in "ccyxx"]),
    "axes in numbers": lambda m: m.update(axes=5),
    "transformations": lambda m: m.update(coordinateTransformations=3),
}


@pytest.mark.parametrize("version", ["0.4", "0.5"])
@pytest.mark.parametrize("what", HOSTILE)
def test_hostile_metadata_are_one_line(tmp_path: Path, pixels: np.ndarray, what: str, version: str) -> None:
    path = save_zarr(tmp_path / "s.zarr", pixels, MPP, version=version)
    file = path / ("zarr.json" if version == "0.5" else ".zattrs")
    facts = json.loads(file.read_text())
    inner = facts["attributes"]["ome"] if version == "0.5" else facts
    HOSTILE[what](inner["multiscales"][0])
    file.write_text(json.dumps(facts))
    with pytest.raises(EosinError) as refused:
        open_slide(path)
    assert "\n" not in str(refused.value)
    assert "s.zarr" in str(refused.value)


def _array_facts(path: Path, **facts: object) -> None:
    """Change what the array of the full resolution (format 2) says of itself."""
    file = path / "0" / ".zarray"
    file.write_text(json.dumps(json.loads(file.read_text()) | facts))


def test_hostile_arrays_are_refused(tmp_path: Path, pixels: np.ndarray) -> None:
    cases = {
        "hollow": ({"shape": [1, 3, 1, 10**6, 10**6]}, "claims 1000000 x 1000000 px in a folder of"),
        "pickle": ({"filters": [{"id": "pickle"}]}, "pickle"),
        "bomb": ({"chunks": [1, 3, 1, 10**5, 10**5]}, "claims chunks of 30,000,000,000 bytes"),
        "empty": ({"shape": [1, 3, 1, 0, 300]}, "claims 300 x 0 px"),
    }
    for name, (facts, told) in cases.items():
        path = save_zarr(tmp_path / f"{name}.zarr", pixels, MPP, version="0.4", n_levels=1)
        _array_facts(path, **facts)
        with pytest.raises(EosinError, match=told):
            open_slide(path)
    outside = save_zarr(tmp_path / "outside.zarr", pixels, MPP, n_levels=1)
    link = save_zarr(tmp_path / "link.zarr", pixels, MPP, n_levels=1)
    shutil.rmtree(link / "0")
    (link / "0").symlink_to(outside / "0")
    with pytest.raises(EosinError, match="a link that leads out of it"):
        open_slide(link)


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_damaged_chunks_are_one_line_and_leave_the_others_readable(tmp_path: Path, pixels, version: str) -> None:
    path = save_zarr(tmp_path / "s.zarr", pixels, MPP, version=version, n_levels=1)
    files = [file for file in (path / "0").rglob("*") if file.is_file() and not file.name.startswith((".", "zarr"))]
    first = min(files, key=lambda file: (len(file.name), str(file)))
    for content in (b"", first.read_bytes()[:20], b"\xff" * 500):
        first.write_bytes(content)
        with open_slide(path) as slide:
            with pytest.raises(EosinError, match=r"s\.zarr: cannot be decoded"):
                slide.read((10.0, 10.0), 10.0, 20)
            assert np.array_equal(slide.read((100.0, 80.0), 10.0, 20), pixels[150:170, 190:210])


def test_only_the_chunks_of_a_window_are_read(tmp_path: Path, pixels: np.ndarray) -> None:
    """Memory and time are those of the window: chunks elsewhere may as well be damaged."""
    path = save_zarr(tmp_path / "s.zarr", pixels, MPP, version="0.4", n_levels=1, chunk=64)
    kept = {f"0.{c}.0.1.1" for c in range(3)} | {f"0/{c}/0/1/1" for c in range(3)}
    for file in (path / "0").rglob("*"):
        if file.is_file() and not file.name.startswith(".") and str(file.relative_to(path / "0")) not in kept:
            file.write_bytes(b"\xff")
    with open_slide(path) as slide:
        assert np.array_equal(slide.read((48.0, 48.0), 16.0, 32), pixels[80:112, 80:112])


def test_the_size_is_looked_up_again_after_a_change(tmp_path: Path, pixels: np.ndarray) -> None:
    path = save_zarr(tmp_path / "s.zarr", pixels, MPP)
    assert size_px_of(path) == (300, 240)
    shutil.rmtree(path)
    save_zarr(path, pixels[:100], MPP)
    assert size_px_of(path) == (300, 100)


def test_threads_read_the_same(tmp_path: Path, pixels: np.ndarray) -> None:
    path = save_zarr(tmp_path / "s.zarr", pixels, MPP)
    centres = np.random.default_rng(1).uniform(20, 100, (64, 2))
    with open_slide(path) as slide:
        many = slide.read_many(centres, 12.0, 24)
        for centre, window in zip(centres, many):
            assert np.array_equal(window, slide.read(centre, 12.0, 24))


def test_what_other_libraries_write(tmp_path: Path, pixels: np.ndarray) -> None:
    """By ome-zarr, as most converters in Python do; and the image of a store of SpatialData, which says no scale."""
    pytest.importorskip("ome_zarr")
    spatialdata = pytest.importorskip("spatialdata")
    from ome_zarr.writer import write_image, write_multiscale

    group = zarr.open_group(tmp_path / "s.zarr", mode="w")
    scale = [{"type": "scale", "scale": [1.0, MPP * 2**i, MPP * 2**i]} for i in range(3)]
    levels = [pixels, pictures.halved(pixels), pictures.halved(pictures.halved(pixels))]
    given = {"axes": axes_of("cyx", "micrometer"), "coordinate_transformations": [[one] for one in scale]}
    write_multiscale([np.moveaxis(level, -1, 0) for level in levels], group, **given)
    assert differ(tmp_path / "s.zarr", pixels) == 0 and scale_of(tmp_path / "s.zarr") == MPP
    write_image(np.moveaxis(pixels, -1, 0), zarr.open_group(tmp_path / "plain.zarr", mode="w"), axes="cyx")
    assert differ(tmp_path / "plain.zarr", pixels) == 0 and scale_of(tmp_path / "plain.zarr") is None
    image = spatialdata.models.Image2DModel.parse(np.moveaxis(pixels, -1, 0), dims=("c", "y", "x"), scale_factors=[2])
    spatialdata.SpatialData(images={"he": image}).write(tmp_path / "sdata.zarr")
    assert differ(tmp_path / "sdata.zarr" / "images" / "he", pixels) == 0
    assert not is_slide_folder(tmp_path / "sdata.zarr")
