"""Write feature files: one HDF5 per section, atomically, laid out as TRIDENT's so that other tools read them.

`features` [s f], `coords` [s 2] (top left of each tile in full-resolution pixels), `centres_um` [s 2], `barcodes` [s],
`readable` [s]; and `turned` [s 7 f], the tiles flipped and turned, where they are wanted. Attributes say what they were
made from. Every dataset has checksums, so that damage is noticed when a file is read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from eosin.errors import EosinError
from eosin.features.feature_file import FORMAT
from eosin.features.turns import TURNS
from eosin.storage.files import atomic_hdf5

_CHUNK_BYTES = 4 << 20
"""Size of a chunk: HDF5 reads a chunk as a whole, also where some rows of it are wanted."""


def write_features(
    path: str | Path,
    ids: Sequence[str],
    centres_um: np.ndarray,
    features: np.ndarray,
    attrs: Mapping[str, Any],
    *,
    turned: np.ndarray | None = None,
    readable: np.ndarray | None = None,
    half: bool = False,
) -> None:
    """Write a feature file atomically.

    Parameters
    ----------
    path
        The file; its folder is created if needed.
    ids
        Names of the spots [s].
    centres_um
        Centres of the tiles [s 2], µm.
    features
        [s f].
    attrs
        Attributes: at least `encoder_key`, `encoder`, `mpp`, `tile_um`, `patch_size`, `patch_size_level0`,
        `level0_width`, `level0_height`; the last four are repeated on `coords`, as in files of TRIDENT.
    turned
        [s 7 f]: features of the tiles under the `TURNS`.
    readable
        bool [s]: False where the tile could not be read; all True by default.
    half
        Store float16: half the size, three significant digits.

    Raises
    ------
    EosinError
        The folder cannot be written, the disk is full, or the features do not fit float16.
    ValueError
        The numbers of names, centres and rows differ.
    """
    values = np.asarray(features, dtype=np.float32)
    number = _number_type((values, turned), path, half=half)
    centres = np.asarray(centres_um, dtype=np.float64).reshape(-1, 2)
    if not len(ids) == len(centres) == len(values):
        raise ValueError(f"{len(ids)} ids, {len(centres)} centres, {len(values)} rows of features")
    origins = np.round(centres / attrs["mpp"] - attrs["patch_size_level0"] / 2).astype(np.int64)
    with atomic_hdf5(path) as file:
        file.attrs["format"] = FORMAT
        for key, value in attrs.items():
            file.attrs[key] = value
        names = np.array([str(i).encode() for i in ids])
        flags = np.ones(len(values), bool) if readable is None else np.asarray(readable, bool)
        _write_table(file, "features", values, number)
        for name, table in {"coords": origins, "centres_um": centres, "barcodes": names, "readable": flags}.items():
            _write_table(file, name, table, table.dtype)
        for key, value in _trident(attrs).items():
            file["coords"].attrs[key] = value
        if turned is not None:
            _write_turned(file, turned, number)


def add_turned(path: str | Path, turned: np.ndarray, *, readable: np.ndarray, half: bool = False) -> None:
    """Add the features of turned tiles to a feature file, atomically; the other features stay bit for bit.

    Parameters
    ----------
    path
        The file.
    turned
        [s 7 f]: features of the tiles under the `TURNS`.
    readable
        bool [s], replaces that of the file: whether the tile could be read both times.
    half
        Store the new features as float16.

    Raises
    ------
    EosinError
        As for `write_features`.
    """
    import h5py

    number = _number_type((turned,), path, half=half)
    with atomic_hdf5(path) as file:
        with h5py.File(path, "r") as old:
            for name in old:
                if name != "readable":
                    old.copy(name, file)
            for key, value in old.attrs.items():
                file.attrs[key] = value
        _write_table(file, "readable", np.asarray(readable, bool), np.dtype(bool))
        _write_turned(file, turned, number)


def _write_turned(file: Any, turned: np.ndarray, number: np.dtype) -> None:
    """Write features of turned tiles [s 7 f], and the names of the turns."""
    _write_table(file, "turned", turned, number, ways=1)
    file.attrs["turns"] = ",".join(TURNS)


def _write_table(file: Any, name: str, table: np.ndarray, number: np.dtype, *, ways: int | None = None) -> None:
    """Write a table as a dataset of type `number`, chunk by chunk; a chunk holds rows, or `ways` symmetries of rows."""
    shape = (len(table), ways, *table.shape[2:]) if ways else table.shape
    row_bytes = number.itemsize * int(np.prod(shape[1:]))
    rows = max(1, min(len(table), _CHUNK_BYTES // max(row_bytes, 1)))
    dataset = file.create_dataset(name, table.shape, number, chunks=(rows, *shape[1:]), fletcher32=True)
    for chunk in dataset.iter_chunks():
        dataset[chunk] = table[chunk].astype(number)


def _number_type(tables: Sequence[np.ndarray | None], path: str | Path, *, half: bool) -> np.dtype:
    """float16 or float32; an `EosinError` where `half` is wanted and a number does not fit it."""
    largest = np.finfo(np.float16).max
    if half and any(max(t.max(initial=0), -t.min(initial=0)) > largest for t in tables if t is not None):
        raise EosinError("features too large for float16", file=path, fix="store them as float32")
    return np.dtype(np.float16 if half else np.float32)


def _trident(attrs: Mapping[str, Any]) -> dict[str, Any]:
    """Attributes of `coords` that readers of TRIDENT's files expect."""
    magnification = 10.0 / attrs["mpp"]  # 10 µm per magnification and pixel: 0.5 µm/px is called 20x
    tile_mpp = attrs["tile_um"] / attrs["patch_size"]
    return {
        "patch_size": attrs["patch_size"],
        "patch_size_level0": attrs["patch_size_level0"],
        "level0_magnification": round(magnification),
        "target_magnification": round(10.0 / tile_mpp, 2),
        "overlap": 0,
        "name": attrs.get("name", ""),
        "level0_width": attrs["level0_width"],
        "level0_height": attrs["level0_height"],
    }
