"""Many sections, here or in processes: the same files, nothing made twice, one failure costs one section."""

from __future__ import annotations

import logging
import os
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image as Picture

from eosin.api.parts.encode_jobs import encode_sections
from eosin.errors import EosinError
from eosin.execution import Execution, Here, Processes
from eosin.features import feature_path, find_encoded
from eosin.types import Image, Section, Spots
from unit.api.column_sums import ColumnSums, Dies


@pytest.fixture
def sections(tmp_path: Path) -> list[Section]:
    rng = np.random.default_rng(0)
    made = []
    for name in ("A", "B", "C"):
        Picture.fromarray(rng.integers(60, 255, (60, 80, 3)).astype(np.uint8)).save(tmp_path / f"{name}.png")
        spots = Spots(rng.uniform(8, 22, (5, 2)), 5.0, tuple(f"s{i}" for i in range(5)))
        made.append(Section(name, name, spots, image=Image(tmp_path / f"{name}.png", 0.5)))
    return made


def encoder(tmp_path: Path, kind: type[ColumnSums] = ColumnSums) -> ColumnSums:
    calls = tmp_path / "calls"
    calls.mkdir(exist_ok=True)
    return kind(calls)


def callers(tmp_path: Path) -> set[int]:
    return {int(path.name) for path in (tmp_path / "calls").iterdir()}


@pytest.mark.parametrize("place", [None, Here(), Processes(2)], ids=repr)
def test_the_place_does_not_change_the_features(
    sections: list[Section], tmp_path: Path, place: Execution | None
) -> None:
    colours = encoder(tmp_path)
    encoded = encode_sections(sections, colours, folder=tmp_path / "f", execution=place)
    assert [section.name for section in encoded] == ["A", "B", "C"]
    for section in encoded:
        values = find_encoded(section, colours, tmp_path / "f").need_features().values
        np.testing.assert_array_equal(section.need_features().values, values)
        assert values[0].sum() > 0
    pids = callers(tmp_path)
    assert (pids == {os.getpid()}) if not isinstance(place, Processes) else (len(pids) == 3 and os.getpid() not in pids)


@pytest.mark.parametrize("place", [Here(), Processes(2)], ids=repr)
def test_what_is_done_is_not_done_again(
    sections: list[Section], tmp_path: Path, place: Execution, caplog: pytest.LogCaptureFixture
) -> None:
    colours = encoder(tmp_path)
    first = encode_sections(sections, colours, folder=tmp_path / "f", execution=place)
    for path in (tmp_path / "calls").iterdir():
        path.unlink()
    again = encode_sections(sections, colours, folder=tmp_path / "f", execution=place)
    assert not callers(tmp_path) and not caplog.records
    for one, other in zip(first, again):
        np.testing.assert_array_equal(one.need_features().values, other.need_features().values)
    moved = replace(sections[0], spots=Spots(sections[0].spots.xy_um + 1, 5.0, sections[0].spots.ids))
    with caplog.at_level(logging.WARNING, "eosin"):
        encode_sections([moved, *sections[1:]], colours, folder=tmp_path / "f", execution=Here())
    assert len(callers(tmp_path)) == 1
    assert [record.getMessage().rpartition("made with ")[2] for record in caplog.records] == [
        "another spots; encoding 'A' again"
    ]


def test_without_keep_no_features_are_held(sections: list[Section], tmp_path: Path) -> None:
    left = encode_sections(sections, encoder(tmp_path), folder=tmp_path / "f", keep=False)
    assert all(section.features is None for section in left)
    assert all(feature_path(tmp_path / "f", s.name, encoder(tmp_path)).is_file() for s in sections)
    again = encode_sections(sections, encoder(tmp_path), folder=tmp_path / "f", keep=False)
    assert all(section.features is None for section in again)


def test_turned_tiles_that_are_lacking_are_made(sections: list[Section], tmp_path: Path) -> None:
    encode_sections(sections[:1], encoder(tmp_path), folder=tmp_path / "f")
    (turned,) = encode_sections(sections[:1], encoder(tmp_path), folder=tmp_path / "f", symmetries=True)
    assert turned.need_features().turned is not None


def test_a_failure_here_ends_the_work_with_its_own_error(sections: list[Section], tmp_path: Path) -> None:
    broken = [replace(sections[0], image=None), *sections[1:]]
    with pytest.raises(EosinError, match="section 'A' has no image; give one"):
        encode_sections(broken, encoder(tmp_path), folder=tmp_path / "f")
    assert not callers(tmp_path)


def test_a_process_that_dies_costs_one_section(sections: list[Section], tmp_path: Path) -> None:
    Picture.fromarray(np.zeros((60, 80, 3), np.uint8)).save(tmp_path / "A.png")
    fragile = encoder(tmp_path, Dies)
    with pytest.raises(EosinError, match="1 of 3 sections could not be encoded: 'A': its process ended with code 3"):
        encode_sections(sections, fragile, folder=tmp_path / "f", execution=Processes(1))
    assert [find_encoded(s, fragile, tmp_path / "f") is not None for s in sections] == [False, True, True]


@pytest.mark.parametrize("place", [Here(), Processes(1)], ids=repr)
def test_features_are_stored_as_float16_where_that_is_wanted(
    sections: list[Section], tmp_path: Path, place: Execution
) -> None:
    (half,) = encode_sections(sections[:1], encoder(tmp_path), folder=tmp_path / "f", half=True, execution=place)
    (file,) = (tmp_path / "f").rglob("*.h5")
    with h5py.File(file) as opened:
        assert opened["features"].dtype == np.float16
    (again,) = encode_sections(sections[:1], encoder(tmp_path), folder=tmp_path / "f")  # is done: not made again
    assert np.array_equal(half.need_features().values, again.need_features().values)
