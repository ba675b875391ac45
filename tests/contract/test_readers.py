"""Every registered reader keeps the promises of `eosin.data.check`, on a generated folder of its layout."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from eosin.data import READERS, Reader, describe, recognise
from eosin.data.check import check_reader
from unit.data.layouts import LAYOUTS, legacy_st


def test_every_reader_has_a_layout_here() -> None:
    assert set(READERS) == set(LAYOUTS)


@pytest.mark.parametrize("name", sorted(LAYOUTS))
def test_reader_keeps_its_promises(name: str, tmp_path: Path) -> None:
    check_reader(name, LAYOUTS[name](tmp_path / "data"))


@pytest.mark.parametrize("name", sorted(LAYOUTS))
def test_layout_is_recognised_by_its_reader_alone(name: str, tmp_path: Path) -> None:
    path = LAYOUTS[name](tmp_path / "data")
    assert recognise(path)[0].name == name
    assert [other for other in READERS if READERS[other].recognise(path)] == [name]


@pytest.mark.parametrize("name", sorted(LAYOUTS))
def test_description_is_json_and_counts_right(name: str, tmp_path: Path) -> None:
    told = json.loads(json.dumps(describe(LAYOUTS[name](tmp_path / "data")), allow_nan=False))
    assert told["reader"] == name
    assert all(section["spots"] > 30 and section["total_counts"] > 0 for section in told["sections"])


class Forgetful(Reader):
    """Ignores the scale it is given: the fault that the checks are for."""

    name, platform, looks_for = "forgetful", "test", "anything"

    def __init__(self) -> None:
        self.inner = READERS["legacy-st"]

    def recognise(self, path: Path) -> str | None:
        return self.inner.recognise(path)

    def names(self, path: Path) -> list[str]:
        return self.inner.names(path)

    def read_section(self, path: Path, name: str, *, mpp: float | None = None):
        return self.inner.read_section(path, name)


def test_the_checks_find_a_reader_that_ignores_the_scale(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="a given scale is used"):
        check_reader(Forgetful(), legacy_st(tmp_path))
