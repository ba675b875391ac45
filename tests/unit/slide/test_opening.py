"""Which files open, at which scale, and what the others are told."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from eosin.errors import EosinError
from eosin.slide import open_slide, scale_of
from eosin.slide.tiff_scale import ome_scale
from unit.slide import pictures


@pytest.fixture
def pixels() -> np.ndarray:
    return pictures.painted(160, 140, 0.5)


def test_content_counts_not_suffix(tmp_path: Path, pixels: np.ndarray) -> None:
    real = {
        "jpeg.svs": pictures.save_image(tmp_path / "a.jpg", pixels, quality=95),
        "png.tif": pictures.save_image(tmp_path / "b.png", pixels),
        "pyramid.jpg": pictures.save_pyramid(tmp_path / "c.tif", pixels, 0.5),
        "plain": pictures.save_plain(tmp_path / "d.tif", pixels, 0.5),
    }
    for name, path in real.items():
        with open_slide(path.rename(tmp_path / name), mpp=0.5) as slide:
            got = slide.read((40.0, 35.0), 20.0, 40)
            assert np.abs(got - pictures.window((40.0, 35.0), 20.0, 40)).mean() < 3, name


@pytest.mark.parametrize("dpi", [72, 96, 300, 12700])
def test_dots_per_inch_of_photographs_are_no_scale(tmp_path: Path, pixels: np.ndarray, dpi: int) -> None:
    """Even 12700 dpi (2 µm per pixel, plausible): a JPEG's JFIF density is what the exporting program felt like."""
    for name in ("s.jpg", "s.png"):
        path = pictures.save_image(tmp_path / name, pixels, dpi=(dpi, dpi))
        assert scale_of(path) is None
        with pytest.raises(EosinError, match=rf"{name}: the file does not say its µm per pixel; give .*--mpp"):
            open_slide(path)


def test_scales_that_files_say(tmp_path: Path, pixels: np.ndarray) -> None:
    cases = {
        "centimetre": ({"resolution": (2e4, 2e4), "resolutionunit": 3}, 0.5),
        "inch": ({"resolution": (101600, 101600), "resolutionunit": 2}, 0.25),
        "printing": ({"resolution": (300, 300), "resolutionunit": 2}, None),
        "unitless": ({"resolution": (2e4, 2e4), "resolutionunit": 1}, None),
        "imagej": ({"imagej": True, "resolution": (1 / 0.3, 1 / 0.3), "metadata": {"unit": "um"}}, 0.3),
        "none": ({}, None),
    }
    for name, (options, expected) in cases.items():
        tifffile.imwrite(tmp_path / name, pixels, photometric="rgb", **options)
        assert scale_of(tmp_path / name) == (None if expected is None else pytest.approx(expected, rel=1e-4)), name


@pytest.mark.parametrize(("mpp", "fine"), [(0.04, False), (0.081, True), (9.9, True), (11.0, False)])
def test_implausible_scales_are_refused_not_used(tmp_path: Path, pixels: np.ndarray, mpp: float, *, fine: bool) -> None:
    """Whoever says it: TIFF resolution, OME-XML, or the user."""
    tiff = pictures.save_plain(tmp_path / "t.tif", pixels, mpp)
    ome = pictures.save_ome(tmp_path / "o.ome.tif", pixels, mpp, n_levels=1)
    for path in (tiff, ome):
        assert (scale_of(path) is not None) == fine
        if fine:
            with open_slide(path) as slide:
                assert slide.mpp == pytest.approx(mpp, rel=1e-3)
        else:
            with pytest.raises(EosinError, match="which no microscope has; give the scale by --mpp"):
                open_slide(path)
            with pytest.raises(EosinError, match="not plausible"):
                open_slide(path, mpp=mpp)


@pytest.mark.parametrize("mpp", [0.0251, 0.05023, 0.079])
def test_a_file_finer_than_any_scanner_is_refused_until_it_is_told(
    tmp_path: Path, pixels: np.ndarray, mpp: float
) -> None:
    """Mostly a resolution that is ten times too fine: spots would lie on a tenth of the tissue."""
    tiff = pictures.save_plain(tmp_path / "t.tif", pixels, mpp)
    ome = pictures.save_ome(tmp_path / "o.ome.tif", pixels, mpp)
    for path in (tiff, ome):
        assert scale_of(path) is None
        with pytest.raises(EosinError, match=r"the file says 0\.0.*µm per pixel.*; give the scale by --mpp"):
            open_slide(path)
        with open_slide(path, mpp=0.25) as slide:
            assert slide.mpp == 0.25


