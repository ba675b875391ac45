"""`eosin predict RUN COHORT -o OUT`: a folder or table of slides, some broken, killed and gone on with."""

from __future__ import annotations

import csv
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from cli.conftest import ENCODER, MPP, Ground, Run, files_below
from eosin import score as eosin_score
from eosin.data import read_prediction
from eosin.data.slide_entries import entries_of


def summary(folder: str = "out") -> dict[str, dict[str, str]]:
    with (Path(folder) / "summary.csv").open(encoding="utf-8", newline="") as lines:
        return {row["id"]: row for row in csv.DictReader(lines)}


def test_all_sections_of_a_data_folder(eosin: Run, ground: Ground) -> None:
    """Each is predicted as by itself; a second run does nothing; sections beside it do not matter."""
    flags = ("--features", ground.features, "--draws", 3)
    said = eosin("predict", ground.ridge, ground.data, *flags, "-o", "out")
    assert said.code == 0, said.err
    names = [entry.id for entry in entries_of(ground.data)]
    assert f"{len(names)} of {len(names)} slides done; 0 failed; in out" in said.out and len(names) > 3
    assert list(summary()) == names and {row["status"] for row in summary().values()} == {"done"}
    assert eosin("predict", ground.ridge, ground.data, "--section", "B2", *flags, "-o", "b2.h5ad").code == 0
    alone, ours = read_prediction("b2.h5ad"), read_prediction("out/B2.h5ad")
    np.testing.assert_array_equal(alone.mean, ours.mean)
    assert summary()["B2"]["patient"] == "B" and int(summary()["B2"]["n_spots"]) == len(ours.spots)
    before = Path("out/B2.h5ad").stat().st_mtime_ns
    again = eosin("predict", ground.ridge, ground.data, *flags, "-o", "out")
    assert again.code == 0 and f"{len(names)} of them by an earlier run" in again.out
    assert Path("out/B2.h5ad").stat().st_mtime_ns == before
    other = eosin("predict", ground.ridge, ground.data, *flags, "--seed", 1, "-o", "out")
    assert other.code == 0 and "by an earlier run" not in other.out


def test_a_table_of_slides_some_of_them_broken(eosin: Run, ground: Ground) -> None:
    Path("slides").mkdir()
    for name in ("good", "same"):
        shutil.copy(ground.image, f"slides/{name}.jpg")
    Path("slides/broken.tif").write_bytes(b"II*\0 cut")
    Path("slides/points.csv").write_text("id,x_um,y_um\na,200,210\nb,300,300\n")
    Path("cohort.csv").write_text(
        "path,id,patient,mpp,points\n"
        f"slides/good.jpg,good,B,{MPP},slides/points.csv\n"
        f"slides/same.jpg,new,,{MPP},slides/points.csv\n"
        f"slides/broken.tif,broken,,{MPP},\n"
        f"slides/nowhere.svs,gone,,{MPP},\n"
    )
    said = eosin("predict", ground.ridge, "cohort.csv", "-o", "out", "--on", "processes:2")
    assert said.code == 3, said.err
    assert "2 of 4 slides done; 2 failed" in said.out
    found = summary()
    assert [found[id_]["status"] for id_ in ("good", "new", "broken", "gone")] == ["done", "done", "failed", "failed"]
    assert "nowhere.svs: no such file" in found["gone"]["reason"] and "broken.tif" in found["broken"]["reason"]
    bars = [read_prediction(f"out/{name}.h5ad").error_bars for name in ("good", "new")]
    assert [bar and bar.kind for bar in bars] == ["known patient", "new patient"]
    assert not Path("out/broken.h5ad").exists() and not Path("out/gone.h5ad").exists()
    shutil.copy(ground.image, "slides/nowhere.svs")
    mended = eosin("predict", ground.ridge, "cohort.csv", "-o", "out", "--shard", "2/2", "--pitch-um", 120)
    assert mended.code == 0 and "2 of 2 slides done" in mended.out  # new again, since the pitch is another; gone
    assert summary()["gone"]["status"] == "done" and summary()["broken"]["status"] == "failed"


@pytest.mark.parametrize("flags", [("--on", "cloud"), ("--on", "processes:0"), ("--shard", "3/2")])
def test_an_impossible_wish_is_one_line_before_anything_is_done(
    eosin: Run, ground: Ground, flags: tuple[str, ...]
) -> None:
    assert eosin("predict", ground.ridge, ground.data, *flags, "-o", "out").complaint
    assert not Path("out").exists()


