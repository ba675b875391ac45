from __future__ import annotations

import errno
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eosin.errors import EosinError
from eosin.storage.files import atomic_file, atomic_folder, atomic_hdf5, fingerprint, read_json, sha256_file, write_json


def test_the_file_appears_whole_and_only_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "x.json"
    with atomic_file(path) as partial:
        partial.write_text("new")
        assert not path.exists()
        assert partial.parent == path.parent  # else the last step would be a copy, not a rename
        assert partial.suffix == path.suffix  # libraries look at it
    assert path.read_text() == "new"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, SystemExit])
def test_the_old_file_stays_when_writing_fails(tmp_path: Path, error: type[BaseException]) -> None:
    path = tmp_path / "x"
    path.write_text("old")
    with pytest.raises(error), atomic_file(path) as partial:
        partial.write_text("half")
        raise error
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
@pytest.mark.parametrize("make", [atomic_file, atomic_folder])
def test_a_full_disk_is_one_line(tmp_path: Path, number: int, make) -> None:
    with pytest.raises(EosinError, match="x: the disk is full; nothing was written; free some space"):
        with make(tmp_path / "x"):
            raise OSError(number, os.strerror(number))
    assert list(tmp_path.iterdir()) == []


def test_hdf5_is_written_in_pieces_and_read_back(tmp_path: Path) -> None:
    import h5py

    values = np.arange(60_000.0).reshape(300, 200)
    with atomic_hdf5(tmp_path / "x.h5") as file:
        made = file.create_dataset("values", values.shape, values.dtype, chunks=(7, 200), fletcher32=True)
        for chunk in made.iter_chunks():
            made[chunk] = values[chunk]
        assert np.array_equal(file["values"][:], values)  # what is on the disk already can be read again
        file.attrs["a"] = 1
        assert [path.suffix for path in tmp_path.iterdir()] == [".h5"] and not (tmp_path / "x.h5").exists()
    with h5py.File(tmp_path / "x.h5") as file:
        assert np.array_equal(file["values"][:], values) and file.attrs["a"] == 1
    assert [path.name for path in tmp_path.iterdir()] == ["x.h5"]


FULL_WHILE_HDF5_WRITES = """
import resource, signal, sys
import numpy as np
from eosin.errors import EosinError
from eosin.storage.files import atomic_hdf5
limit = int(sys.argv[2])
sys.dont_write_bytecode = True  # Python would keep what it compiles, cut short
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
try:
    with atomic_hdf5(sys.argv[1]) as file:
        for i in range(50):
            file.create_dataset(f"t{i}", data=np.random.default_rng(i).random((100, 100)), chunks=(10, 100))
        file["t3"][:]
except EosinError as error:
    sys.exit(str(error))
"""


@pytest.mark.parametrize("limit", [100, 20_000, 1_000_000, 3_999_000])
def test_hdf5_that_fills_the_disk_is_one_line_and_the_process_lives(tmp_path: Path, limit: int) -> None:
    """HDF5 itself would keep what it could not write, and bring the process down when it ends."""
    import subprocess
    import sys

    words = [sys.executable, "-c", FULL_WHILE_HDF5_WRITES, str(tmp_path / "x.h5"), str(limit)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 1, done
    assert done.stderr.count("\n") == 1 and "x.h5: the disk is full; nothing was written" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_another_fault_of_the_disk_tells_its_reason(tmp_path: Path) -> None:
    with pytest.raises(EosinError, match="cannot be written"), atomic_file(tmp_path / "x"):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))
    (tmp_path / "file").write_text("")
    with pytest.raises(EosinError, match="file/x: cannot be written"), atomic_file(tmp_path / "file" / "x"):
        pass


def test_results_are_readable_by_others_as_the_umask_says(tmp_path: Path) -> None:
    mask = os.umask(0o027)
    try:
        with atomic_file(tmp_path / "x") as partial:
            partial.write_text("")
        with atomic_folder(tmp_path / "d") as folder:
            (folder / "y").write_text("")
    finally:
        os.umask(mask)
    assert (tmp_path / "x").stat().st_mode & 0o777 == 0o640
    assert (tmp_path / "d").stat().st_mode & 0o777 == 0o750


def test_a_folder_is_exchanged_whole(tmp_path: Path) -> None:
    for content in ("old", "new"):
        with atomic_folder(tmp_path / "d") as partial:
            (partial / content).write_text(content)
    assert [path.name for path in (tmp_path / "d").iterdir()] == ["new"]
    with pytest.raises(ValueError, match="stop"), atomic_folder(tmp_path / "d") as partial:
        (partial / "half").write_text("")
        raise ValueError("stop")
    assert [path.name for path in (tmp_path / "d").iterdir()] == ["new"]
    assert [path.name for path in tmp_path.iterdir()] == ["d"]


