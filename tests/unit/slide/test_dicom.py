"""Slides in DICOM: any file of a slide opens it, and so does a folder of nothing else; colours, scale, levels."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from eosin.errors import EosinError
from eosin.slide import open_slide
from eosin.slide.dicom import series_of
from unit.slide import pictures
from unit.slide.dicom_files import save_dicom

pydicom = pytest.importorskip("pydicom")
MPP = 0.5
PLACES = np.random.default_rng(0).integers(20, (280, 220), (10, 2))
"""Whole pixels (x, y)."""


@pytest.fixture
def pixels() -> np.ndarray:
    return pictures.painted(300, 240, MPP)


def flat(file: Path) -> np.ndarray:
    """The picture [h w 3] of a file, decoded frame by frame by pydicom and Pillow and put side by side."""
    import io

    from PIL import Image
    from pydicom.encaps import generate_frames

    read = pydicom.dcmread(file)
    width, height, tile = read.TotalPixelMatrixColumns, read.TotalPixelMatrixRows, read.Rows
    n_across = -(-width // tile)
    whole = np.zeros((-(-height // tile) * tile, n_across * tile, 3), np.uint8)
    for i, frame in enumerate(generate_frames(read.PixelData, number_of_frames=read.NumberOfFrames)):
        y, x = i // n_across * tile, i % n_across * tile
        whole[y : y + tile, x : x + tile] = np.asarray(Image.open(io.BytesIO(frame)))
    return whole[:height, :width]


@pytest.mark.parametrize("which", [0, 1, 2, "folder"])
def test_colours_scale_and_levels(tmp_path: Path, pixels: np.ndarray, which: int | str) -> None:
    """From whichever file: OpenSlide finds the others of the series beside it."""
    files = save_dicom(tmp_path, pixels, MPP)
    picture = flat(files[0])
    assert np.abs(picture.astype(int) - pixels).max() < 12
    with open_slide(tmp_path if which == "folder" else files[which]) as slide:
        assert (slide.size_px, slide.mpp, slide.library) == ((300, 240), pytest.approx(MPP), "OpenSlide")
        assert [(one.width, one.downsample) for one in slide._source.levels] == [(300, 1.0), (150, 2.0), (75, 4.0)]
        for x, y in PLACES:
            got = slide.read((x * MPP, y * MPP), 8 * MPP, 8).astype(int)
            assert np.abs(got - picture[y - 4 : y + 4, x - 4 : x + 4]).max() <= 6  # two decoders of JPEG


def test_one_level_alone_has_its_own_scale(tmp_path: Path, pixels: np.ndarray) -> None:
    """A file without the others of its slide is a slide of coarser pixels, at the same places in µm."""
    (tmp_path / "alone").mkdir()
    shutil.copy(save_dicom(tmp_path, pixels, MPP)[1], tmp_path / "alone" / "s.dcm")
    with open_slide(tmp_path / "alone" / "s.dcm") as slide:
        assert (slide.size_px, slide.mpp) == ((150, 120), pytest.approx(2 * MPP))
        assert np.abs(slide.read((75.0, 60.0), 40.0, 40) - pictures.window((75.0, 60.0), 40.0, 40)).mean() < 6


def test_a_folder_of_two_slides_is_refused(tmp_path: Path, pixels: np.ndarray) -> None:
    first, second = (save_dicom(tmp_path, pixels, MPP, n_levels=2, uid=uid) for uid in ("1.2.3", "1.2.34"))
    assert series_of([*first, *second]) == [first, second]
    with pytest.raises(EosinError, match="holds 2 slides in DICOM; give one file of the slide, or a folder"):
        open_slide(tmp_path)


def test_other_files_beside_it(tmp_path: Path, pixels: np.ndarray) -> None:
    """A table of contents and hidden files may lie there; of anything else the folder is not a slide."""
    save_dicom(tmp_path, pixels, MPP, n_levels=1)
    (tmp_path / "DICOMDIR").write_bytes(b"\0" * 128 + b"DICM")
    (tmp_path / ".DS_Store").write_bytes(b"x")
    open_slide(tmp_path).close()
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(EosinError, match="a folder, not an image; give the path of an image file"):
        open_slide(tmp_path)


def test_dicom_that_is_no_slide_names_what_converts_it(tmp_path: Path, pixels: np.ndarray) -> None:
    (file,) = save_dicom(tmp_path, pixels, MPP, n_levels=1)
    read = pydicom.dcmread(file)
    read.SOPClassUID = read.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.2"  # computed tomography
    read.save_as(file)
    for path in (file, tmp_path):
        with pytest.raises(EosinError, match=r"OpenSlide.*convert .*as by: wsidicomizer, or bfconvert"):
            open_slide(path)
    read = pydicom.dcmread(save_dicom(tmp_path, pixels, MPP, n_levels=1)[0])
    read.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.4.80"  # JPEG-LS
    read.save_as(file)
    with pytest.raises(EosinError, match=r"; convert it, as by:"):
        open_slide(file)


@pytest.mark.parametrize("at", [132, 400, 900, 3000])
def test_damage_is_one_line(tmp_path: Path, pixels: np.ndarray, at: int) -> None:
    (file,) = save_dicom(tmp_path, pixels, MPP, n_levels=1)
    whole = file.read_bytes()
    for content in (whole[:at], whole[:at] + b"\xff" * 99 + whole[at + 99 :]):
        file.write_bytes(content)
        for path in (file, tmp_path):
            try:
                with open_slide(path) as slide:
                    slide.read((75.0, 60.0), 120.0, 240)
            except EosinError as error:
                assert "\n" not in str(error)