def test_one_slide_is_no_cohort(eosin: Run, ground: Ground) -> None:
    said = eosin("predict", ground.ridge, ground.image, "--mpp", MPP, "--shard", "1/2", "-o", "p.h5ad")
    assert "--on and --shard are for cohorts" in said.complaint
    several = eosin("predict", ground.ridge, ground.data, "-o", "p.h5ad")
    assert "name one: --section" in several.complaint and "or let -o name a folder" in several.complaint


def test_slides_of_a_folder_are_encoded_and_then_predicted(eosin: Run, ground: Ground) -> None:
    """Features are called by the slide's id, which names the outputs too."""
    Path("slides").mkdir()
    shutil.copy(ground.image, "slides/x.jpg")
    shutil.copy(ground.data / "images" / "B1.jpg", "slides/y.jpg")
    Path("slides/z.tif").write_bytes(b"II*\0 cut")
    flags = ("--mpp", MPP, "--pitch-um", 150)
    said = eosin("encode", "slides", *flags, "--encoder", ENCODER, "-o", "features")
    assert said.code == 3 and "2 of 3 slides done; 1 failed; in features, see features/summary-encode.csv" in said.out
    assert sorted(file.name for file in Path("features").rglob("*.h5")) == ["x.h5", "y.h5"]
    again = eosin("encode", "slides", *flags, "--encoder", ENCODER, "-o", "features", "--on", "here")
    assert "2 of them by an earlier run" in again.out
    done = eosin("predict", ground.ridge, "slides", *flags, "--features", "features", "-o", "out")
    assert done.code == 3 and "2 of 3 slides done" in done.out
    assert not Path("eosin-cache").exists()  # nothing was encoded anew
    made = read_prediction("out/x.h5ad")
    assert made.section == "x" and summary()["x"]["patient"] == "x"


def test_a_slide_lacks_the_features_of_one_of_two_encoders(eosin: Run, ground: Ground) -> None:
    Path("slides").mkdir()
    for name in ("x", "y"):
        shutil.copy(ground.image, f"slides/{name}.jpg")
    ask = (
        "encode",
        "slides",
        "--mpp",
        MPP,
        "--pitch-um",
        150,
        "--encoder",
        f"{ENCODER},stain?px=112",
        "-o",
        "features",
    )
    assert eosin(*ask).code == 0
    record = json.loads(Path("features/.eosin/encode/x.json").read_text())
    files = [Path("features", name) for name in (record["output"], *record["more_outputs"])]
    assert len(files) == 2 and {file.name for file in files} == {"x.h5"}
    written = [file.stat().st_mtime_ns for file in files]
    assert "2 of them by an earlier run" in eosin(*ask).out
    files[1].unlink()
    assert "1 of them by an earlier run" in eosin(*ask).out
    assert files[1].exists() and files[0].stat().st_mtime_ns == written[0]  # only what was not there was encoded


def test_sections_of_one_name_are_called_by_their_folders(eosin: Run, ground: Ground) -> None:
    """As the outputs of one vendor's pipeline are."""
    folders = [shutil.copytree(ground.data, f"run{i}") for i in (1, 2)]
    rows = [f"{folder},{folder},A1,P{i}" for i, folder in enumerate(folders, 1)]
    Path("cohort.csv").write_text("path,id,section,patient\n" + "\n".join(rows) + "\n")
    said = eosin("predict", ground.ridge, "cohort.csv", "-o", "out")
    assert said.code == 3  # the file says that A1 is of patient A
    assert all("is of patient 'A' by its file" in row["reason"] for row in summary().values())
    Path("cohort.csv").write_text("path,id,section\n" + "\n".join(f"{folder},{folder},A1" for folder in folders) + "\n")
    said = eosin("predict", ground.ridge, "cohort.csv", "-o", "out")
    assert said.code == 0, said.err
    one, other = read_prediction("out/run1.h5ad"), read_prediction("out/run2.h5ad")
    assert (one.section, other.section) == ("run1", "run2") and np.array_equal(one.mean, other.mean)