@pytest.mark.parametrize("mpp", [0.2125, 0.25, 0.2632, 0.5])
def test_a_scanner_s_own_scale_is_taken(tmp_path: Path, mpp: float) -> None:
    """Aperio's description goes before the TIFF resolution, which many exporters leave at a printer's 72 dpi."""
    pixels = pictures.painted(320, 300, mpp)
    about = f"Aperio Image Library v12.0\r\n320x300 (64x64) JPEG Q=95|AppMag = 40|MPP = {mpp}"
    options = {"tile": (64, 64), "photometric": "rgb", "compression": "jpeg", "compressionargs": {"level": 95}}
    path = tmp_path / "a.svs"
    tifffile.imwrite(path, pixels, description=about, metadata=None, resolution=(72, 72), resolutionunit=2, **options)
    with open_slide(path) as slide:
        assert slide.mpp == pytest.approx(mpp)
        got = slide.read((160 * mpp, 150 * mpp), 100 * mpp, 50)
        assert np.abs(got - pictures.window((160 * mpp, 150 * mpp), 100 * mpp, 50)).mean() < 3


def test_unequal_scales_are_refused(tmp_path: Path, pixels: np.ndarray) -> None:
    for ratio, fine in ((1.01, True), (1.019, True), (1.023, False), (1.05, False)):
        path = tmp_path / "s.tif"
        tifffile.imwrite(path, pixels, photometric="rgb", resolution=(2e4, 2e4 / ratio), resolutionunit=3)
        assert (scale_of(path) is not None) == fine
    with pytest.raises(EosinError, match=r"not square; give the scale by --mpp"):
        open_slide(path)
    with pytest.raises(EosinError, match="not plausible"):
        open_slide(path, mpp=500.0)


def test_ome_units() -> None:
    xml = '<OME><Image><Pixels ID="P" PhysicalSizeX="{}" PhysicalSizeY="{}"{}></Pixels></Image></OME>'
    unit = ' PhysicalSizeXUnit="{0}" PhysicalSizeYUnit="{0}"'
    assert ome_scale(xml.format(0.5, 0.25, "")) == (0.5, 0.25)
    assert ome_scale(xml.format(250, 250, unit.format("nm"))) == (0.25, 0.25)
    assert ome_scale(xml.format(250, 250, unit.format("pixel"))) is None
    assert ome_scale(xml.format("x", 1, "")) is None and ome_scale("") is None


def test_grey_transparent_and_planar(tmp_path: Path, pixels: np.ndarray) -> None:
    grey = pictures.save_image(tmp_path / "grey.png", pixels[..., 0])
    alpha = np.dstack([pixels, np.full(pixels.shape[:2], 255, np.uint8)])
    alpha[:, :80, 3] = 0
    clear = pictures.save_image(tmp_path / "clear.png", alpha)
    tifffile.imwrite(tmp_path / "p.tif", np.moveaxis(pixels, -1, 0), photometric="minisblack", ome=True,
                     metadata={"axes": "CYX", "PhysicalSizeX": 0.5, "PhysicalSizeY": 0.5})  # fmt: skip
    with open_slide(grey, mpp=0.5) as slide:
        assert np.array_equal(slide.read((20.0, 20.0), 10.0, 20)[..., 1], pixels[30:50, 30:50, 0])
    with open_slide(clear, mpp=0.5) as slide:
        assert (slide.read((20.0, 30.0), 10.0, 20) == 255).all()
        assert np.array_equal(slide.read((60.0, 30.0), 10.0, 20), pixels[50:70, 110:130])
    with open_slide(tmp_path / "p.tif") as slide:
        assert np.array_equal(slide.read((20.0, 20.0), 10.0, 20), pixels[30:50, 30:50])


def test_deep_colour_is_refused(tmp_path: Path) -> None:
    deep = np.zeros((64, 64, 3), np.uint16)
    tifffile.imwrite(tmp_path / "d.tif", deep, photometric="rgb")
    Image.fromarray(deep[..., 0]).save(tmp_path / "d.png")
    for name in ("d.tif", "d.png"):
        with pytest.raises(EosinError, match=rf"{name}: .*8-bit"):
            open_slide(tmp_path / name, mpp=0.5).read((5.0, 5.0), 5.0, 8)


