"""Which measured spots `adapt` may look at: a number, names, or a table of names as people write it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import toy
from eosin.api.adapt import adapt, rows_of
from eosin.engine import Trained, train
from eosin.errors import EosinError

SECTION = toy.section("Z1", 20)


@pytest.mark.parametrize("spots", [3, "3", " 3 ", 3.0, np.int64(3), np.float32(3)])
def test_a_number_of_spots_is_drawn_by_the_seed(spots: Any) -> None:
    assert np.array_equal(rows_of(spots, SECTION, 1), rows_of(3, SECTION, 1)) and len(rows_of(spots, SECTION, 1)) == 3


@pytest.mark.parametrize("spots", [0, -3, "-3", 1.5, "1.5", 21, np.float64("nan")])
def test_an_impossible_number_is_refused(spots: Any) -> None:
    with pytest.raises(EosinError, match="section 'Z1' has 20 spots, not"):
        rows_of(spots, SECTION, 0)


@pytest.mark.parametrize(
    ("spots", "message"), [(True, "--spots is True"), ({}, "--spots is {}"), ([], "no spot is named")]
)
def test_what_is_neither_is_refused(spots: Any, message: str) -> None:
    with pytest.raises(EosinError, match=message):
        rows_of(spots, SECTION, 0)


@pytest.mark.parametrize("spots", ["²", "", "no-such-file.csv"])
def test_text_that_is_no_number_is_a_file(spots: str) -> None:
    with pytest.raises(EosinError, match="is no table of names of spots"):
        rows_of(spots, SECTION, 0)


@pytest.mark.parametrize(
    "text",
    [
        "Z1-3\nZ1-5\n",
        "barcode\nZ1-3\nZ1-5\n",
        "\ufeffSpot ID,count\nZ1-3,7\nZ1-5,8\n",
        ",barcode\n0,Z1-3\n1,Z1-5\n",
        "barcode;x\nZ1-3;1\nZ1-5;2\n",
        "cell_id\tx\r\nZ1-3\t1\r\n\r\nZ1-5\t2\r\n",
    ],
)
def test_names_are_found_in_tables_as_people_write_them(tmp_path: Path, text: str) -> None:
    file = tmp_path / "spots.csv"
    file.write_text(text, encoding="utf-8")
    assert rows_of(file, SECTION, 0).tolist() == [3, 5]
    assert rows_of(str(file), SECTION, 0).tolist() == [3, 5]


def test_a_wrong_name_in_the_first_row_is_no_heading(tmp_path: Path) -> None:
    file = tmp_path / "spots.csv"
    file.write_text("Y1-3\nZ1-5\n")
    with pytest.raises(EosinError, match="1 spot of 2 not in section 'Z1', first 'Y1-3'"):
        rows_of(file, SECTION, 0)


@pytest.fixture(scope="module")
def trained() -> Trained:
    return train(toy.cohort(30), model="ridge", panel="var:4")


@pytest.mark.parametrize("seed", [-1, 1.5, True])
def test_an_impossible_seed_is_refused(trained: Trained, seed: Any) -> None:
    with pytest.raises(EosinError, match=r"a seed of .* is impossible"):
        adapt(trained, SECTION, spots=3, seed=seed)


def test_a_licence_that_is_not_known_is_refused_where_it_must_be(trained: Trained) -> None:
    with pytest.raises(EosinError, match="model 'ridge'"):
        adapt(trained, SECTION, spots=3, commercial_only=True)


def test_tiles_are_matched_as_in_predict(trained: Trained, tmp_path: Path) -> None:
    with pytest.raises(EosinError, match="--match has no use without --features"):
        adapt(trained, SECTION, spots=3, match="nearest")
