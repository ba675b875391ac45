"""What an image states twice is compared; what is called as a slide and is a part of one is refused."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from eosin.data.slide_entries import entries_of
from eosin.errors import EosinError
from eosin.slide import open_slide, scale_of
from eosin.slide.opening import _warn_of_power
from unit.slide.pictures import painted

PIXELS = painted(300, 260, 0.5)


def ome(path: Path, um: float | None, tag_um: float | None) -> Path:
    sizes = {} if um is None else {f"PhysicalSize{axis}": um for axis in "XY"}
    options = {} if tag_um is None else {"resolution": (1e4 / tag_um, 1e4 / tag_um), "resolutionunit": "CENTIMETER"}
    tifffile.imwrite(path, PIXELS, photometric="rgb", tile=(128, 128), metadata={"axes": "YXS", **sizes}, **options)
    return path


def test_ome_metadata_and_tags_must_agree(tmp_path: Path) -> None:
    file = ome(tmp_path / "a.ome.tif", 0.25, 0.5)
    with pytest.raises(EosinError, match=r"OME metadata say 0\.25 µm per pixel, its tags of resolution 0\.5"):
        open_slide(file)
    assert scale_of(file) is None
    with open_slide(file, mpp=0.5) as slide:
        assert slide.mpp == 0.5


@pytest.mark.parametrize("tag_um", [None, 0.5, 0.51, 25_400 / 72, 25_400 / 300])
def test_tags_that_agree_or_are_printing_defaults_say_nothing(tmp_path: Path, tag_um: float | None) -> None:
    with open_slide(ome(tmp_path / "a.ome.tif", 0.5, tag_um)) as slide:
        assert slide.mpp == 0.5


def test_exactly_one_micrometre_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "eosin"):
        with open_slide(ome(tmp_path / "a.ome.tif", 1.0, None)) as slide:
            assert slide.mpp == 1.0
    assert "exactly 1 µm per pixel" in caplog.text


def test_a_magnification_that_does_not_fit_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for power, mpp in ((40, 1.0), (20, 0.22)):
        text = f"Aperio Image Library v11\r\n300x260 (128x128) JPEG/RGB Q=70|AppMag = {power}|MPP = {mpp}"
        file = tmp_path / f"{power}.svs"
        options = {"photometric": "rgb", "tile": (128, 128), "compression": "jpeg", "metadata": None}
        tifffile.imwrite(file, PIXELS, description=text, **options)
        with caplog.at_level(logging.WARNING, "eosin"):
            with open_slide(file) as slide:
                assert slide.mpp == mpp
    assert "1 µm per pixel and a magnification of 40, where 0.25 is usual" in caplog.text
    assert "magnification of 20" not in caplog.text
    _warn_of_power.cache_clear()


@pytest.mark.parametrize("name", ["a.vsi", "A.VSI"])
def test_a_vsi_without_its_folder_is_no_slide(tmp_path: Path, name: str) -> None:
    tifffile.imwrite(tmp_path / name, PIXELS, photometric="rgb")
    with pytest.raises(EosinError, match="holds a preview only") as error:
        open_slide(tmp_path / name, mpp=0.5)
    assert f"_{name[0]}_" in str(error.value.fix) and "bfconvert" in str(error.value.fix)


def test_an_mrxs_without_its_folder_is_no_slide(tmp_path: Path) -> None:
    Image.fromarray(PIXELS).save(tmp_path / "a.mrxs", format="JPEG")
    with pytest.raises(EosinError, match=r"a JPEG that is called \.mrxs") as error:
        open_slide(tmp_path / "a.mrxs", mpp=0.5)
    assert "copy the folder a beside it" in str(error.value.fix)


@pytest.mark.parametrize(("suffix", "kind"), [(".svs", "JPEG"), (".ndpi", "PNG"), (".czi", "JPEG")])
def test_a_picture_that_is_called_as_a_slide_is_said(
    tmp_path: Path, suffix: str, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    Image.fromarray(PIXELS).save(tmp_path / f"a{suffix}", format=kind)
    with caplog.at_level(logging.WARNING, "eosin"):
        with open_slide(tmp_path / f"a{suffix}", mpp=0.5) as slide:
            assert slide.size_px == (300, 260)
    assert f"a {kind} that is called {suffix}, as the preview of a slide may be" in caplog.text


@pytest.mark.parametrize(
    ("name", "body", "said"),
    [
        ("a.svs", b"", "is empty"),
        ("a.svs", b"<!DOCTYPE html>\n<html>404</html>", "is a web page"),
        ("a.tif", b"\n<html lang='en'>login</html>", "is a web page"),
        ("a.ndpi", b"version https://git-lfs.github.com/spec/v1\noid sha256:1", "pointer of Git LFS"),
        ("a.isyntax", b"<DPUfsImport/>" * 40, "an iSyntax file of Philips"),
        ("a.kfb", b"KFB" * 90, "a KFB file of KFBIO"),
        ("a.sdpc", b"SQ" * 150, "an SDPC file of Sqray"),
        ("a.nd2", b"\xda\xce\xbe\x0a" + bytes(300), "an ND2 file of Nikon"),
        ("a.zvi", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(300), "a ZVI file of Zeiss"),
        ("frame_t.ets", b"SIS\0" * 90, "a part of a VSI slide"),
    ],
)
def test_what_is_no_slide_is_called_what_it_is(tmp_path: Path, name: str, body: bytes, said: str) -> None:
    (tmp_path / name).write_bytes(body)
    with pytest.raises(EosinError, match=said) as error:
        open_slide(tmp_path / name, mpp=0.5)
    assert error.value.fix


@pytest.mark.parametrize(("name", "mode"), [("a.png", "L"), ("b.png", "LA"), ("c.png", "1"), ("d.tif", "L")])
def test_grey_pictures_are_said(tmp_path: Path, name: str, mode: str, caplog: pytest.LogCaptureFixture) -> None:
    Image.fromarray(PIXELS).convert(mode).save(tmp_path / name)
    with caplog.at_level(logging.WARNING, "eosin"):
        open_slide(tmp_path / name, mpp=0.5).close()
    assert "a grey picture" in caplog.text


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_a_picture_that_is_transparent_everywhere_is_refused(tmp_path: Path, name: str) -> None:
    Image.fromarray(np.dstack([PIXELS, np.zeros_like(PIXELS[..., 0])])).save(tmp_path / name)
    with open_slide(tmp_path / name, mpp=0.5) as slide:
        with pytest.raises(EosinError, match="its opacity is 0 everywhere"):
            slide.read(np.array([50.0, 50.0]), 40.0, 32)


def test_previews_beside_slides_are_no_slides(tmp_path: Path) -> None:
    previews = ("A1_thumbnail.jpg", "A1-macro.png", "A1_label.png", "A1.mask.png")
    for name in ("A1.png", *previews, "thumbnail.png", "B_label.png"):
        Image.fromarray(PIXELS).save(tmp_path / name)
    assert [entry.id for entry in entries_of(tmp_path)] == ["A1", "B_label", "thumbnail"]


def test_a_manifest_with_a_path_that_none_can_be_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"path\na\0b.png\n")
    with pytest.raises(EosinError, match="a character that no path can"):
        entries_of(tmp_path / "a.csv")


def test_a_list_of_images_without_an_end_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "a.tif"
    tifffile.imwrite(file, PIXELS, photometric="rgb", metadata=None)
    with tifffile.TiffFile(file) as tiff:
        first = tiff.pages.first.offset
        n_tags = len(tiff.pages.first.tags)
    body = bytearray(file.read_bytes())
    end = first + 2 + 12 * n_tags
    body[end : end + 4] = first.to_bytes(4, "little")  # the image after the first is the first
    file.write_bytes(body)
    with open_slide(file, mpp=0.5) as slide:
        assert slide.size_px == (300, 260)
    start, pieces = len(body), []
    for i in range(120):  # a circle that is longer than what tifffile looks for
        after = start + 6 * ((i + 1) % 120)
        pieces.append(bytes(2) + after.to_bytes(4, "little"))
    body[end : end + 4] = start.to_bytes(4, "little")
    file.write_bytes(bytes(body) + b"".join(pieces))
    with pytest.raises(EosinError):
        open_slide(file, mpp=0.5)


def test_the_scale_is_that_of_the_slide_and_not_of_a_label_before_it(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "a.ome.tif", ome=True) as file:
        for pixels, um in ((PIXELS[:60, :50], 8.0), (PIXELS, 0.5)):
            sizes = {f"PhysicalSize{axis}": um for axis in "XY"}
            file.write(pixels, photometric="rgb", tile=(64, 64), metadata={"axes": "YXS", **sizes})
    with open_slide(tmp_path / "a.ome.tif") as slide:
        assert slide.size_px == (300, 260) and slide.mpp == 0.5
