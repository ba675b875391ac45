"""A hash that identifies an image from a sample of its bytes: fast on gigabytes, and the same after copying."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

_EDGE_BYTES = 1 << 16
_N_BLOCKS, _BLOCK_BYTES = 64, 1 << 12
_OF_ZARR = (".zattrs", ".zarray", ".zgroup", "zarr.json")
_FOLDER = "folder-"
_SAMPLED = "blocks-"
"""Prefix of the hashes of this version. Hashes of earlier versions cover head, tail and size only. They are still
compared, so that finished feature files stay valid."""


def image_hash(path: Path) -> str | None:
    """Hash of a file's size, head, tail, and 64 blocks of 4 KiB spread over it; None where there is no such file.

    All bytes of a file of up to 384 KiB count. In a larger one a change is noticed if it touches a block: an image that
    was compressed again differs nearly everywhere, but a few changed pixels of an uncompressed one may not be noticed.
    Of a folder that is one slide (OME-Zarr, DICOM) names and sizes of all files count, what describes arrays, and
    samples of 64 files spread over it.
    """
    if path.is_dir():
        return _hash_of_folder(path)
    if not path.is_file():
        return None
    with open(path, "rb") as file:
        return _SAMPLED + _hash(file, _pieces(file.seek(0, os.SEEK_END)))


def has_hash(path: Path, expected: object) -> bool:
    """Whether an image has a hash, made by this version or an earlier one; True where there is no such image."""
    if path.is_dir():
        return expected == _hash_of_folder(path)
    if not path.is_file():
        return True
    if str(expected).startswith(_SAMPLED):
        return expected == image_hash(path)
    with open(path, "rb") as file:
        return expected == _hash(file, _ends(file.seek(0, os.SEEK_END)))


def _hash_of_folder(folder: Path) -> str:
    """Hash of the files of a folder; its labels and hidden files that are none of zarr's do not count."""
    digest = hashlib.sha256()
    files = sorted(_files(folder))
    n_spread = min(_N_BLOCKS, len(files))
    spread = {files[len(files) * (2 * i + 1) // (2 * n_spread)][0] for i in range(n_spread)}
    for name, size in files:
        digest.update(f"{name}\0{size}\0".encode("utf-8", "surrogateescape"))
        if name in spread or name.rpartition("/")[2] in _OF_ZARR:
            with open(folder / name, "rb") as file:
                digest.update(_hash(file, _pieces(size)).encode())
    return _FOLDER + digest.hexdigest()[:16]


def _files(folder: Path) -> Iterator[tuple[str, int]]:
    """Names, relative to the folder, and sizes of its files."""
    for place, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if name != "labels" and not name.startswith(".")]
        for name in names:
            if not name.startswith(".") or name in _OF_ZARR:
                file = os.path.join(place, name)
                yield Path(os.path.relpath(file, folder)).as_posix(), os.stat(file).st_size


def _hash(file: BinaryIO, pieces: Iterator[tuple[int, int]]) -> str:
    """Hash (16 hex digits) of pieces (start, length) of a file, and of its size."""
    digest = hashlib.sha256()
    for start, length in pieces:
        file.seek(start)
        digest.update(file.read(length))
    digest.update(str(file.seek(0, os.SEEK_END)).encode())
    return digest.hexdigest()[:16]


def _ends(size: int) -> Iterator[tuple[int, int]]:
    """Head and tail of a file: (start, length), bytes."""
    yield 0, _EDGE_BYTES
    yield max(0, size - _EDGE_BYTES), _EDGE_BYTES


def _pieces(size: int) -> Iterator[tuple[int, int]]:
    """Head, tail and sampled blocks of a file, or all of a small one: (start, length), bytes."""
    if size <= 2 * _EDGE_BYTES + _N_BLOCKS * _BLOCK_BYTES:
        yield 0, size
        return
    yield from _ends(size)
    for block in range(_N_BLOCKS):
        yield (size - _BLOCK_BYTES) * (2 * block + 1) // (2 * _N_BLOCKS), _BLOCK_BYTES