def test_a_folder_that_cannot_be_exchanged_is_put_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "mine").write_text("")
    rename = Path.rename

    def refuse(self: Path, target: Path) -> Path:
        if self.name.startswith(".d-") and "-old-" not in self.name:
            raise OSError(errno.EACCES, os.strerror(errno.EACCES), str(self))
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(EosinError, match="d: cannot be written"), atomic_folder(tmp_path / "d") as partial:
        (partial / "new").write_text("")
    assert [path.name for path in (tmp_path / "d").iterdir()] == ["mine"]
    assert [path.name for path in tmp_path.iterdir()] == ["d"]


def copied_into(how, source: Path, target: Path) -> str:
    with pytest.raises(EosinError) as caught, how(target) as partial:
        shutil.copyfile(source, partial / "x" if partial.is_dir() else partial)
    return str(caught.value)


@pytest.mark.parametrize("how", [atomic_file, atomic_folder])
def test_a_missing_source_is_not_a_missing_permission(how, tmp_path: Path) -> None:
    said = copied_into(how, tmp_path / "source.tif", tmp_path / "out" / "x.tif")
    assert f"{tmp_path / 'source.tif'}: no such file" in said and "permission" not in said
    (tmp_path / "folder").mkdir()
    said = copied_into(how, tmp_path / "folder", tmp_path / "out" / "x.tif")
    assert f"{tmp_path / 'folder'}: cannot be read (Is a directory)" in said
    assert list((tmp_path / "out").iterdir()) == []


def test_a_target_that_is_missing_or_closed_is_still_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(tmp_path / ".x-abc.h5"))

    monkeypatch.setattr("tempfile.mkstemp", refuse)
    with pytest.raises(EosinError, match=r"x.h5: cannot be written \(Permission denied\); check the folder"):
        with atomic_file(tmp_path / "x.h5"):
            pass
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(EosinError, match="file/deep/x: cannot be written"),
        atomic_file(tmp_path / "file" / "deep" / "x"),
    ):
        pass


def test_json_round_trip_and_refusal_of_nan(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    write_json(path, {"a": [1, 2.5, None, "µm"]})
    assert read_json(path) == {"a": [1, 2.5, None, "µm"]}
    with pytest.raises(ValueError, match="JSON"):
        write_json(path, {"a": float("nan")})
    assert read_json(path) == {"a": [1, 2.5, None, "µm"]}  # untouched


@pytest.mark.parametrize("text", ["", "{", "\udcff"])
def test_broken_json_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "x.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(EosinError, match=r"x\.json: not readable as JSON"):
        read_json(tmp_path / "x.json")
    with pytest.raises(EosinError, match=r"y\.json: no such file"):
        read_json(tmp_path / "y.json")


def test_sha256_of_a_file_longer_than_a_piece(tmp_path: Path) -> None:
    import hashlib

    body = os.urandom(3_000_000)
    (tmp_path / "x").write_bytes(body)
    assert sha256_file(tmp_path / "x") == hashlib.sha256(body).hexdigest()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ((np.zeros(4),), (np.zeros(4, np.float32),)),  # another type
        ((np.zeros((2, 2)),), (np.zeros(4),)),  # another shape
        ((np.zeros(2, np.int64),), (np.zeros(2),)),  # equal bytes, another meaning
        (("a", "b"), ("ab", "")),  # another border between parts
        (("a", "b"), ("b", "a")),
        (([1, 2],), ([2, 1],)),
        ((np.array([1.0]),), (np.array([1.0 + 1e-15]),)),
    ],
)
def test_fingerprints_differ(one: tuple, other: tuple) -> None:
    assert fingerprint(*one) != fingerprint(*other)


@given(st.dictionaries(st.text(), st.one_of(st.integers(), st.text(), st.none(), st.lists(st.integers()))))
def test_fingerprint_of_a_table_knows_no_order(table: dict) -> None:
    turned = dict(reversed(table.items()))
    assert fingerprint(table) == fingerprint(turned) == fingerprint(json.loads(json.dumps(table)))


def test_fingerprint_does_not_see_how_an_array_lies_in_memory() -> None:
    array = np.arange(12.0).reshape(3, 4)
    assert fingerprint(array) == fingerprint(np.asfortranarray(array)) == fingerprint(np.repeat(array, 2, 1)[:, ::2])
    assert len(fingerprint(array)) == 16
