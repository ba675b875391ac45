"""A feature file belongs to its image: another one under the name is noticed, cheaply, and a copy is the same."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from eosin.features import image_hash as hashing
from eosin.features.image_hash import has_hash, image_hash

SIZE = 5_000_000


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "a.tif"
    path.write_bytes(np.random.default_rng(0).bytes(SIZE))
    return path


def old_hash(path: Path) -> str:
    """As version 0.1.0 made it."""
    whole = path.read_bytes()
    return hashlib.sha256(whole[: 1 << 16] + whole[-(1 << 16) :] + str(len(whole)).encode()).hexdigest()[:16]


def overwrite(path: Path, place: int, length: int) -> None:
    with open(path, "r+b") as file:
        file.seek(place)
        file.write(b"\0" * length)


def test_a_copy_is_the_same(image: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copy(image, tmp_path / "b.tif"))
    os.utime(copy, (0, 0))
    assert has_hash(copy, image_hash(image))


@pytest.mark.parametrize("place", [0, SIZE // 10, SIZE // 2, SIZE - 100_000])
def test_another_picture_of_the_same_size_is_noticed(image: Path, place: int) -> None:
    before = image_hash(image)
    overwrite(image, place, 100_000)
    assert not has_hash(image, before)


def test_a_small_file_counts_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(np.random.default_rng(0).bytes(300_000))
    before = image_hash(path)
    overwrite(path, 150_000, 1)
    assert not has_hash(path, before)


def test_size_counts(image: Path) -> None:
    before = image_hash(image)
    with open(image, "ab") as file:
        file.write(b"\0")
    assert not has_hash(image, before)


def test_hashes_of_earlier_versions_are_understood(image: Path) -> None:
    """Else an update would encode every slide of a lab again."""
    before = old_hash(image)
    assert has_hash(image, before) and image_hash(image) != before
    overwrite(image, SIZE - 100, 100)
    assert not has_hash(image, before)


def test_a_large_file_is_not_read_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "large.tif"
    with open(path, "wb") as file:
        file.truncate(20 << 30)  # sparse
    read = 0
    pieces = hashing._pieces

    def counted(size: int):
        nonlocal read
        for start, length in pieces(size):
            assert 0 <= start <= size - length
            read += length
            yield start, length

    monkeypatch.setattr(hashing, "_pieces", counted)
    assert image_hash(path) and read < 1_000_000


def test_a_file_that_is_gone_has_no_hash_and_contradicts_none(tmp_path: Path) -> None:
    assert image_hash(tmp_path / "gone") is None and has_hash(tmp_path / "gone", "anything")


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A folder of zarr with 300 chunks."""
    folder = tmp_path / "s.ome.zarr"
    (folder / "0").mkdir(parents=True)
    (folder / "zarr.json").write_text("{}")
    rng = np.random.default_rng(0)
    for i in range(300):
        (folder / "0" / str(i)).write_bytes(rng.bytes(200 + i))
    return folder


def test_a_folder_that_is_a_slide_has_a_hash_that_copies_keep(store: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(store, tmp_path / "copy"))
    os.utime(copy, (0, 0))
    (copy / "labels").mkdir()
    (copy / "labels" / "cells").write_text("what was drawn on it later")
    (copy / ".DS_Store").write_text("x")
    assert image_hash(copy) == image_hash(store) is not None
    assert has_hash(copy, image_hash(store)) and not has_hash(copy, "another")


@pytest.mark.parametrize("change", ["metadata", "size", "gone", "name", "content"])
def test_a_folder_that_was_changed_has_another(store: Path, change: str) -> None:
    before = image_hash(store)
    if change == "metadata":
        (store / "zarr.json").write_text("[]")
    elif change == "size":
        (store / "0" / "7").write_bytes(b"x")
    elif change == "gone":
        (store / "0" / "7").unlink()
    elif change == "name":
        (store / "0" / "7").rename(store / "0" / "400")
    else:  # of equal sizes: as where a slide was compressed without loss, and is another
        for file in (store / "0").iterdir():
            file.write_bytes(file.read_bytes()[::-1])
    assert image_hash(store) != before and not has_hash(store, before)
