"""Slides that are folders (OME-Zarr, DICOM), and CZI, from end to end, beside the same picture as one file."""

from __future__ import annotations

import shutil
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cli.conftest import ENCODER, MPP, Ground, Run
from eosin.api.info import info
from eosin.data import read, read_prediction
from eosin.data.readers.native import write_sections
from eosin.features.feature_file import read_features
from eosin.types import Image as SectionImage
from eosin.viewer import compose
from unit.data import layouts_10x
from unit.slide import pictures
from unit.slide.czi_files import mosaic, save_czi
from unit.slide.dicom_files import save_dicom
from unit.slide.zarr_files import save_zarr

WITH = ("--encoder", ENCODER)
WIDE = ("--pitch-um", 120)


@pytest.fixture(scope="session")
def pixels(ground: Ground) -> np.ndarray:
    return np.asarray(Image.open(ground.image))


@pytest.fixture
def store(tmp_path: Path, pixels: np.ndarray) -> Path:
    """An OME-Zarr that says its scale; one level, as the picture beside it."""
    return save_zarr(tmp_path / "slide.ome.zarr", pixels, MPP, n_levels=1)


@pytest.fixture
def picture(tmp_path: Path, pixels: np.ndarray) -> Path:
    """The same as one file."""
    return pictures.save_pyramid(tmp_path / "file.tif", pixels, MPP, n_levels=1)


def values(features: Path | str, name: str) -> np.ndarray:
    (file,) = Path(features).glob(f"*/{name}.h5")
    return read_features(file).values


def test_info(store: Path) -> None:
    facts = info(store)
    assert (facts["kind"], facts["size_px"], facts["mpp"], facts["read_by"]) == ("slide", [350, 350], MPP, "zarr")


def test_features_and_predictions_are_those_of_the_picture_as_one_file(
    eosin: Run, ground: Ground, store: Path, picture: Path
) -> None:
    for slide in (store, picture):
        said = eosin("encode", slide, *WIDE, *WITH, "-o", "F")
        assert said.code == 0, said.err
        assert eosin("predict", ground.ridge, slide, *WIDE, "-o", f"{slide.name}.h5ad").code == 0
    assert np.array_equal(values("F", "slide"), values("F", "file"))
    ours, theirs = (read_prediction(f"{slide.name}.h5ad") for slide in (store, picture))
    assert (ours.section, ours.spots.ids) == ("slide", theirs.spots.ids)
    assert np.array_equal(ours.mean, theirs.mean)
    assert ours.image is not None and ours.image.path.samefile(store)


def test_finished_features_are_kept_until_the_folder_changes(eosin: Run, store: Path, pixels, caplog) -> None:
    Path("p.csv").write_text("x_um,y_um\n200,210\n300,300\n400,250\n")
    given = ("encode", store, "--points", "p.csv", *WITH, "-o", "F")
    assert eosin(*given).code == 0
    (file,) = Path("F").glob("*/slide.h5")
    before = file.stat().st_mtime_ns
    assert eosin(*given).code == 0
    assert file.stat().st_mtime_ns == before
    shutil.rmtree(store)
    save_zarr(store, 255 - pixels, MPP, n_levels=1)
    assert eosin(*given).code == 0
    assert "made with another image" in caplog.text
    assert file.stat().st_mtime_ns > before


def test_thumbnail_tissue_report_and_viewer(eosin: Run, ground: Ground, store: Path) -> None:
    assert eosin("tissue", store, "-o", "m.geojson").code == 0
    assert eosin("predict", ground.ridge, store, *WIDE, "-o", "p.h5ad").code == 0
    assert eosin("report", "p.h5ad", "-o", "p.html").code == 0
    scene = compose(read_prediction("p.h5ad"))
    assert scene.pyramid is not None and scene.pyramid.slide.library == "zarr"
    assert not [note for note in scene.notes if "slide" in note]
    scene.pyramid.slide.close()
    said = eosin("view", "p.h5ad", "--slide", store, "--export", "page")
    assert said.code == 0, said.err


