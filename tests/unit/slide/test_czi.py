"""CZI: by OpenSlide, and by pylibCZIrw what OpenSlide refuses; colours, places, scale, levels, scenes."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

from eosin.errors import EosinError
from eosin.slide import open_slide
from eosin.slide.czi import scale_of_czi
from unit.slide import pictures
from unit.slide.czi_files import Piece, mosaic, save_czi

MPP = 0.5
PLACES = np.random.default_rng(0).integers(20, (280, 220), (10, 2))
"""Whole pixels (x, y)."""
HAS_CZI = importlib.util.find_spec("pylibCZIrw") is not None
needs_czi = pytest.mark.skipif(not HAS_CZI, reason="pylibCZIrw is not installed")
LIBRARIES = [pytest.param("C", "OpenSlide"), pytest.param("CZ", "pylibCZIrw", marks=needs_czi)]
"""An axis Z, of one plane, is what OpenSlide refuses."""


@pytest.fixture
def pixels() -> np.ndarray:
    return pictures.painted(300, 240, MPP)


def pyramid(pixels: np.ndarray, corner: tuple[int, int] = (0, 0)) -> list[Piece]:
    """A mosaic, and the picture at a half and at a quarter."""
    half = pictures.halved(pixels)
    return [*mosaic(pixels, corner), Piece(*corner, half, 2), Piece(*corner, pictures.halved(half), 4)]


@pytest.mark.parametrize(("axes", "library"), LIBRARIES)
def test_colours_and_places(tmp_path: Path, pixels: np.ndarray, axes: str, library: str) -> None:
    """A mosaic whose corner lies anywhere on the stage: the picture begins at its own corner."""
    path = save_czi(tmp_path / "s.czi", mosaic(pixels, (-70, 45)), MPP, axes=axes)
    with open_slide(path) as slide:
        assert (slide.library, slide.mpp, slide.size_px) == (library, pytest.approx(MPP), (300, 240))
        for x, y in PLACES:
            got = slide.read((x * MPP, y * MPP), 8 * MPP, 8)
            assert np.array_equal(got, pixels[y - 4 : y + 4, x - 4 : x + 4])


@needs_czi
@pytest.mark.parametrize("axes", ["C", "CZ"])
def test_a_flat_decoding_by_the_other_library_is_the_same(tmp_path: Path, pixels: np.ndarray, axes: str) -> None:
    from pylibCZIrw.czi import open_czi

    path = save_czi(tmp_path / "s.czi", pyramid(pixels, (-70, 45)), MPP, axes=axes)
    with open_czi(str(path)) as file:
        box = file.total_bounding_rectangle_no_pyramid
        flat = file.read(roi=(box.x, box.y, box.w, box.h))[..., ::-1]
    with open_slide(path) as slide:
        for x, y in PLACES:
            got = slide.read((x * MPP, y * MPP), 8 * MPP, 8)
            assert np.array_equal(got, flat[y - 4 : y + 4, x - 4 : x + 4])


@needs_czi
@pytest.mark.parametrize("codec", ["zstd1:ExplicitLevel=3", "zstd0:"])
def test_codecs_of_scanners(tmp_path: Path, pixels: np.ndarray, codec: str) -> None:
    """Files of Zeiss' own library, which writes axes that OpenSlide refuses."""
    from pylibCZIrw.czi import create_czi

    with create_czi(str(tmp_path / "s.czi"), compression_options=codec) as file:
        file.write(np.ascontiguousarray(pixels[..., ::-1]), location=(-70, 45))
        file.write_metadata(scale_x=MPP / 1e6, scale_y=MPP / 1e6)
    with open_slide(tmp_path / "s.czi") as slide:
        assert (slide.library, slide.mpp) == ("pylibCZIrw", pytest.approx(MPP))
        for x, y in PLACES:
            got = slide.read((x * MPP, y * MPP), 8 * MPP, 8)
            assert np.array_equal(got, pixels[y - 4 : y + 4, x - 4 : x + 4])


@needs_czi
def test_jpeg_xr_is_read_by_zeiss_library(tmp_path: Path, pixels: np.ndarray) -> None:
    """OpenSlide refuses it."""
    path = save_czi(tmp_path / "s.czi", mosaic(pixels), MPP, jpeg_xr=True)
    with open_slide(path) as slide:
        assert (slide.library, slide.mpp) == ("pylibCZIrw", pytest.approx(MPP))
        for x, y in PLACES:
            assert np.array_equal(slide.read((x * MPP, y * MPP), 8 * MPP, 8), pixels[y - 4 : y + 4, x - 4 : x + 4])


def test_jpeg_xr_without_that_library_is_one_line(tmp_path: Path, pixels: np.ndarray, monkeypatch) -> None:
    path = save_czi(tmp_path / "s.czi", mosaic(pixels), MPP, jpeg_xr=True)
    monkeypatch.setitem(sys.modules, "pylibCZIrw.czi", None)
    with pytest.raises(EosinError, match=r"JPEG XR compression is not supported\); pip install 'eosin\[czi\]'"):
        open_slide(path)


