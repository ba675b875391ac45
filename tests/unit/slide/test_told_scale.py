"""A scale that a slide states twice is compared, whatever the format; what no scanner writes is passed over."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import numpy as np
import pytest
import tifffile

from eosin.errors import EosinError
from eosin.slide import open_slide, scale_of
from eosin.slide.czi import power_of_czi
from eosin.slide.opening import _warn_of_power
from eosin.slide.told_scale import ToldScale, contradiction_of, scale_of_leica
from unit.slide.dicom_files import save_dicom
from unit.slide.pictures import painted
from unit.slide.scanner_files import save_aperio, save_leica, save_philips, tags_of
from unit.slide.zarr_files import save_zarr

PIXELS = painted(300, 260, 0.5)
SAVE = {"a.svs": save_aperio, "a.tiff": save_philips, "a.scn": save_leica}


@pytest.mark.parametrize("name", SAVE)
def test_scanners_metadata_and_tags_must_agree(tmp_path: Path, name: str) -> None:
    file = SAVE[name](tmp_path / name, PIXELS, 0.5, 0.25)
    with pytest.raises(EosinError, match=r"say 0\.(5|25) µm per pixel, its .* 0\.(25|5); give the scale by --mpp"):
        open_slide(file)
    assert scale_of(file) is None
    with open_slide(file, mpp=0.5) as slide:
        assert (slide.mpp, slide.library) == (0.5, "OpenSlide")


@pytest.mark.parametrize("name", ["a.svs", "a.tiff"])
@pytest.mark.parametrize("tag_um", [None, 0.5, 0.51, 25_400 / 72, 25_400 / 300])
def test_tags_that_agree_or_are_printing_defaults_say_nothing(tmp_path: Path, name: str, tag_um: float | None) -> None:
    assert scale_of(SAVE[name](tmp_path / name, PIXELS, 0.5, tag_um)) == 0.5


def test_a_mixed_up_unit_is_named(tmp_path: Path) -> None:
    """libvips wrote pixels per centimetre as pixels per inch for a while (libvips, pull request 4669)."""
    file = save_aperio(tmp_path / "a.svs", PIXELS, 0.499, 0.499 * 2.54)
    with pytest.raises(EosinError, match=r"its tags of resolution 1\.267 \(2\.54 x: inches and centimetres\?\)"):
        open_slide(file)


@pytest.mark.parametrize("tag_um", [None, 25_400 / 96])
def test_mpp_in_the_description_of_another_maker_is_read(tmp_path: Path, tag_um: float | None) -> None:
    """As Motic's SVS has it (openslide, issue 228), which OpenSlide takes for a TIFF of nobody."""
    file = save_aperio(tmp_path / "m.svs", PIXELS, 0.25729, tag_um, maker="Motic V1")
    with open_slide(file) as slide:
        assert slide.mpp == 0.25729
    save_aperio(file, PIXELS, 0.25729, 0.5, maker="Motic V1")
    with pytest.raises(EosinError, match=r"its tags of resolution say 0\.5 µm per pixel, its description 0\.2573"):
        open_slide(file)


@pytest.mark.parametrize("text", ["MPP = 0.25", "a|MPP = fast|", "pixel 0.25 um", '{"PhysicalSizeX": 0.25}', "{"])
def test_other_words_are_no_scale(tmp_path: Path, text: str) -> None:
    tifffile.imwrite(tmp_path / "a.tif", PIXELS, photometric="rgb", tile=(128, 128), description=text, metadata=None)
    assert scale_of(tmp_path / "a.tif") is None


def test_what_tifffile_was_told_beside_the_shape(tmp_path: Path) -> None:
    sizes = {f"PhysicalSize{axis}": 250.0 for axis in "XY"} | {f"PhysicalSize{axis}Unit": "nm" for axis in "XY"}
    options = {"photometric": "rgb", "tile": (128, 128), "metadata": sizes}
    tifffile.imwrite(tmp_path / "a.tif", PIXELS, **options)
    assert scale_of(tmp_path / "a.tif") == 0.25
    tifffile.imwrite(tmp_path / "b.tif", PIXELS, **options, **tags_of(0.5))
    with pytest.raises(EosinError, match=r"its tags of resolution say 0\.5 µm per pixel, its description 0\.25"):
        open_slide(tmp_path / "b.tif")


