"""What a cohort holds: folders of slides, data of several sections, manifests; and what cannot be one."""

from __future__ import annotations

from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from PIL import Image as Picture

import eosin
from eosin.data.slide_entries import SlideEntry, entries_of, is_cohort, of_shard
from eosin.errors import EosinError
from eosin.options import LayoutOptions, ReadOptions


def picture(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Picture.fromarray(np.full((8, 8, 3), 200, np.uint8)).save(path)
    return path


def anndata(path: Path) -> None:
    positions = np.arange(24.0).reshape(12, 2) * 100
    ad.AnnData(np.ones((12, 3), np.float32), obsm={"spatial": positions}).write_h5ad(path)


def test_a_folder_of_slides_and_data(tmp_path: Path) -> None:
    picture(tmp_path / "b.tif")
    picture(tmp_path / "a.ome.tif")
    anndata(tmp_path / "c.h5ad")
    (tmp_path / "notes.txt").write_text("x")
    (tmp_path / ".hidden.tif").write_text("x")
    (tmp_path / "empty").mkdir()
    assert is_cohort(tmp_path)
    found = entries_of(tmp_path)
    assert [(entry.id, entry.path.name) for entry in found] == [("a", "a.ome.tif"), ("b", "b.tif"), ("c", "c.h5ad")]
    assert found[0].section is None and found[2].section is not None


def test_what_cannot_be_listed_is_an_entry_that_will_fail(tmp_path: Path) -> None:
    picture(tmp_path / "a.tif")
    (tmp_path / "broken.h5ad").write_bytes(b"no HDF5")
    assert [entry.id for entry in entries_of(tmp_path)] == ["a", "broken"]


def test_an_image_of_a_sections_file_is_no_slide_of_its_own(tmp_path: Path) -> None:
    picture(tmp_path / "b.tif")
    picture(tmp_path / "c.tif")
    anndata(tmp_path / "c.h5ad")
    assert [(entry.id, entry.path.name) for entry in entries_of(tmp_path)] == [("b", "b.tif"), ("c", "c.h5ad")]


def test_images_beside_several_sections_are_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for name in "cd":
        anndata(tmp_path / f"{name}.h5ad")
        picture(tmp_path / f"{name}.tif")
    picture(tmp_path / "other.tif")
    assert [entry.section for entry in entries_of(tmp_path)] == ["c", "d"]
    assert "1 image beside the sections left out, first 'other.tif'" in caplog.text


def test_an_image_whose_name_only_begins_like_a_section_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("S1", "S2"):
        anndata(tmp_path / f"{name}.h5ad")
        picture(tmp_path / f"{name}_he.tif")
    picture(tmp_path / "S10.tif")
    entries_of(tmp_path)
    assert "1 image beside the sections left out, first 'S10.tif'" in caplog.text


def test_two_slides_of_one_name_need_a_manifest(tmp_path: Path) -> None:
    picture(tmp_path / "a.tif")
    picture(tmp_path / "a.png")
    with pytest.raises(EosinError, match="two slides are called 'a'; give the slides ids of their own"):
        entries_of(tmp_path)


def test_a_single_slide_and_an_empty_folder_are_no_cohort(tmp_path: Path) -> None:
    assert not is_cohort(tmp_path)
    assert not is_cohort(picture(tmp_path / "x" / "a.tif"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(EosinError, match="holds no slide or section"):
        entries_of(tmp_path / "empty")


ROWS = pd.DataFrame(
    {
        "Path": ["a.tif", "sub/b.svs", "c"],
        "ID": ["", "second", None],
        "patient": ["P1", "unknown", "nan"],
        "mpp": ["0.5", "", "0.25"],
        "section": ["", "", "S2"],
        "points": ["", "b.csv", ""],
        "magnification": ["20", "40", "20"],
    }
)


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".parquet"])
def test_a_manifest_says_what_each_slide_is(tmp_path: Path, suffix: str, caplog: pytest.LogCaptureFixture) -> None:
    file = tmp_path / f"cohort{suffix}"
    if suffix == ".parquet":
        ROWS.to_parquet(file)
    else:
        ROWS.to_csv(file, index=False, sep="\t" if suffix == ".tsv" else ",")
    assert is_cohort(file)
    with caplog.at_level("INFO"):
        found = entries_of(file)
    assert found == [
        SlideEntry("a", tmp_path / "a.tif", patient="P1", mpp=0.5),
        SlideEntry("second", tmp_path / "sub" / "b.svs", points=tmp_path / "b.csv"),
        SlideEntry("c-S2", tmp_path / "c", section="S2", mpp=0.25),
    ]
    assert "not used: magnification" in caplog.text


def test_semicolons_and_numbers_of_patients(tmp_path: Path) -> None:
    file = tmp_path / "cohort.csv"
    file.write_text("\ufeffpath;patient\na.tif;007\nb.tif;8\n", encoding="utf-8")
    assert [entry.patient for entry in entries_of(file)] == ["007", "8"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("file,mpp\na.tif,1\n", "has no column 'path'"),
        ("x,y\n1,2\n", "give the slide, and this table by --points"),
        ("path,mpp\na.tif,0.5\nb.tif,ten\n", "line 3: ten µm per pixel is impossible"),
        ("path,mpp\na.tif,-1\n", "line 2: -1 µm per pixel is impossible"),
        ("path,id\na.tif,x\n,y\n", "line 3 has no path"),
        ("path,id\na.tif,x\nb.tif,x\n", "two slides are called 'x'"),
        ("path,id\na.tif,../x\n", "line 2: '../x' cannot name a file"),
        ("path,path\na,b\n", "column"),
        ("path\n", "holds no slide or section"),
        ('path,mpp\na.tif,"0,5"\n', "line 2: 0,5 µm per pixel is impossible; write 0.5, not 0,5"),
        ("path,mpp\na.tif,0,5\nb.tif,0,5\n", "line 2 has 3 cells where the heading has 2"),
        ("path,id\na.tif\n", "line 2 has 1 cell where the heading has 2"),
        (
            "path,id,patient\na.tif,A,P1\n\n./a.tif,B,P2\n",
            "lines 2 and 4 are of the same slide, a.tif, and name patients 'P1' and 'P2'",
        ),
    ],
)
def test_a_manifest_that_cannot_be_is_one_line(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "cohort.csv"
    file.write_text(text)
    with pytest.raises(EosinError, match=message):
        entries_of(file)


def test_the_encoding_of_excel_is_named(tmp_path: Path) -> None:
    (tmp_path / "cohort.csv").write_text("path,mpp\na.tif,1\n", encoding="utf-16")
    with pytest.raises(EosinError, match=r"is text in UTF-16; save it as UTF-8 \(Excel: CSV UTF-8\)"):
        entries_of(tmp_path / "cohort.csv")


@pytest.mark.parametrize(
    ("heading", "meant"),
    [
        ("patient_id", "patient"),
        ("Donor", "patient"),
        ("um_per_px", "mpp"),
        ("MPP_x", "mpp"),
        ("mpp_um", "mpp"),
        ("Pixel Size (um)", "mpp"),
        ("microns_per_pixel", "mpp"),
        ("spacing", "mpp"),
        ("tissue mask", "tissue"),
    ],
)
def test_a_column_that_is_nearly_one_is_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, heading: str, meant: str
) -> None:
    (tmp_path / "cohort.csv").write_text(f"path,{heading},stain\na.tif,1,HE\n")
    entries_of(tmp_path / "cohort.csv")
    warnings = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert warnings == [
        f"{tmp_path}/cohort.csv: column '{heading.lower()}' is not used; call it '{meant}' if it is that"
    ]


