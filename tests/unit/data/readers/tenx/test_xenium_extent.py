"""Positions of Xenium in pixels are told by whatever says how large the region is: cells, a picture, an area."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile

from eosin.data import read
from eosin.errors import EosinError
from unit.data.layouts_10x import GENES, counts, transcripts, write_h5, xenium

SIZE_UM, PIXEL_UM = 700.0, 0.2125


def morphology(folder: Path, name: str) -> None:
    """An image of 16 bit, as Xenium's are, that covers the region."""
    (folder / name).parent.mkdir(exist_ok=True)
    side = int(SIZE_UM / PIXEL_UM) + 10
    tifffile.imwrite(folder / name, np.zeros((side, side), np.uint16), compression="deflate", metadata={"axes": "YX"})


def cells_as_text(folder: Path) -> None:
    places = np.random.default_rng(1).uniform(0, SIZE_UM, (80, 2))
    table = pd.DataFrame({"cell_id": range(80), "x_centroid": places[:, 0], "y_centroid": places[:, 1]})
    table.to_csv(folder / "cells.csv.gz", index=False)


def area(folder: Path) -> None:
    facts = {"pixel_size": PIXEL_UM, "region_area": SIZE_UM**2}
    (folder / "experiment.xenium").write_text(json.dumps(facts))


TELL: dict[str, Callable[[Path], None]] = {
    "picture": lambda folder: morphology(folder, "morphology.ome.tif"),
    "picture in focus": lambda folder: morphology(folder, "morphology_focus/morphology_focus_0000.ome.tif"),
    "cells as text": cells_as_text,
    "area": area,
}


def in_pixels(folder: Path) -> None:
    table = transcripts(seed=0)
    table[["x_location", "y_location"]] /= PIXEL_UM
    table.to_parquet(folder / "transcripts.parquet", index=False)


@pytest.mark.parametrize("by", TELL)
def test_transcripts_in_pixels(tmp_path: Path, by: str) -> None:
    folder = xenium(tmp_path, ["R1"]) / "R1"
    (expected,) = read(tmp_path)
    assert any("transcripts are taken to be in µm" in note for note in expected.notes)
    TELL[by](folder)
    (section,) = read(tmp_path)
    assert section.spots.ids == expected.spots.ids and not any("taken to be" in note for note in section.notes)
    in_pixels(folder)
    with pytest.raises(EosinError, match=r"transcripts (reach x = 3\d+ µm|fill a box of 10\.\d mm²).*in µm and not in"):
        read(tmp_path)


def test_a_region_of_odd_outline_fills_little_of_its_box(tmp_path: Path) -> None:
    folder = xenium(tmp_path, ["R1"]) / "R1"
    facts = {"pixel_size": PIXEL_UM, "region_area": SIZE_UM**2 / 6}
    (folder / "experiment.xenium").write_text(json.dumps(facts))
    assert len(read(tmp_path)[0]) == 49


@pytest.mark.parametrize("unit", ["spots", "cells"])
def test_cells_in_pixels(tmp_path: Path, unit: str) -> None:
    folder = xenium(tmp_path, ["R1"]) / "R1"
    (folder / "transcripts.parquet").unlink()
    names = [f"c{i}" for i in range(80)]
    write_h5(folder / "cell_feature_matrix.h5", counts(80), names, GENES, ["Gene Expression"] * len(GENES))
    places = np.random.default_rng(1).uniform(0, SIZE_UM, (80, 2))
    morphology(folder, "morphology_mip.ome.tif")
    for factor in (1.0, PIXEL_UM):
        x, y = places.T / factor
        table = pd.DataFrame({"cell_id": names, "x_centroid": x, "y_centroid": y, "cell_area": 80.0})
        table.to_parquet(folder / "cells.parquet", index=False)
        if factor == 1.0:
            read(tmp_path, unit=unit)
        else:
            with pytest.raises(EosinError, match=r"cells reach x = 3\d+ µm, morphology_mip\.ome\.tif 702"):
                read(tmp_path, unit=unit)


def test_a_picture_that_does_not_open_tells_nothing(tmp_path: Path) -> None:
    folder = xenium(tmp_path, ["R1"]) / "R1"
    (folder / "morphology.ome.tif").write_bytes(b"II*\0")
    assert any("taken to be in µm" in note for note in read(tmp_path)[0].notes)


def numbered_cells(folder: Path, values: np.ndarray) -> None:
    """Cells 1, 2, 3, ..., as early outputs have them, with their totals."""
    names = [f"{i + 1}" for i in range(len(values))]
    write_h5(folder / "cell_feature_matrix.h5", values, names, GENES, ["Gene Expression"] * len(GENES))
    x, y = np.random.default_rng(1).uniform(0, SIZE_UM, (2, len(values)))
    table = pd.DataFrame({"cell_id": range(1, len(values) + 1), "x_centroid": x, "y_centroid": y, "cell_area": 80.0})
    table["transcript_counts"] = values.sum(1)
    table.to_parquet(folder / "cells.parquet", index=False)


@pytest.mark.parametrize("unit", ["spots", "cells"])
def test_cells_of_another_region_with_the_same_numbers(tmp_path: Path, unit: str) -> None:
    folder = xenium(tmp_path, ["R1"]) / "R1"
    (folder / "transcripts.parquet").unlink()
    values = counts(80) * np.arange(1, 81)[:, None]
    numbered_cells(folder, values)
    assert not any("transcript_counts" in note for note in read(tmp_path, unit=unit)[0].notes)
    table = pd.read_parquet(folder / "cells.parquet")
    table.assign(transcript_counts=table["transcript_counts"] * 2).to_parquet(folder / "cells.parquet", index=False)
    said = "transcript_counts differ from the matrix for 80 of 80 cells: is it of another panel"
    assert any(said in note for note in read(tmp_path, unit=unit)[0].notes)
    table["transcript_counts"] = table["transcript_counts"].to_numpy()[::-1]
    table.to_parquet(folder / "cells.parquet", index=False)
    with pytest.raises(EosinError, match=r"cells\.parquet: transcript_counts differ from the matrix for \d+ of 80"):
        read(tmp_path, unit=unit)
