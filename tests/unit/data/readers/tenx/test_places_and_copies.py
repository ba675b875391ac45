"""Positions that a tool lost, and reduced copies that are of two pictures by their scale factors."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from eosin.data import read
from eosin.errors import EosinError
from unit.data.layouts_10x import counts, visium_hd, visium_positions, write_visium

PX = ["pxl_row_in_fullres", "pxl_col_in_fullres"]


@pytest.mark.parametrize("place", [0.0, -1.0])
def test_spots_at_one_place_are_left_out_and_do_not_change_the_scale(tmp_path: Path, place: float) -> None:
    positions = visium_positions()
    write_visium(tmp_path / "S1" / "outs", counts(62), positions)
    (expected,) = read(tmp_path)
    positions.loc[[10, 30, 50], PX] = place
    write_visium(tmp_path / "S1" / "outs", counts(62), positions)
    (section,) = read(tmp_path)
    assert "3 of 62 spots have no position of their own and were left out" in section.notes
    kept = [expected.spots.ids.index(name) for name in section.spots.ids]
    assert len(kept) == 59 and np.allclose(section.spots.xy_um, expected.spots.xy_um[kept])
    positions.loc[10:20, PX] = place
    write_visium(tmp_path / "S1" / "outs", counts(62), positions)
    said = rf"13 of 62 positions in tissue share their place with others, as \({place:g}, {place:g}\)"
    with pytest.raises(EosinError, match=said):
        read(tmp_path)


def test_spots_off_the_tissue_may_lie_on_those_in_it(tmp_path: Path) -> None:
    positions = visium_positions()
    write_visium(tmp_path / "S1" / "outs", counts(62), positions)
    (expected,) = read(tmp_path)
    off = positions.iloc[:40].assign(in_tissue=0, barcode=[f"OFF{i}-1" for i in range(40)])
    write_visium(tmp_path / "S1" / "outs", counts(62), pd.concat([off, positions]))
    (section,) = read(tmp_path)
    assert section.spots.ids == expected.spots.ids
    assert np.allclose(section.spots.xy_um, expected.spots.xy_um)


def save_copies(folder: Path, *, hires_px: tuple[int, int], lowres_px: tuple[int, int], factor: float) -> None:
    file = folder / "scalefactors_json.json"
    facts = json.loads(file.read_text()) | {"tissue_hires_scalef": 0.2, "tissue_lowres_scalef": factor}
    file.write_text(json.dumps(facts))
    for name, size_px in (("hires", hires_px), ("lowres", lowres_px)):
        Image.new("RGB", size_px).save(folder / f"tissue_{name}_image.png")


@pytest.mark.parametrize("kind", ["visium", "visium-hd"])
def test_reduced_copies_must_be_of_one_picture(tmp_path: Path, kind: str) -> None:
    if kind == "visium":
        spatial = write_visium(tmp_path / "S1" / "outs", counts(62), visium_positions()) / "spatial"
    else:
        visium_hd(tmp_path / "S1", sizes=[(8, 16)])
        spatial = tmp_path / "S1" / "outs" / "binned_outputs" / "square_016um" / "spatial"
    save_copies(spatial, hires_px=(700, 600), lowres_px=(210, 180), factor=0.06)
    read(tmp_path)
    save_copies(spatial, hires_px=(700, 600), lowres_px=(211, 181), factor=0.06)  # rounded
    read(tmp_path)
    for changed in ({"factor": 0.12}, {"lowres_px": (180, 210)}, {"hires_px": (1400, 1200)}):
        save_copies(spatial, **{"hires_px": (700, 600), "lowres_px": (210, 180), "factor": 0.06, **changed})
        (section,) = read(tmp_path)
        said = r"is of a picture of \d+ x \d+ px by its scale factor, tissue_lowres"
        assert any(re.search(said, note) for note in section.notes)
    (spatial / "tissue_lowres_image.png").write_bytes(b"")
    read(tmp_path)  # nothing to compare with