def test_a_slide_that_is_listed_twice_is_a_warning_unless_its_parts_are(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "cores.csv").write_text("path,id,patient,tissue\na.tif,A,P1,a.geojson\na.tif,B,P2,b.geojson\n")
    assert [entry.patient for entry in entries_of(tmp_path / "cores.csv")] == ["P1", "P2"] and not caplog.text
    (tmp_path / "cohort.csv").write_text("path,id\na.tif,A\na.tif,B\n")
    assert len(entries_of(tmp_path / "cohort.csv")) == 2
    assert "lines 2 and 3 are of the same slide, a.tif" in caplog.text


def test_paths_as_windows_and_shells_write_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    picture(tmp_path / "img" / "a.tif")
    (tmp_path / "odd\\name.tif").write_text("x")
    (tmp_path / "cohort.csv").write_text("path\nimg\\a.tif\n~/b.tif\nodd\\name.tif\n")
    entries = entries_of(tmp_path / "cohort.csv")
    assert [entry.path for entry in entries] == [
        tmp_path / "img" / "a.tif",
        tmp_path / "home" / "b.tif",
        tmp_path / "odd\\name.tif",
    ]
    assert entries[0].id == "a"


def test_info_lists_a_table_of_slides(tmp_path: Path) -> None:
    picture(tmp_path / "a.tif")
    (tmp_path / "cohort.csv").write_text("path,patient,mpp\na.tif,P1,0.5\nb.tif,,\n")
    facts = eosin.info(tmp_path / "cohort.csv")
    assert facts["kind"] == "cohort" and facts["missing"] == 1 and "eosin encode" in facts["taken_by"]
    assert [(slide["id"], slide["patient"], slide["mpp"], slide["file"]) for slide in facts["slides"]] == [
        ("a", "P1", 0.5, ""),
        ("b", None, None, "missing"),
    ]