def test_predictions_of_a_cohort_are_scored_and_get_pages(eosin: Run, ground: Ground) -> None:
    Path("p").mkdir()
    for name in ("A1", "copy"):
        shutil.copy(ground.prediction, f"p/{name}.h5ad")
    Path("p/broken.h5ad").write_bytes(b"no HDF5")
    gene = read_prediction(ground.prediction).panel.names[0]
    said = eosin("score", "p", ground.data, "-o", "scores", "--biomarkers", gene)
    assert said.code == 3 and "2 of 3 slides done; 1 failed; in scores, see scores/summary-score.csv" in said.out
    scores = eosin_score(ground.prediction, ground.data, biomarkers=gene)
    assert json.loads(Path("scores/A1.json").read_text()) == json.loads(json.dumps(scores))
    with Path("scores/summary-score.csv").open(encoding="utf-8", newline="") as lines:
        rows = {row["id"]: row for row in csv.DictReader(lines)}
    assert float(rows["copy"]["pcc_mean"]) == pytest.approx(scores["pcc"]["mean"])
    assert "broken.h5ad" in rows["broken"]["reason"]
    again = eosin("score", "p", ground.data, "-o", "scores", "--biomarkers", gene)
    assert "2 of them by an earlier run" in again.out
    asked = eosin("score", "p", ground.data, "-o", "scores")
    assert "by an earlier run" not in asked.out  # another question
    Path("p/broken.h5ad").unlink()
    pages = eosin("report", "p", "--truth", ground.data, "-o", "pages", "--shard", "1/2")
    assert pages.code == 0, pages.err
    assert [page.name for page in sorted(Path("pages").glob("*.html"))] == ["A1.html", "index.html"]
    index = Path("pages/index.html").read_text(encoding="utf-8")
    assert 'href="A1.html"' in index and index.count("data:image/jpeg") == 1 and 'href="copy.html"' not in index
    assert eosin("report", "p", "--truth", ground.data, "-o", "pages", "--shard", "2/2").code == 0
    index = Path("pages/index.html").read_text(encoding="utf-8")
    assert index.index('href="A1.html"') < index.index('href="copy.html"')
    Path("p/hurt.h5ad").write_bytes(b"cut")
    assert eosin("report", "p", "-o", "others").code == 3
    assert re.search("<b>hurt</b>\\s*<p class=.warn-line.>failed: ", Path("others/index.html").read_text("utf-8"))
    Path("p/hurt.h5ad").unlink()
    for words in (("score", "p", ground.data), ("score", ground.prediction, ground.data, "--shard", "1/1")):
        assert re.search("give a folder", eosin(*words).complaint)
    Path("none").mkdir()
    assert "holds no prediction" in eosin("score", "none", ground.data, "-o", "s").complaint


@pytest.mark.parametrize("to", ["csv", "zarr"])
def test_predictions_of_a_folder_are_exported(to: str, eosin: Run, ground: Ground) -> None:
    Path("p").mkdir()
    for name in ("A1", "copy"):
        shutil.copy(ground.prediction, f"p/{name}.h5ad")
    Path("p/broken.h5ad").write_bytes(b"no HDF5")
    gene = read_prediction(ground.prediction).panel.names[1]
    words = ("export", "p", "-o", "files", "--to", to, "--genes", gene)
    said = eosin(*words)
    assert said.code == 3 and "2 of 3 slides done; 1 failed; in files, see files/summary-export.csv" in said.out
    assert eosin("export", ground.prediction, "-o", f"one.{to}", "--genes", gene).code == 0
    if to == "csv":
        assert Path("files/copy.csv").read_bytes() == Path("one.csv").read_bytes()
    else:
        assert files_below(Path("files/copy.zarr")) == files_below(Path("one.zarr"))
    assert "2 of them by an earlier run" in eosin(*words).out
    stale = [Path(f"files/.copy.{to}-abcd1234"), Path(f"files/.copy.{to}-old-12")]  # of runs that were killed
    for folder in stale:
        folder.mkdir()
    again = eosin("export", "p", "-o", "files", "--to", to)  # all genes: another question
    assert "by an earlier run" not in again.out and not any(folder.exists() for folder in stale)


def test_a_folder_is_exported_to_a_format_that_is_named(eosin: Run, ground: Ground) -> None:
    folder = ground.prediction.parent
    assert "give it, as --to csv" in eosin("export", folder, "-o", "files").complaint
    assert "names the format" in eosin("export", ground.prediction, "-o", "A1.csv", "--to", "csv").complaint
    assert "names no format" in eosin("export", folder, "-o", "files", "--to", "docx").complaint
    assert "takes no --outline" in eosin("export", folder, "-o", "files", "--to", "csv", "--outline", "point").complaint
    assert "for cohorts" in eosin("export", ground.prediction, "-o", "A1.csv", "--shard", "1/2").complaint
    assert not Path("files").exists()