@pytest.mark.parametrize(
    ("mode", "told"), [("CMYK", "SEPARATED"), ("P", "PALETTE"), ("LAB", "CIELAB"), ("YCbCr", "YCBCR")]
)
def test_numbers_that_are_not_red_green_and_blue_are_refused(tmp_path: Path, pixels, mode: str, told: str) -> None:
    """Taken as they are stored they would be a picture of other colours, of which a model predicts without a word."""
    picture = Image.fromarray(pixels)
    made = Image.merge("LAB", picture.split()) if mode == "LAB" else picture.convert(mode)
    made.save(tmp_path / "s.tif")
    with pytest.raises(EosinError, match=rf"s\.tif: colours stored as {told}.*export it as 8-bit RGB"):
        open_slide(tmp_path / "s.tif", mpp=0.5)


def test_inverted_grey_stacks_and_many_channels_are_refused(tmp_path: Path, pixels: np.ndarray) -> None:
    cases = {
        "colours stored as MINISWHITE": (pixels[..., 0], "miniswhite", "YX"),
        "4 channels": (np.stack([pixels[..., 0]] * 4), "minisblack", "CYX"),
        "a stack of images": (np.stack([pixels[..., 0]] * 5), "minisblack", "ZYX"),
    }
    for told, (array, colours, axes) in cases.items():
        path = tmp_path / f"{axes}.ome.tif"
        tifffile.imwrite(path, array, photometric=colours, ome=axes != "YX", metadata={"axes": axes})
        with pytest.raises(EosinError, match=told):
            open_slide(path, mpp=0.5)


def test_jpeg_colours_in_a_tiff_are_converted(tmp_path: Path) -> None:
    red = np.full((128, 128, 3), [200, 30, 60], np.uint8)
    Image.fromarray(red).save(tmp_path / "s.tif", compression="jpeg", quality=95)
    with open_slide(tmp_path / "s.tif", mpp=0.5) as slide:
        assert np.abs(slide.read((30.0, 30.0), 20.0, 40).astype(int) - red[0, 0]).max() <= 3


@pytest.mark.parametrize("tiled", [False, True])
def test_the_largest_image_is_the_slide(tmp_path: Path, pixels: np.ndarray, *, tiled: bool) -> None:
    """Some writers put a label or a thumbnail first."""
    with tifffile.TiffWriter(tmp_path / "s.tif") as file:
        file.write(pixels[::4, ::4], photometric="rgb")
        options = {"tile": (64, 64)} if tiled else {}
        file.write(pixels, photometric="rgb", resolution=(20_000, 20_000), resolutionunit="CENTIMETER", **options)
    with open_slide(tmp_path / "s.tif") as slide:
        assert slide.size_px == pixels.shape[1::-1] and slide.mpp == 0.5
        assert np.array_equal(slide.read((20.0, 20.0), 10.0, 20), pixels[30:50, 30:50])


@pytest.mark.parametrize("name", ["s.jpg", "s.png", "s.tif", "pyramid.tif"])
def test_truncated_files_name_themselves(tmp_path: Path, name: str) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (300, 300, 3), dtype=np.uint8)
    path = tmp_path / name
    if name == "pyramid.tif":
        pictures.save_pyramid(path, noise, 0.5)
    else:
        (pictures.save_plain if name == "s.tif" else pictures.save_image)(path, noise)
    whole = path.read_bytes()
    for share in (0.7, 0.3, 0.001):
        path.write_bytes(whole[: int(len(whole) * share)])
        with pytest.raises(EosinError, match=name):
            with open_slide(path, mpp=0.5) as slide:
                slide.read((75.0, 75.0), 149.0, 60)


def test_not_an_image(tmp_path: Path) -> None:
    (tmp_path / "a.svs").write_bytes(b"barcode\tgene\n" * 50)
    (tmp_path / "empty.jpg").touch()
    for name in ("a.svs", "empty.jpg"):
        with pytest.raises(EosinError, match=rf"{name}: (not an image|is empty)"):
            open_slide(tmp_path / name, mpp=0.5)
    with pytest.raises(EosinError, match="no such image"):
        open_slide(tmp_path / "gone.svs", mpp=0.5)
    with pytest.raises(EosinError, match="a folder"):
        open_slide(tmp_path, mpp=0.5)