@pytest.mark.parametrize(("axes", "library"), LIBRARIES)
def test_reduced_levels_are_those_that_are_stored(tmp_path: Path, pixels: np.ndarray, axes: str, library: str) -> None:
    path = save_czi(tmp_path / "s.czi", pyramid(pixels, (10, -20)), MPP, axes=axes)
    with open_slide(path) as slide:
        assert slide.library == library
        assert [(one.width, one.downsample) for one in slide._source.levels] == [(300, 1.0), (150, 2.0), (75, 4.0)]
        quarter = pictures.halved(pictures.halved(pixels))
        assert np.array_equal(slide.read((74.0, 60.0), 80.0, 40), quarter[10:50, 17:57])


@pytest.mark.parametrize(("axes", "library"), LIBRARIES)
def test_scenes_are_one_picture(tmp_path: Path, pixels: np.ndarray, axes: str, library: str) -> None:
    """Two pieces of tissue that were scanned each for itself; what lies between them was not, and is white."""
    left, right = pixels[:, :100], pixels[40:200, 150:]
    pieces = [*mosaic(left, (1000, 2000)), *mosaic(right, (1150, 2040), scene=1)]
    whole = np.full_like(pixels, 255)
    whole[:, :100], whole[40:200, 150:] = left, right
    with open_slide(save_czi(tmp_path / "s.czi", pieces, MPP, axes=axes)) as slide:
        assert (slide.library, slide.size_px) == (library, (300, 240))
        assert np.array_equal(slide.read((75.0, 60.0), 100.0, 200), whole[20:220, 50:250])


@pytest.mark.parametrize(
    ("made", "told"),
    [
        (lambda px: {"pieces": mosaic(px[..., 0])}, "grey pixels of type Gray8, not 8-bit RGB; export it"),
        (lambda px: {"pieces": mosaic(px[..., 0].astype(np.uint16))}, "grey pixels of type Gray16, not 8-bit RGB"),
        (lambda px: {"pieces": mosaic(px), "several": {"Z": 3}}, "3 planes in depth, not one picture; export one"),
        (lambda px: {"pieces": mosaic(px), "several": {"T": 2}}, "2 points in time, not one picture; export one"),
        (lambda px: {"pieces": mosaic(px), "several": {"C": 2}}, "2 channels, not one picture; export one"),
    ],
)
@needs_czi
def test_what_is_no_picture_is_refused(tmp_path: Path, pixels: np.ndarray, made, told: str) -> None:
    save_czi(tmp_path / "s.czi", mpp=MPP, **made(pixels))
    with pytest.raises(EosinError, match=rf"s\.czi: .*{told}"):
        open_slide(tmp_path / "s.czi")


def test_without_the_library_both_ways_out_are_named(tmp_path: Path, pixels: np.ndarray, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "pylibCZIrw", None)
    monkeypatch.delitem(sys.modules, "pylibCZIrw.czi", raising=False)
    path = save_czi(tmp_path / "s.czi", mosaic(pixels), MPP, axes="CZ")
    with pytest.raises(EosinError, match=r"s\.czi: a CZI .*\"Z\".*; pip install 'eosin\[czi\]'.*bfconvert") as refused:
        open_slide(path)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("axes", ["C", "CZ"])
@pytest.mark.parametrize("at", [5, 40, 600, 20_000, 200_000])
def test_damage_is_one_line(tmp_path: Path, pixels: np.ndarray, at: int, axes: str) -> None:
    whole = save_czi(tmp_path / "whole.czi", pyramid(pixels), MPP, axes=axes).read_bytes()
    for name, content in {"cut": whole[: max(at, 10)], "hole": whole[:at] + b"\xff" * 99 + whole[at + 99 :]}.items():
        path = tmp_path / f"{name}.czi"
        path.write_bytes(content)
        try:
            with open_slide(path) as slide:
                slide.read((75.0, 60.0), 120.0, 240)
        except EosinError as error:
            assert "\n" not in str(error)
            assert f"{name}.czi" in str(error)


def test_without_scale_it_is_asked_for(tmp_path: Path, pixels: np.ndarray) -> None:
    path = save_czi(tmp_path / "s.czi", mosaic(pixels), None)
    with pytest.raises(EosinError, match=r"does not say its µm per pixel; give .*--mpp"):
        open_slide(path)


def test_scale_in_the_metadata_of_a_scanner() -> None:
    """As Zen writes it; values stand in metres, whatever unit it shows by default."""
    shown = "<DefaultUnitFormat>µm</DefaultUnitFormat>"
    items = "".join(f'<Distance Id="{axis}"><Value>{v}</Value>{shown}</Distance>' for axis, v in zip("XYZ", "246"))
    xml = f"<Scaling><Items>{items}</Items></Scaling>".replace(">2<", ">2.2E-07<").replace(">4<", ">2.21E-07<")
    assert scale_of_czi(xml) == (pytest.approx(0.22), pytest.approx(0.221))
    assert scale_of_czi(xml.replace("2.21E-07", "?")) is None
    assert scale_of_czi('<Distance Id="X"></Distance><Distance Id="Y"><Value>2e-7</Value></Distance>') is None
    assert scale_of_czi("<" * 100_000 + '<Distance Id="X">' * 2000) is None
