"""Feature files of several encoders beside each other: the wanted one is found, whatever the others are like."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

import toy
from eosin import read
from eosin.data import write_sections
from eosin.encoders.base import hash_of_key
from eosin.errors import EosinError
from eosin.features import attach, encoders_of, write_features
from eosin.types import Section

SECTION = replace(toy.section("A1", 40), features=None)
STAIN = f"stain-{hash_of_key('stain;1')}"


def write(folder: Path, spec: str, key: str, fill: float) -> Path:
    attrs = {"encoder": spec, "encoder_key": key, "mpp": 0.5, "tile_um": 112.0, "patch_size": 224,
             "patch_size_level0": 224, "level0_width": 9000, "level0_height": 9000}  # fmt: skip
    path = folder / "A1.h5"
    write_features(path, SECTION.spots.ids, SECTION.spots.xy_um, np.full((40, 3), fill, np.float32), attrs)
    return path


def cut(path: Path, share: float = 0.5) -> Path:
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    return path


def value(section: Section | None) -> float:
    assert section is not None
    return float(section.need_features().values[0, 0])


@pytest.mark.parametrize("other", ["conch-0123456789ab", "uni-0123456789ab", "elsewhere", "."])
def test_a_cut_file_of_another_encoder_is_a_note(other: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write(tmp_path / STAIN, "stain", "stain;1", 1.0)
    bad = cut(write(tmp_path / other, "other", "other;1", 2.0))
    for name in ("stain", "stain;1"):
        found = attach(SECTION, tmp_path, name)
        assert value(found) == 1.0 and found is not None
        assert len(found.notes) == 1 and str(bad) in found.notes[0] and "left out" in found.notes[0]
    assert str(bad) in caplog.text


def test_a_cut_file_of_the_encoder_is_an_error(tmp_path: Path) -> None:
    cut(write(tmp_path / STAIN, "stain", "stain;1", 1.0))
    write(tmp_path / "stain-0123456789ab", "stain", "stain;2", 1.0)
    for name in ("stain", "stain;1"):
        with pytest.raises(EosinError, match=f"{STAIN}.*not readable"):
            attach(SECTION, tmp_path, name)
    cut(write(tmp_path / "x", "stain", "stain;1", 1.0))
    with pytest.raises(EosinError, match="not readable"):
        attach(SECTION, tmp_path / "x", "stain")  # it may be the encoder's, and nothing else is
    cut(write(tmp_path / "y" / "conch-0123456789ab", "conch", "conch;1", 1.0))
    assert attach(SECTION, tmp_path / "y", "stain") is None


def test_tables_of_another_encoder_are_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / STAIN, "stain", "stain;1", 1.0)
    other = write(tmp_path / "conch-0123456789ab", "conch", "conch;1", 2.0)
    with h5py.File(other, "r+") as file:
        del file["coords"]  # its attributes are as they were
    assert value(attach(SECTION, tmp_path, "stain")) == 1.0
    with pytest.raises(EosinError, match="holds no 'features'"):
        attach(SECTION, tmp_path, "conch")


def test_files_of_another_tool_at_two_scales_are_refused(tmp_path: Path) -> None:
    for scale in (10, 20):
        path = tmp_path / f"{scale}x" / "A1.h5"
        path.parent.mkdir()
        with h5py.File(path, "w") as file:
            file["features"], file["coords"] = np.zeros((40, 3)), np.zeros((40, 2))
            file["barcodes"] = np.array([name.encode() for name in SECTION.spots.ids])[:, None]
            file["coords"].attrs["target_magnification"] = scale
    with pytest.raises(EosinError, match="several settings of 'uni'"):
        attach(SECTION, tmp_path, "uni")
    assert attach(SECTION, tmp_path / "10x", "uni") is not None


def test_reading_with_features_of_a_gated_encoder_needs_no_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    write_sections([SECTION, replace(SECTION, name="A2")], tmp_path / "data")
    write(tmp_path / "f" / "uni-0123456789ab", "uni", "uni;1", 3.0)
    first, second = read(tmp_path / "data", features=tmp_path / "f", encoder="uni")
    assert value(first) == 3.0 and second.features is None
    with pytest.raises(EosinError, match="no encoder is called 'unii'"):
        read(tmp_path / "data", features=tmp_path / "f", encoder="unii")


def test_settings_may_be_written_otherwise(tmp_path: Path) -> None:
    write_sections([SECTION], tmp_path / "data")
    write(tmp_path / "f", "stain?tile_um=120&px=96", "stain;1", 3.0)
    (section,) = read(tmp_path / "data", features=tmp_path / "f", encoder="stain?px=96&tile_um=120")
    assert value(section) == 3.0


ONE, TWO = "stain;version=1;views=165um/224px", "stain;version=2;views=165um/224px"


def test_features_of_an_earlier_version_serve_where_there_are_no_others(tmp_path: Path) -> None:
    write(tmp_path / "old", "stain?px=96", ONE, 1.0)
    for name in ("stain", "stain?px=96", "stain?px=96&version=1", ONE):
        found = attach(SECTION, tmp_path, name)
        assert value(found) == 1.0 and found is not None
        assert found.need_features().encoder == "stain?px=96&version=1"
        assert len(found.notes) == (0 if "version=1" in name else 1)
        assert all("earlier version" in note for note in found.notes)
    assert attach(SECTION, tmp_path, "stain?px=96&version=2") is None
    assert encoders_of(SECTION, tmp_path) == ["stain?px=96&version=1"]


def test_the_newest_version_is_preferred_and_the_earlier_one_found_by_name(tmp_path: Path) -> None:
    write(tmp_path / "old", "stain", ONE, 1.0)
    write(tmp_path / "new", "stain", TWO, 2.0)
    found = attach(SECTION, tmp_path, "stain")
    assert value(found) == 2.0 and found is not None and not found.notes
    assert found.need_features().encoder == "stain"
    assert value(attach(SECTION, tmp_path, "stain?version=1")) == value(attach(SECTION, tmp_path, ONE)) == 1.0
    assert value(attach(SECTION, tmp_path, TWO)) == 2.0