def test_a_cohort_of_folders_and_files(
    eosin: Run, ground: Ground, store: Path, picture: Path, tmp_path, pixels
) -> None:
    """A slide each: an OME-Zarr, a TIFF, a folder of DICOM, DICOM files of two slides side by side, a CZI."""
    pytest.importorskip("pydicom")
    cohort = store.parent / "cohort"
    (cohort / "series").mkdir(parents=True)
    store.rename(cohort / store.name)
    picture.rename(cohort / picture.name)
    save_dicom(cohort / "series", pixels, MPP, n_levels=2)
    for uid in ("1.5", "1.6"):
        save_dicom(cohort, pixels, MPP, n_levels=2, uid=uid)
    save_czi(cohort / "zeiss.czi", mosaic(pixels), MPP)
    said = eosin("encode", cohort, *WIDE, *WITH, "-o", "F")
    assert said.code == 0, said.err
    names = {file.stem for file in Path("F").glob("*/*.h5")}
    assert names == {"slide", "file", "series", "1.5-0", "1.6-0", "zeiss"}
    assert np.array_equal(values("F", "slide"), values("F", "file"))
    assert np.array_equal(values("F", "zeiss"), values("F", "file"))
    assert np.array_equal(values("F", "1.5-0"), values("F", "series"))
    said = eosin("predict", ground.ridge, cohort, *WIDE, "--features", "F", "-o", "P")
    assert said.code == 0, said.err
    assert {file.stem for file in Path("P").glob("*.h5ad")} == names


def test_a_manifest_names_folders(eosin: Run, store: Path) -> None:
    Path("slides.csv").write_text(f"path,patient\n{store.name},P1\n")
    said = eosin("encode", "slides.csv", *WIDE, *WITH, "-o", "F")
    assert said.code == 0, said.err
    assert values("F", "slide").shape[0] > 10
    before = next(Path("F").glob("*/slide.h5")).stat().st_mtime_ns
    assert eosin("encode", "slides.csv", *WIDE, *WITH, "-o", "F").code == 0
    assert next(Path("F").glob("*/slide.h5")).stat().st_mtime_ns == before


def test_a_sample_of_visium_whose_image_is_one(tmp_path: Path) -> None:
    outs = tmp_path / "S1" / "outs"
    frame = layouts_10x.visium_positions()
    layouts_10x.write_visium(outs, layouts_10x.counts(62), frame)
    side = int(frame["pxl_row_in_fullres"].max()) + 1000
    blank = np.full((side, side, 3), 200, np.uint8)
    save_zarr(tmp_path / "S1.ome.zarr", blank, layouts_10x.MPP, n_levels=1, chunk=1024)
    (section,) = read(tmp_path)
    assert section.image is not None
    assert (section.image.path.name, section.image.mpp) == ("S1.ome.zarr", pytest.approx(layouts_10x.MPP, rel=0.01))


def test_sections_written_by_eosin_point_at_it(tmp_path: Path, ground: Ground, store: Path) -> None:
    """A folder is not copied: the section says where it is, as of other slides of several files."""
    (section,) = read(ground.data, sections=["A1"])
    section = replace(section, image=SectionImage(store, MPP))
    (again,) = read(write_sections([section], tmp_path / "written"))
    assert again.image is not None and again.image.path.samefile(store)
    assert not (tmp_path / "written" / "images").exists()


WRONG = {
    "train": (("train", "slide.ome.zarr", "-o", "r"), "it is the image of a slide, without counts"),
    "zip": (("predict", "RIDGE", "packed.ome.zarr.zip", "-o", "p.h5ad"), "unzip 'packed.ome.zarr.zip' -d '.'"),
    "flat zip": (("encode", "flat.zarr.zip", *WITH, "-o", "f"), "unzip 'flat.zarr.zip' -d 'flat.zarr'"),
    "store": (("predict", "RIDGE", "other.zarr", "-o", "p.h5ad"), "other.zarr: "),
    "gone": (("tissue", "gone.ome.zarr", "-o", "m.geojson"), "gone.ome.zarr: no such"),
    "no scale": (("predict", "RIDGE", "bare.zarr", "-o", "p.h5ad"), "does not say its µm per pixel; give the scale by"),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_is_wrong_is_one_line(eosin: Run, ground: Ground, store: Path, what: str, pixels: np.ndarray) -> None:
    with zipfile.ZipFile("packed.ome.zarr.zip", "w") as archive:
        archive.writestr("packed.ome.zarr/zarr.json", "{}")
    with zipfile.ZipFile("flat.zarr.zip", "w") as archive:
        archive.writestr("zarr.json", "{}")
    Path("other.zarr").mkdir()
    Path("other.zarr/zarr.json").write_text('{"zarr_format": 3, "node_type": "group", "attributes": {}}')
    save_zarr(Path("bare.zarr"), pixels, None, n_levels=1)
    command, told = WRONG[what]
    complaint = eosin(*(ground.ridge if word == "RIDGE" else word for word in command)).complaint
    assert told in complaint
    assert not list(Path().glob("*.h5ad"))