def vips_text(mpp: float, width: int) -> str:
    """What libvips writes of the slide that it read."""
    facts = {"openslide.mpp-x": mpp, "openslide.mpp-y": mpp}
    facts |= {"openslide.level[0].width": width, "openslide.level[0].height": 260}
    said = [
        f'<property><name>{key}</name><value type="VipsRefString">{n}</value></property>' for key, n in facts.items()
    ]
    return f"<?xml version='1.0'?><image><properties>{''.join(said)}</properties></image>"


@pytest.mark.parametrize(("width", "disagree"), [(300, True), (600, False)])
def test_properties_that_libvips_copied(tmp_path: Path, width: int, *, disagree: bool) -> None:
    """Of a slide of this size they tell its scale; of one that was cut or reduced they do not."""
    options = {"photometric": "rgb", "tile": (128, 128), "metadata": None, "description": vips_text(0.25, width)}
    tifffile.imwrite(tmp_path / "a.tif", PIXELS, **options, **tags_of(0.5))
    if disagree:
        with pytest.raises(EosinError, match=r"its description 0\.25"):
            open_slide(tmp_path / "a.tif")
    else:
        assert scale_of(tmp_path / "a.tif") == 0.5


@pytest.mark.parametrize(("unit", "per_unit"), [("um", 2.0), ("\\u00B5m", 2.0), ("micron", 2.0), ("inch", 50_800.0)])
@pytest.mark.parametrize("tag_unit", ["NONE", "CENTIMETER"])
def test_the_unit_of_imagej_goes_before_that_of_the_tags(
    tmp_path: Path, unit: str, per_unit: float, tag_unit: str
) -> None:
    """Pixels per micron, marked as pixels per centimetre, are no 5 mm."""
    file = tmp_path / "a.tif"
    options = {"resolution": (per_unit, per_unit), "resolutionunit": tag_unit}
    tifffile.imwrite(file, PIXELS, imagej=True, metadata={"unit": unit}, **options)
    if unit == "inch" and tag_unit == "CENTIMETER":
        with pytest.raises(EosinError, match=r"ImageJ's unit and its tags say 0\.5 .* 0\.1969 \(2\.54 x: inches"):
            open_slide(file)
    else:
        assert scale_of(file) == 0.5


@pytest.mark.parametrize(("mm", "refused"), [(0.15, False), (0.3, True)])
def test_spacing_and_imaged_volume_of_dicom(tmp_path: Path, mm: float, *, refused: bool) -> None:
    volume = {"ImagedVolumeWidth": mm, "ImagedVolumeHeight": mm * 260 / 300, "ImagedVolumeDepth": 0.001}
    (file,) = save_dicom(tmp_path, PIXELS, 0.5, n_levels=1, **volume)
    if refused:
        for path in (file, tmp_path):
            with pytest.raises(EosinError, match=r"metadata say 0\.5 µm per pixel, the size of the .* 1;"):
                open_slide(path)
    else:
        assert scale_of(file) == pytest.approx(0.5)


def test_a_magnification_of_dicom_that_does_not_fit_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    from pydicom.dataset import Dataset

    path = Dataset()
    path.OpticalPathIdentifier, path.ObjectiveLensPower = "0", "40"
    (file,) = save_dicom(tmp_path, PIXELS, 1.5, n_levels=1, OpticalPathSequence=[path])
    with caplog.at_level(logging.WARNING, "eosin"):
        open_slide(file).close()
    assert "1.5 µm per pixel and a magnification of 40, where 0.25 is usual" in caplog.text
    _warn_of_power.cache_clear()


