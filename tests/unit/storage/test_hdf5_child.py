"""One process walks all HDF5 files of others; a bad file costs a process, and no other file."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np
import pytest

from eosin.errors import EosinError
from eosin.storage import hdf5, hdf5_child

PROGRAM = """
import json, os, sys
with open({log!r}, "a") as log:
    log.write("started\\n")
    for line in sys.stdin:
        name = os.path.basename(json.loads(line))
        log.write(name + "\\n"); log.flush()
        if "crash" in name:
            os.abort()
        print("bad news" if "bad" in name else "sound", flush=True)
"""


@pytest.fixture
def started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A file to which the program in the other process writes that it started, and the names that it walked."""
    log = tmp_path / "log"
    (tmp_path / "hdf5_walk.py").write_text(PROGRAM.format(log=str(log)))
    monkeypatch.setattr(hdf5, "__file__", str(tmp_path / "hdf5.py"))
    monkeypatch.setattr(hdf5, "_probed", {})
    yield log
    hdf5_child.close()


def probe(folder: Path, name: str) -> str:
    (folder / name).write_text("")
    try:
        hdf5.probe(folder / name)
    except EosinError as error:
        return error.problem
    return ""


def test_one_process_walks_all_files_and_a_bad_one_gets_the_next_a_new_one(started: Path, tmp_path: Path) -> None:
    names = ["a\nb.h5", "µ.h5", "bad.h5", "c.h5", "crash.h5", "d.h5", "e.h5"]
    said = [probe(tmp_path, name) for name in names]
    assert [said[2], said[4]] == ["not readable as HDF5 (bad news)", "not readable as HDF5 (HDF5 crashes on it)"]
    assert not any(said[i] for i in (0, 1, 3, 5, 6))
    log = started.read_text().replace("a\nb", "a b").splitlines()
    # the crash is seen twice: once after another file, and once by a new process
    expected = ["a b.h5", "µ.h5", "bad.h5", None, "c.h5", "crash.h5", None, "crash.h5", None, "d.h5", "e.h5"]
    assert log == ["started", *("started" if name is None else name for name in expected)]
    before = started.read_text()
    hdf5.probe(tmp_path / "d.h5")
    assert started.read_text() == before  # it is known by then


def test_a_process_that_died_in_between_is_replaced(started: Path, tmp_path: Path) -> None:
    assert probe(tmp_path, "a.h5") == ""
    child = hdf5_child._children[os.getpid()]
    child._process.kill()
    child._process.wait()
    assert probe(tmp_path, "b.h5") == ""


def test_the_program_tells_sound_files_from_others(tmp_path: Path) -> None:
    for i in range(3):
        with h5py.File(tmp_path / f"{i}.h5", "w") as file:
            file["x"] = np.arange(1000)
        hdf5.probe(tmp_path / f"{i}.h5")
    child = hdf5_child._children[os.getpid()]
    assert child.n_walked >= 3
    (tmp_path / "cut.h5").write_bytes((tmp_path / "0.h5").read_bytes()[:2000])
    with pytest.raises(EosinError, match="not readable as HDF5"):
        hdf5.probe(tmp_path / "cut.h5")
    assert os.getpid() not in hdf5_child._children
    with h5py.File(tmp_path / "3.h5", "w") as file:
        file["x"] = np.arange(1000)
    hdf5.probe(tmp_path / "3.h5")
