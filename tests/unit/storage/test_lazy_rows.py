"""Tables on disk give the rows that arrays give, and say what is wrong with their file when it is read."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from eosin.errors import EosinError
from eosin.storage import disk_rows
from eosin.storage.disk_rows import DiskRows
from eosin.storage.files import fingerprint
from eosin.storage.lazy_rows import StackedRows

N, F = 40, 5


@pytest.fixture
def values() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(N, F)).astype(np.float16).astype(np.float32)


@pytest.fixture
def path(tmp_path: Path, values: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(disk_rows, "_PAGE_BYTES", 7 * 2 * F)  # so that rows lie on several pages
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("features", data=values.astype(np.float16), chunks=(7, F), fletcher32=True)
    return tmp_path / "a.h5"


@pytest.mark.parametrize(
    "key",
    [
        slice(None),
        slice(3, 20),
        slice(30, 2, -3),
        3,
        -1,
        np.array([5, 39, 0, 5]),
        np.arange(N) % 3 == 0,
        np.zeros(0, int),
        (slice(4, 9), slice(1, 3)),
        (np.array([8, 2]), 4),
    ],
)
def test_rows_are_those_of_the_array(path: Path, values: np.ndarray, key: object) -> None:
    found = DiskRows(path, "features")[key]
    assert isinstance(found, np.ndarray) and found.dtype == np.float32
    assert np.array_equal(found, values[key])


def test_it_looks_like_the_array(path: Path, values: np.ndarray) -> None:
    rows = DiskRows(path, "features")
    assert (rows.shape, len(rows), rows.ndim, rows.dtype, rows.nbytes) == ((N, F), N, 2, np.float32, values.nbytes)
    assert np.array_equal(np.asarray(rows), values)
    assert fingerprint(rows) == fingerprint(values)
    with pytest.raises(IndexError):
        rows[N]


def test_chosen_and_stacked_rows_are_read_when_asked_for(path: Path, values: np.ndarray) -> None:
    rows = DiskRows(path, "features")
    some = rows.chosen(np.array([9, 3, 30]), slice(1, 4))
    assert some.shape == (3, 3) and np.array_equal(np.asarray(some), values[[9, 3, 30], 1:4])
    stacked = StackedRows([rows, values[:4], rows.chosen(np.array([1]))])
    whole = np.concatenate([values, values[:4], values[[1]]])
    assert stacked.shape == whole.shape
    index = np.array([44, 2, 41, 39, 40])
    assert np.array_equal(stacked[index], whole[index])
    with pytest.raises(ValueError, match="columns cannot be stacked"):
        StackedRows([rows, some])


def test_pages_in_memory_are_few(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = disk_rows._Pages(3 * 7 * 2 * F)
    monkeypatch.setattr(disk_rows, "_KEPT", kept)
    rows = DiskRows(path, "features")
    for start in range(0, N, 7):
        assert len(rows[start : start + 7]) == min(7, N - start)
        assert kept.n_bytes == sum(page.nbytes for page in kept.pages.values()) <= kept.most_bytes


def test_what_is_wrong_with_a_file_is_said_when_its_rows_are_read(path: Path, values: np.ndarray) -> None:
    with h5py.File(path, "r+") as file:
        file["features"][33, 2] = np.nan
    rows = DiskRows(path, "features")
    assert np.array_equal(rows[:20], values[:20])
    with pytest.raises(EosinError, match=r"a\.h5.*NaN or infinity"):
        rows[30:]
    data = bytearray(path.read_bytes())
    at = data.index(values[7:9].astype(np.float16).tobytes())
    data[at] ^= 1
    path.write_bytes(data)
    with pytest.raises(EosinError, match="changed while it was in use"):
        rows[:5]
    with pytest.raises(EosinError, match="not readable as a feature file"):
        DiskRows(path, "features")[7:9]
    path.unlink()
    with pytest.raises(EosinError, match="not there any more"):
        rows[:5]


def test_large_finite_numbers_are_no_infinity(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["features"] = np.full((4, 3), 3e38, dtype=np.float32)
    assert DiskRows(tmp_path / "a.h5", "features")[:].max() == np.float32(3e38)
