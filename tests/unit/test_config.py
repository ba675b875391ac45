from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import Field, ValidationError

from eosin.config import Registry, Settings, near_names, need_known, read_toml
from eosin.errors import EosinError


class Oven(Settings):
    degrees_c: float = Field(180.0, ge=0, le=300, description="heat")
    n_trays: int = Field(1, ge=1, description="trays")
    fan: bool = Field(False, description="moving air")


def test_later_tables_win_and_dashes_are_allowed() -> None:
    made = Oven.of({"degrees-c": 100, "fan": True}, {"degrees_c": 200})
    assert (made.degrees_c, made.n_trays, made.fan) == (200, 1, True)


def test_settings_cannot_be_changed_afterwards() -> None:
    with pytest.raises(ValidationError):
        Oven.of().fan = True


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"degree_c": 1}, r"unknown setting 'degree_c' in \[oven\]; did you mean 'degrees_c'\?"),
        ({"xyz": 1}, "known settings: degrees_c, fan, n_trays"),
        ({"degrees_c": 400}, r"\[oven\]: 'degrees_c' is 400: input should be less than or equal to 300"),
        ({"n_trays": "many"}, "'n_trays' is 'many'"),
        ({"n_trays": 1.5}, "'n_trays' is 1.5"),
        ({"degrees_c": None}, "'degrees_c' is None"),
    ],
)
def test_faults_are_one_line(given: dict, says: str) -> None:
    with pytest.raises(EosinError, match=says) as caught:
        Oven.of(given, source="[oven]")
    assert "\n" not in str(caught.value)


def test_toml_tables(tmp_path: Path) -> None:
    file = tmp_path / "x.toml"
    file.write_text('[model]\nn-layers = 2\n["stflow:paper".train]\nlr = 1e-3\n')
    assert read_toml(file) == {"model": {"n-layers": 2}, "stflow:paper": {"train": {"lr": 1e-3}}}
    file.write_text("n_layers = 2\n")
    with pytest.raises(EosinError, match=r"x\.toml: setting 'n_layers' stands outside a table"):
        read_toml(file)
    file.write_bytes(b"\xff[model]")
    with pytest.raises(EosinError, match=r"x\.toml: not readable as TOML"):
        read_toml(file)
    with pytest.raises(EosinError, match="no such settings file"):
        read_toml(tmp_path / "y.toml")


def test_registry_answers_with_near_names_and_refuses_a_second_one() -> None:
    registry: Registry[int] = Registry("loaf")
    registry.add("rye", 1)
    registry.register("wheat")(2)
    assert (registry["rye"], registry["wheat"], list(registry), "rye" in registry) == (1, 2, ["rye", "wheat"], True)
    with pytest.raises(EosinError, match=r"no loaf is called 'whet'; did you mean 'wheat'\?"):
        registry["whet"]
    with pytest.raises(EosinError, match="known loafs: rye, wheat"):
        registry["0000"]
    with pytest.raises(ValueError, match="twice"):
        registry.add("rye", 3)
    assert registry["rye"] == 1


def test_a_name_in_other_letters_is_nearer_than_a_similar_one() -> None:
    assert near_names("krt8", ["KRT8", "krt18", "krt7"]) == ["KRT8"]
    assert near_names("KRT", ["KRT8", "KRT18"], at_most=1) == ["KRT8"]


def test_a_long_list_of_known_names_is_cut() -> None:
    names = [f"s{i}" for i in range(30)]
    need_known("s7", names, "section")
    with pytest.raises(EosinError, match=r"x: no section is called '___'; known sections: s0, .*s19, \.\.\.$"):
        need_known("___", names, "section", file="x")
    with pytest.raises(EosinError, match=r"known sections: s0, s1$"):
        need_known("___", names[:2], "section")


def test_registry_takes_plug_ins_once_and_only_when_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    from eosin import config

    asked = []

    class Entry:
        name = "spelt"

        def load(self) -> int:
            return 5

    def entries(*, group: str) -> list[Entry]:
        asked.append(group)
        return [Entry()]

    monkeypatch.setattr(config, "entry_points", entries)
    registry: Registry[int] = Registry("loaf")
    registry.add("rye", 1)
    assert asked == []
    assert registry["spelt"] == 5
    assert list(registry) == ["rye", "spelt"]
    assert asked == ["eosin.loafs"]


def test_a_broken_plug_in_is_named_each_time_and_the_others_load(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from types import SimpleNamespace

    from eosin import config

    def fails() -> int:
        raise ImportError("no module\nof that name")

    entries = [
        SimpleNamespace(name="burnt", value="oven.loaves:burnt", dist=SimpleNamespace(name="oven-loaves"), load=fails),
        SimpleNamespace(name="rye", value="mill:rye", dist=None, load=lambda: 2),  # a name that is taken
        SimpleNamespace(name="spelt", value="mill:spelt", dist=None, load=lambda: 5),
    ]
    monkeypatch.setattr(config, "entry_points", lambda group: entries)
    registry: Registry[int] = Registry("loaf")
    registry.add("rye", 1)
    assert (list(registry), registry["spelt"], registry["rye"]) == (["rye", "spelt"], 5, 1)
    lines = [record.getMessage() for record in caplog.records]
    assert lines[0].startswith("loaf 'burnt' of package 'oven-loaves' cannot be loaded (ImportError: no module of that")
    assert "loaf 'rye' of package 'mill'" in lines[1] and "registered twice" in lines[1]
    assert len(lines) == 2
    for _ in range(2):
        with pytest.raises(EosinError, match=r"loaf 'burnt' of package 'oven-loaves' cannot be loaded.*; update or"):
            registry["burnt"]


def test_a_number_is_not_taken_from_a_switch() -> None:
    assert Oven.of({"fan": True}).fan
    for name in ("n_trays", "degrees_c"):
        with pytest.raises(EosinError, match=rf"\[oven\]: '{name}' is true, and is a number; give its value"):
            Oven.of({name: True}, source="[oven]")
