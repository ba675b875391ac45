"""Which image is the slide, and whether it is the picture that Space Ranger saw."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Picture

from eosin.data import read
from eosin.data.readers.tenx.samples import Sample
from eosin.data.readers.tenx.slide_files import find_slide
from eosin.errors import EosinError
from unit.data.layouts_10x import MPP, counts, hd_bins, visium_positions, write_bins, write_visium


@pytest.fixture(autouse=True)
def without_probe(monkeypatch: pytest.MonkeyPatch) -> None:
    """The walk through the file in another process takes most of a second, and none of these files crashes HDF5."""
    monkeypatch.setattr("eosin.storage.hdf5.probe", lambda path: None)


SEEN_PX = (1000, 900)
"""The picture that Space Ranger saw; its reduced copy is a fifth of it."""


def picture(file: Path, width: float, height: float) -> Path:
    Picture.new("RGB", (round(width), round(height))).save(file)
    return file


def sample(folder: Path) -> Path:
    write_visium(folder / "S" / "outs", counts(62), visium_positions())
    picture(folder / "S" / "outs" / "spatial" / "tissue_hires_image.png", SEEN_PX[0] * 0.2, SEEN_PX[1] * 0.2)
    return folder / "S"


def test_the_picture_itself_is_taken_as_it_is(tmp_path: Path) -> None:
    path = sample(tmp_path)
    picture(path / "S.png", *SEEN_PX)
    (one,) = read(path)
    assert one.image is not None and np.isclose(one.image.mpp, MPP)
    assert not any("scaled" in note for note in one.notes)


@pytest.mark.parametrize(("ratio", "said"), [(2.0, "2 x the picture"), (0.5, "1/2 of the picture"), (0.25, "1/4 of")])
def test_a_plain_multiple_of_the_picture_is_scaled_and_said(tmp_path: Path, ratio: float, said: str) -> None:
    path = sample(tmp_path)
    expected = read(path)[0]
    picture(path / "S.png", SEEN_PX[0] * ratio, SEEN_PX[1] * ratio)
    (one,) = read(path)
    assert one.image is not None and np.isclose(one.image.mpp, MPP / ratio)
    assert np.allclose(one.spots.xy_um, expected.spots.xy_um) and any(said in note for note in one.notes)
    given = read(path, mpp=MPP / ratio)[0]  # of the image that is there
    assert np.allclose(given.spots.xy_um, one.spots.xy_um) and given.image is not None
    assert np.isclose(given.image.mpp, one.image.mpp) and not any("is usual" in note for note in given.notes)


@pytest.mark.parametrize("size", [(900, 1000), (1300, 1170), (1000, 750), (1100, 1000)])
def test_another_picture_is_refused(tmp_path: Path, size: tuple[int, int]) -> None:
    """Turned, of a ratio that is not plain, cropped, with a margin."""
    path = sample(tmp_path)
    picture(path / "S.png", *size)
    with pytest.raises(
        EosinError, match=rf"S\.png: has {size[0]} x {size[1]} px, but the picture .* had 1000 x 900 px"
    ):
        read(path)


def test_the_same_holds_for_visium_hd(tmp_path: Path) -> None:
    frame = hd_bins(8, 16)
    square = write_bins(tmp_path / "H" / "outs" / "binned_outputs" / "square_016um", frame, counts(64))
    picture(square / "spatial" / "tissue_hires_image.png", 100, 90)
    picture(tmp_path / "H" / "H.png", 2000, 1800)
    (one,) = read(tmp_path / "H")
    assert one.image is not None and np.isclose(one.image.mpp, 0.125)
    assert read(tmp_path / "H", mpp=0.125)[0].fingerprint() == one.fingerprint()
    with pytest.raises(EosinError, match=r"--mpp says 0\.25 µm per pixel, microns_per_pixel says 0\.125"):
        read(tmp_path / "H", mpp=0.25)


# --- CytAssist ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["CytAssist_FFPE_Demo_tissue_image.tif", "V1_Demo_tissue_image.jpg"])
@pytest.mark.parametrize("beside", [None, "CytAssist_FFPE_Demo_image.tif"])
def test_the_microscopes_image_of_a_cytassist_run(tmp_path: Path, name: str, beside: str | None) -> None:
    path = sample(tmp_path)
    for file in filter(None, (name, beside)):
        (path / file).write_bytes(b"not an image, and nobody looks")
    (one,) = read(path)
    assert one.image is not None and one.image.path.name == name


def test_the_cytassists_own_picture_is_not_the_slide(tmp_path: Path) -> None:
    path = sample(tmp_path)
    (path / "CytAssist_FFPE_Demo_image.tif").write_bytes(b"not an image, and nobody looks")
    (one,) = read(path)
    assert one.image is not None and one.image.path.name == "tissue_hires_image.png"
    assert "CytAssist_FFPE_Demo_image.tif is the CytAssist's picture, not the microscope's" in one.notes


# --- several samples side by side -----------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", ["", "-1"])
@pytest.mark.parametrize(
    ("name", "other", "file", "own"),
    [
        ("S1", "S10", "S10_HE.png", False),
        ("S1", "S2", "S10_HE.png", False),
        ("S1", "S1_rep2", "S1_rep2_HE.png", False),
        ("S1", "S10", "S1_HE.png", True),
        ("S1", "S10", "S1-HE.png", True),
    ],
)
def test_an_image_is_of_the_sample_whose_whole_name_it_begins_with(
    tmp_path: Path, name: str, other: str, file: str, ending: str, *, own: bool
) -> None:
    """Of `spaceranger aggr` by the library's name, of a flat folder by the prefix."""
    picture(tmp_path / file, 10, 10)
    sample = Sample(tmp_path, "" if ending else name, ending=ending, others=(other,))
    slide, notes = find_slide(sample, name)
    assert (slide == tmp_path / file) == own and bool(notes) != own