def test_what_an_entry_says_goes_before_what_all_are_told() -> None:
    entry = SlideEntry("a", Path("a.tif"), mpp=0.25, tissue=Path("t.geojson"))
    assert entry.reading(ReadOptions(mpp=1.0, patient="P")) == ReadOptions(mpp=0.25, patient="P")
    assert entry.layout(LayoutOptions(pitch_um=50)) == LayoutOptions(pitch_um=50, tissue=Path("t.geojson"))


def test_shards_share_out_all_and_nothing_twice() -> None:
    entries = [SlideEntry(str(i), Path(str(i))) for i in range(11)]
    parts = [of_shard(entries, f"{i}/4") for i in range(1, 5)]
    assert sorted(int(e.id) for part in parts for e in part) == list(range(11))
    assert max(map(len, parts)) - min(map(len, parts)) <= 1 and of_shard(entries, None) == entries
    for wrong in ("0/4", "5/4", "1", "a/b", "1/0", "²/3"):
        with pytest.raises(EosinError, match="--shard is"):
            of_shard(entries, wrong)


def test_marks_in_cells_are_not_taken_for_what_parts_columns(tmp_path: Path) -> None:
    file = tmp_path / "cohort.csv"
    file.write_text("path,patient\na.tif,P;1\nb.tif,P\t2\n")
    assert [entry.patient for entry in entries_of(file)] == ["P;1", "P\t2"]


def test_what_is_left_out_is_said_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """However often it is asked whether the folder is a cohort."""
    for name in "cd":
        anndata(tmp_path / f"{name}.h5ad")
    picture(tmp_path / "other.tif")
    assert is_cohort(tmp_path) and len(entries_of(tmp_path)) == 2
    assert caplog.text.count("left out") == 1


def test_folders_that_are_slides(tmp_path: Path) -> None:
    """An OME-Zarr is one slide, in a cohort and alone; other stores of zarr are not, and are named whole."""
    for name in ("b.ome.zarr", "a.zarr"):
        (tmp_path / name / "0").mkdir(parents=True)
        (tmp_path / name / ".zattrs").write_text('{"multiscales": []}')
    (tmp_path / "other.zarr").mkdir()
    (tmp_path / "other.zarr" / ".zattrs").write_text("{}")
    assert [(entry.id, entry.path.name) for entry in entries_of(tmp_path)] == [("a", "a.zarr"), ("b", "b.ome.zarr")]
    assert is_cohort(tmp_path)
    assert not is_cohort(tmp_path / "a.zarr")
    assert [entry.id for entry in entries_of(tmp_path / "b.ome.zarr")] == ["b"]
