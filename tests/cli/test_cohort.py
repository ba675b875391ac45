"""`eosin predict RUN COHORT -o OUT`: a folder or table of slides, some broken, killed and gone on with."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import numpy as np
import pytest

from cli.conftest import MPP, Ground, Run
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
