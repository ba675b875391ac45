"""Folders of Visium HD that hold no file, as an interrupted copy or another pipeline leaves them."""

from __future__ import annotations

from pathlib import Path

import pytest

from eosin.data import read
from eosin.errors import EosinError
from unit.data.layouts_10x import counts, visium_hd, visium_positions, write_visium


@pytest.mark.parametrize("unit", ["spots", "cells"])
@pytest.mark.parametrize("inner", ["", "spatial"])
def test_segmented_outputs_without_a_file(tmp_path: Path, inner: str, unit: str) -> None:
    (tmp_path / "S1" / "outs" / "segmented_outputs" / inner).mkdir(parents=True)
    for place in (tmp_path, tmp_path / "S1"):
        with pytest.raises(EosinError, match=r"segmented_outputs: is empty; copy all of Space Ranger's outputs"):
            read(place, unit=unit)


def test_bins_without_a_file(tmp_path: Path) -> None:
    square = tmp_path / "S1" / "outs" / "binned_outputs" / "square_016um"
    square.mkdir(parents=True)
    (square / ".DS_Store").touch()
    with pytest.raises(EosinError, match=r"square_016um: is empty"):
        read(tmp_path)


def test_empty_folders_beside_filled_ones_are_passed_over(tmp_path: Path) -> None:
    visium_hd(tmp_path / "hd", sizes=[(8, 16)])
    (expected,) = read(tmp_path / "hd")
    (tmp_path / "hd" / "outs" / "segmented_outputs").mkdir()
    (tmp_path / "hd" / "outs" / "binned_outputs" / "square_008um" / "spatial").mkdir(parents=True)
    assert read(tmp_path / "hd")[0].spots.ids == expected.spots.ids
    with pytest.raises(EosinError, match="segmented_outputs: is empty"):
        read(tmp_path / "hd", unit="cells")
    write_visium(tmp_path / "v" / "outs", counts(62), visium_positions())
    for name in ("segmented_outputs", "binned_outputs/square_016um"):
        (tmp_path / "v" / "outs" / name).mkdir(parents=True)
    (section,) = read(tmp_path / "v")
    assert (section.platform, len(section)) == ("Visium", 62)
