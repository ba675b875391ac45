"""Positions as other tools write them: at their places, or refused with the line; never another column's numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from eosin.errors import EosinError
from eosin.slide import open_slide, read_points
from unit.slide import pictures


@pytest.fixture(scope="module")
def slide(tmp_path_factory: pytest.TempPathFactory):
    """2000 x 2000 px of 1 µm."""
    picture = np.full((2000, 2000, 3), 255, np.uint8)
    with open_slide(pictures.save_image(tmp_path_factory.mktemp("slide") / "s.png", picture), mpp=1.0) as opened:
        yield opened


def write(folder: Path, *lines: str) -> Path:
    path = folder / "p.csv"
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


@pytest.mark.parametrize("mark", [",", "\t", ";"])
@pytest.mark.parametrize(
    ("rows", "ids"),
    [
        (("x|y", "1|200|300", "2|210|320", "3|220|340"), ("1", "2", "3")),
        (("x|y", "AAC-1|200|300", "AAG-1|210|320", "AAT-1|220|340"), ("AAC-1", "AAG-1", "AAT-1")),
        (("id|x|y", "1|a|200|300", "2|b|210|320", "3|c|220|340"), ("a", "b", "c")),
        (("id|x|y|", "a|200|300|", "b|210|320|", "c|220|340|"), ("a", "b", "c")),
        ((" ID | X |Y", "a|200|300||", "b|210|320", "c|220|340"), ("a", "b", "c")),
    ],
)
def test_row_names_of_r_and_empty_cells_at_the_end_move_nothing(
    tmp_path: Path, slide, rows: tuple[str, ...], ids: tuple[str, ...], mark: str
) -> None:
    spots = read_points(write(tmp_path, *(row.replace("|", mark) for row in rows)), slide)
    assert spots.xy_um.tolist() == [[200, 300], [210, 320], [220, 340]] and spots.ids == ids


@pytest.mark.parametrize(
    ("rows", "line"),
    [
        (("x,y", "200,5,300,5", "210,5,320,5"), "line 2 has 4 cells where the heading has 2"),
        (("x,y", "200,5,300", "210,5,320"), "line 2 has 3 cells where the heading has 2"),
        (("id,x,y", "a,200,300", "b,1,234.5,340"), "line 3 has 4 cells where the heading has 3"),
        (("id,x,y", "a,1,200,300", "b,1,234.5,340"), "line 2 has 4 cells where the heading has 3"),
        (("cell,x,y", "1,1,200,300", "2,1,234.5,340"), "line 2 has 4 cells where the heading has 3"),
        (("x,y,class", "200,300,Tumor, invasive"), "line 2 has 4 cells where the heading has 3"),
        (("id,x,y", "a,200,300", "b,210"), "line 3 has 2 cells where the heading has 3"),
        (("x,y", "1,200,300", "210,320"), "line 2 has 3 cells where the heading has 2"),
    ],
)
def test_another_number_of_cells_than_the_heading_is_refused(
    tmp_path: Path, slide, rows: tuple[str, ...], line: str
) -> None:
    with pytest.raises(EosinError, match=line) as caught:
        read_points(write(tmp_path, *rows), slide)
    assert caught.value.file == tmp_path / "p.csv" and "write numbers as 1234.5" in str(caught.value)


def test_another_encoding_is_named(tmp_path: Path, slide) -> None:
    (tmp_path / "p.csv").write_text("x,y\n200,300\n", encoding="utf-16")
    with pytest.raises(EosinError, match="is text in UTF-16; save it as UTF-8"):
        read_points(tmp_path / "p.csv", slide)


def test_a_decimal_comma_is_named(tmp_path: Path, slide) -> None:
    with pytest.raises(EosinError, match=r"line 2: '200,5' is not a finite number; write 1234\.5 for 1234,5"):
        read_points(write(tmp_path, "id;x;y", "a;200,5;300,5"), slide)


@pytest.mark.parametrize(("unit", "expected"), [("µm", [100.5, 150.0]), ("μm", [100.5, 150.0]), ("px", [50.25, 75.0])])
def test_measurements_of_qupath_are_in_the_unit_that_they_say(
    tmp_path: Path, slide, unit: str, expected: list[float]
) -> None:
    heading = f"Image\tObject ID\tName\tClass\tCentroid X {unit}\tCentroid Y {unit}\tNucleus: Area"
    file = write(tmp_path, heading, "s.png\tab-1\t\tTumor\t100.5\t150\t30", "s.png\tab-2\t\t\t200\t150\t31")
    with open_slide(slide.path, mpp=0.5) as finer:
        spots = read_points(file, finer)
    assert spots.xy_um[0].tolist() == expected and spots.ids == ("ab-1", "ab-2")


def test_names_that_are_all_empty_are_none(tmp_path: Path, slide) -> None:
    assert len(read_points(write(tmp_path, "name,x,y", ",1,2", ",3,4"), slide)) == 2
    with pytest.raises(EosinError, match="point 2 has no id"):
        read_points(write(tmp_path, "name,x,y", "a,1,2", ",3,4"), slide)
