"""A bare image from end to end: its tissue as GeoJSON, spots on it or at given places, features, prediction."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

from cli.conftest import ENCODER, MPP, Ground, Run, files_below
from eosin.api.parts.bare_image import name_of_image
from eosin.data import read_prediction
from eosin.geometry import nearest_spacing

AT = ("--mpp", MPP)


def test_hexagonal_spots_of_their_own_width(eosin: Run, ground: Ground) -> None:
    given = ("--lattice", "hexagonal", "--pitch-um", 120, "--spot-um", 55)
    said = eosin("predict", ground.ridge, ground.image, *AT, *given, "-o", "p.h5ad")
    assert said.code == 0, said.err
    spots = read_prediction("p.h5ad").spots
    assert spots.diameter_um == 55
    assert nearest_spacing(spots.xy_um) == pytest.approx(120)
    assert len(np.unique(np.round(np.diff(np.unique(spots.xy_um[:, 1])), 3))) == 1
    assert np.diff(np.unique(spots.xy_um[:, 1]))[0] == pytest.approx(120 * np.sqrt(0.75))


def test_a_mask_goes_out_is_edited_and_comes_in(eosin: Run, ground: Ground) -> None:
    said = eosin("tissue", ground.image, *AT, "-o", "m.geojson")
    assert said.code == 0, said.err
    assert "mm² of tissue" in said.out and "m.geojson" in said.out
    tree = json.loads(Path("m.geojson").read_text())
    assert tree["features"] and all(one["geometry"]["type"] == "Polygon" for one in tree["features"])
    found, masked = (
        read_prediction(Path(_predicted(eosin, ground, *more))).spots for more in ((), ("--tissue", "m.geojson"))
    )
    assert found.ids == masked.ids
    corner = [[0, 0], [175, 0], [175, 175], [0, 175], [0, 0]]  # a quarter of the 350 x 350 px
    Path("m.geojson").write_text(json.dumps({"type": "Polygon", "coordinates": [corner]}))
    quarter = read_prediction(Path(_predicted(eosin, ground, "--tissue", "m.geojson"))).spots
    assert 0 < len(quarter) < len(found)
    assert (quarter.xy_um < 350).all()


def _predicted(eosin: Run, ground: Ground, *more: object) -> str:
    said = eosin("predict", ground.ridge, ground.image, *AT, "--pitch-um", 120, *more, "-o", "p.h5ad")
    assert said.code == 0, said.err
    return "p.h5ad"


def test_points_and_features_of_a_bare_image(eosin: Run, ground: Ground) -> None:
    """What `encode` made of an image is what `predict` would make of it, and needs no image to be read again."""
    Path("p.csv").write_text("id,x_um,y_um\na,200,210.5\nb,300,300\nc,400,250\n")
    said = eosin("encode", ground.image, *AT, "--points", "p.csv", "--encoder", ENCODER, "-o", "features")
    assert said.code == 0, said.err
    assert "1 section, 3 spots in features" in said.out
    given = ("predict", ground.ridge, ground.image, *AT, "--points", "p.csv", "-o", "p.h5ad")
    fresh = read_prediction("p.h5ad") if eosin(*given).code == 0 else None
    kept = read_prediction("p.h5ad") if eosin(*given, "--features", "features").code == 0 else None
    assert fresh is not None and kept is not None
    assert kept.spots.ids == ("a", "b", "c") and kept.spots.xy_um[0].tolist() == [200, 210.5]
    assert np.array_equal(kept.draws, fresh.draws)


def test_features_of_another_lattice_are_refused(eosin: Run, ground: Ground) -> None:
    assert eosin("encode", ground.image, *AT, "--pitch-um", 150, "--encoder", ENCODER, "-o", "features").code == 0
    given = ("--pitch-um", 100, "--features", "features", "-o", "p.h5ad")
    assert "no features for" in eosin("predict", ground.ridge, ground.image, *AT, *given).complaint
    assert not Path("p.h5ad").exists()


WRONG = {
    "columns": (("--points", "rows.csv"), "has columns row, col; give columns x,y"),
    "outside": (("--points", "far.csv"), "1 of 2 points lie outside the image"),
    "points": (("--points", "gone.csv"), "gone.csv: no such file"),
    "mask": (("--tissue", "rows.csv"), "not GeoJSON"),
    "lattice": (("--lattice", "hex"), "'hexagonal'"),
    "width": (("--spot-um", "-1"), "--spot-um"),
    "pitch": (("--pitch-um", "nan"), "--pitch-um"),
}


@pytest.mark.parametrize("verb", ["predict", "encode"])
@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_layout_is_one_line(eosin: Run, ground: Ground, tmp_path: Path, verb: str, case: str) -> None:
    Path("rows.csv").write_text("row,col\n1,2\n")
    Path("far.csv").write_text("x,y\n100,100\n351,100\n")
    before = files_below(tmp_path)
    words, says = WRONG[case]
    target = (ground.ridge, ground.image) if verb == "predict" else (ground.image,)
    assert says in eosin(verb, *target, *AT, *words, "-o", "out.h5ad").complaint
    assert files_below(tmp_path) == before


@pytest.mark.parametrize("verb", ["predict", "encode"])
@pytest.mark.parametrize("wish", [("--points", "p.csv"), ("--pitch-um", 50), ("--lattice", "hexagonal")])
def test_measured_spots_are_not_laid_anew(eosin: Run, ground: Ground, verb: str, wish: tuple[object, ...]) -> None:
    Path("p.csv").write_text("x,y\n100,100\n")
    target = (ground.ridge, ground.data) if verb == "predict" else (ground.data,)
    assert "are where they were measured; leave out" in eosin(verb, *target, *wish, "-o", "out.h5ad").complaint
    assert not Path("out.h5ad").exists()


def test_slides_of_one_beginning_are_two_sections() -> None:
    names = {"case.1.svs": "case.1", "case.2.ome.tif": "case.2", ".hidden.tif": ".hidden", "plain": "plain"}
    assert {file: name_of_image(Path(file)) for file in names} == names


@pytest.mark.parametrize("verb", ["info", "tissue", "encode", "predict"])
def test_a_pipe_is_one_line_and_does_not_wait(eosin: Run, ground: Ground, verb: str) -> None:
    os.mkfifo("pipe.svs")
    target = (ground.ridge, "pipe.svs") if verb == "predict" else ("pipe.svs",)
    more = () if verb == "info" else ("-o", {"tissue": "out.geojson", "predict": "out.h5ad"}.get(verb, "out"))
    assert "pipe.svs" in eosin(verb, *target, *AT, *more).complaint


def test_blank_glass_has_no_mask(eosin: Run, ground: Ground) -> None:
    from PIL import Image

    Image.new("RGB", (300, 300), (244, 243, 245)).save("blank.png")
    assert "no tissue" in eosin("tissue", "blank.png", *AT, "-o", "m.geojson").complaint
    assert not Path("m.geojson").exists()


def test_outlines_are_called_geojson(eosin: Run, ground: Ground) -> None:
    assert "call it .geojson" in eosin("tissue", ground.image, *AT, "-o", "m.txt").complaint
    assert not Path("m.txt").exists()


def test_an_image_of_a_known_patient_is_predicted_as_theirs(eosin: Run, ground: Ground) -> None:
    """`ground.ridge` is trained on patients A and B: for them intervals are those of a known patient."""
    kinds = []
    for more in ((), ("--patient", "B")):
        bars = read_prediction(_predicted(eosin, ground, *more)).error_bars
        assert bars is not None
        kinds.append(bars.kind)
    assert kinds == ["new patient", "known patient"]
    said = eosin("info", ground.data, "--patient", "Z")
    assert said.code == 1 and "is of patient 'A' by its file" in said.err