def test_the_magnification_of_a_czi_is_the_only_one_that_it_names() -> None:
    one = "<Objective><NominalMagnification>20</NominalMagnification></Objective>"
    assert power_of_czi(f"<Metadata>{one}</Metadata>") == 20.0
    assert power_of_czi(f"{one}{one.replace('20', '40')}") is None
    assert power_of_czi(one.replace("20", "2..0")) is None and power_of_czi("") is None


def test_ome_zarr_and_the_ome_metadata_beside_it(tmp_path: Path) -> None:
    """As bioformats2raw keeps both."""
    path = tmp_path / "s.zarr"
    save_zarr(path / "0", PIXELS, 0.5, version="0.4")
    (path / ".zgroup").write_text('{"zarr_format": 2}')
    (path / ".zattrs").write_text(json.dumps({"bioformats2raw.layout": 3}))
    (path / "OME").mkdir()
    xml = '<OME><Pixels SizeX="300" SizeY="260" PhysicalSizeX="{0}" PhysicalSizeY="{0}"/></OME>'
    (path / "OME" / "METADATA.ome.xml").write_text(xml.format(0.5))
    assert scale_of(path) == 0.5
    (path / "OME" / "METADATA.ome.xml").write_text(xml.format(0.25))
    for place in (path, path / "0"):
        with pytest.raises(EosinError, match=r"its transformations say 0\.5 µm per pixel, its OME metadata 0\.25"):
            open_slide(place)
    (path / "OME" / "METADATA.ome.xml").write_bytes(b"\xff<OME")
    assert open_slide(path).mpp == 0.5


@pytest.mark.parametrize(("second", "refused"), [(1.0, False), (0.5, False), (4.0, True), (0.25, True)])
def test_scales_of_levels_of_an_ome_zarr(tmp_path: Path, second: float, *, refused: bool) -> None:
    """A level of half the width has pixels of twice the size; all alike is a habit of some writers."""
    path = save_zarr(tmp_path / "s.zarr", PIXELS, 0.5, version="0.4", n_levels=2)
    attributes = json.loads((path / ".zattrs").read_text())
    scale = attributes["multiscales"][0]["datasets"][1]["coordinateTransformations"][0]["scale"]
    scale[-2:] = [second, second]
    (path / ".zattrs").write_text(json.dumps(attributes))
    if refused:
        with pytest.raises(EosinError, match=rf"level '1' and its size {second / 2:g}"):
            open_slide(path)
    else:
        assert scale_of(path) == 0.5


def test_levels_of_an_ome_zarr_that_are_listed_from_the_coarsest(tmp_path: Path) -> None:
    path = save_zarr(tmp_path / "s.zarr", PIXELS, 0.5, version="0.4", n_levels=3)
    attributes = json.loads((path / ".zattrs").read_text())
    attributes["multiscales"][0]["datasets"].reverse()
    (path / ".zattrs").write_text(json.dumps(attributes))
    with open_slide(path) as slide:
        assert (slide.size_px, slide.mpp, len(slide._source.levels)) == ((300, 260), 0.5, 3)


def test_scales_are_compared_in_both_directions() -> None:
    square, flat = ToldScale("a", (0.5, 0.5)), ToldScale("b", (0.5, 0.6))
    assert contradiction_of([None, square, square]) is None and contradiction_of([None]) is None
    assert contradiction_of([square, flat]) == "a say 0.5 µm per pixel, b 0.5 x 0.6"
    assert contradiction_of([square, ToldScale("c", (np.inf, 0.5)), ToldScale("d", (0.0, 0.0))]) is None


def test_descriptions_of_leica_that_cannot_be_are_passed_over() -> None:
    whole = '<image><pixels sizeX="30" sizeY="20"/><view sizeX="15000" sizeY="10000"/></image>'
    assert scale_of_leica(whole, (30, 20)) == (0.5, 0.5)
    assert scale_of_leica(whole, (60, 20)) is None and scale_of_leica("", (1, 1)) is None
    assert scale_of_leica(whole.replace("15000", "?"), (30, 20)) is None
    assert scale_of_leica("<image" * 10_000, (30, 20)) is None
