"""Feature files: one HDF5 per section, written whole or not at all, laid out as TRIDENT's so that others read them.

`features` [s f], `coords` [s 2] (top left of each tile in full-resolution pixels), `centres_um` [s 2], `barcodes` [s],
`readable` [s]; and `turned` [s 7 f], the tiles flipped and turned, where they were asked for.
What made them stands in attributes. Every dataset carries checksums: a damaged file is noticed when read.
"""

from __future__ import annotations

import mmap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from eosin.errors import EosinError
from eosin.features.turns import TURNS
from eosin.storage.files import atomic_hdf5
from eosin.storage.hdf5 import open_foreign

_AGAIN = "delete it and encode again"
_FORMAT = "eosin-features-1"
_CHUNK_BYTES = 64 << 20
"""A chunk holds no more than 4 GiB, and is read whole."""


@dataclass(frozen=True)
class FeatureFile:
    """What a feature file holds.

    Attributes
    ----------
    values
        [s f] float32.
    ids
        Spot names, or None where another tool wrote none.
    origins_px
        [s 2] float64: top left of the tiles in full-resolution pixels.
    centres_um
        [s 2] float64, or None where another tool wrote none.
    attrs
        Attributes of the file and of `coords`, together.
    turned
        [s 7 f] float32: features of each tile under the `TURNS`; None where they were not asked for or are not there.
    readable
        [s] bool: False where the tile could not be read, whose features are 0.
    """

    values: np.ndarray
    ids: tuple[str, ...] | None
    origins_px: np.ndarray
    centres_um: np.ndarray | None
    attrs: Mapping[str, Any]
    turned: np.ndarray | None = None
    readable: np.ndarray = field(default_factory=lambda: np.ones(0, bool))


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
        The file; its folder is made.
    ids
        Spot names [s].
    centres_um
        Centres of the tiles [s 2], µm.
    features
        [s f].
    attrs
        At least `encoder_key`, `encoder`, `mpp`, `tile_um`, `patch_size`, `patch_size_level0`, `level0_width`,
        `level0_height`; the last four are repeated on `coords`, where TRIDENT has them.
    turned
        [s 7 f], of the tiles under the `TURNS`.
    readable
        [s] bool: False where the tile could not be read; all could by default.
    half
        Store float16: half the size, three significant digits.

    Raises
    ------
    EosinError
        The folder cannot be written, the disk is full, or the features do not fit float16.
    """
    values = np.asarray(features, dtype=np.float32)
    number = _number_type((values, turned), path, half=half)
    centres = np.asarray(centres_um, dtype=np.float64).reshape(-1, 2)
    if not len(ids) == len(centres) == len(values):
        raise ValueError(f"{len(ids)} ids, {len(centres)} centres, {len(values)} rows of features")
    origins = np.round(centres / attrs["mpp"] - attrs["patch_size_level0"] / 2).astype(np.int64)
    with atomic_hdf5(path) as file:
        file.attrs["format"] = _FORMAT
        for key, value in attrs.items():
            file.attrs[key] = value
        names = np.array([str(i).encode() for i in ids])
        marks = np.ones(len(values), bool) if readable is None else np.asarray(readable, bool)
        _write_table(file, "features", values, number)
        for name, table in {"coords": origins, "centres_um": centres, "barcodes": names, "readable": marks}.items():
            _write_table(file, name, table, table.dtype)
        for key, value in _trident(attrs).items():
            file["coords"].attrs[key] = value
        if turned is not None:
            _write_turned(file, turned, number)


def add_turned(path: str | Path, turned: np.ndarray, *, readable: np.ndarray, half: bool = False) -> None:
    """Complete a feature file by its turned tiles [s 7 f], atomically; the features stay bit for bit.

    A tile is `readable` [s] afterwards if it was so both times.
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
    _write_table(file, "turned", turned, number, ways=1)
    file.attrs["turns"] = ",".join(TURNS)


def _write_table(file: Any, name: str, table: np.ndarray, number: np.dtype, *, ways: int | None = None) -> None:
    """A dataset of another type of number, in chunks of whole rows or of one way of each row; a chunk at a time."""
    shape = (len(table), ways, *table.shape[2:]) if ways else table.shape
    row_bytes = number.itemsize * int(np.prod(shape[1:]))
    rows = max(1, min(len(table), _CHUNK_BYTES // max(row_bytes, 1)))
    made = file.create_dataset(name, table.shape, number, chunks=(rows, *shape[1:]), fletcher32=True)
    for chunk in made.iter_chunks():
        made[chunk] = table[chunk].astype(number)


def _number_type(tables: Sequence[np.ndarray | None], path: str | Path, *, half: bool) -> np.dtype:
    """The type of the numbers in the file; refuses what does not fit it."""
    most = np.finfo(np.float16).max
    if half and any(max(t.max(initial=0), -t.min(initial=0)) > most for t in tables if t is not None):
        raise EosinError("features too large for float16", file=path, fix="store them as float32")
    return np.dtype(np.float16 if half else np.float32)


def read_features(path: str | Path, *, turned: bool = False) -> FeatureFile:
    """Read a feature file of eosin, TRIDENT (`features`, `coords`) or HEST (`embeddings`, `coords`, `barcodes`).

    Parameters
    ----------
    turned
        Also read the features of turned tiles, where they are there: seven times as much as the rest.

    Raises
    ------
    EosinError
        No such file, truncated or damaged (checksums), or of another layout.
    """
    import h5py

    if not Path(path).is_file():
        raise EosinError("no such feature file", file=path, fix="encode first")
    try:
        with open_foreign(path, walk=not _is_own(path)) as file:
            table = {
                name: np.asarray(item)
                for name, item in file.items()
                if isinstance(item, h5py.Dataset) and (turned or name != "turned")
            }
            attrs = {**(file["coords"].attrs if "coords" in file else {}), **file.attrs}
    except (OSError, RuntimeError, KeyError, TypeError, ValueError) as error:
        raise EosinError(f"not readable as a feature file ({error})", file=path, fix=_AGAIN) from error
    values = table.get("features", table.get("embeddings"))
    if values is None or "coords" not in table:
        raise EosinError("holds no 'features' (or 'embeddings') and 'coords'", file=path, fix=_AGAIN)
    if not all(np.issubdtype(part.dtype, np.number) for part in (values, table["coords"])):
        raise EosinError("features or coords are no numbers", file=path, fix=_AGAIN)
    values = np.squeeze(values, 0) if values.ndim == 3 and len(values) == 1 else values  # CLAM has a leading axis
    if table["coords"].ndim < 2 or table["coords"].shape[-1] != 2:
        raise EosinError(f"coords have shape {table['coords'].shape}", file=path, fix=_AGAIN)
    coords = table["coords"].reshape(-1, 2)
    ids = _ids(table)
    centres = table.get("centres_um")
    if values.ndim != 2 or any(len(part) != len(values) for part in (coords, ids, centres) if part is not None):
        raise EosinError(f"features {values.shape} and coords {coords.shape} disagree", file=path, fix=_AGAIN)
    sevenfold = table.get("turned") if "turns" in attrs else None
    if sevenfold is not None and sevenfold.shape != (len(values), len(TURNS), values.shape[1]):
        raise EosinError(f"features {values.shape} and turned {sevenfold.shape} disagree", file=path, fix=_AGAIN)
    if not all(np.isfinite(part).all() for part in (values, sevenfold) if part is not None):
        raise EosinError("features hold NaN or infinity", file=path, fix=_AGAIN)
    values, sevenfold = _single(values), None if sevenfold is None else _single(sevenfold)
    readable = _marks(table, len(values), path)
    return FeatureFile(values, ids, coords.astype(np.float64), centres, attrs, sevenfold, readable)


def _is_own(path: str | Path) -> bool:
    """Whether the file has the mark of our format: ours have checksums and are read by the thousand, without a walk."""
    if not Path(path).stat().st_size:
        return False
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return content.find(_FORMAT.encode()) >= 0


def _single(values: np.ndarray) -> np.ndarray:
    return values.astype(np.float32, copy=False)


def _marks(table: Mapping[str, np.ndarray], n: int, path: str | Path) -> np.ndarray:
    """Which tiles could be read; all, where the file does not say."""
    marks = table.get("readable")
    if marks is None:
        return np.ones(n, bool)
    if marks.shape != (n,) or marks.dtype != bool:
        raise EosinError(f"'readable' is {marks.dtype} {marks.shape} for {n} tiles", file=path, fix=_AGAIN)
    return marks


def _ids(table: Mapping[str, np.ndarray]) -> tuple[str, ...] | None:
    names = table.get("barcodes", table.get("barcode"))
    if names is None:
        return None
    return tuple(n.decode() if isinstance(n, bytes) else str(n) for n in names.ravel())


def _trident(attrs: Mapping[str, Any]) -> dict[str, Any]:
    """The attributes that readers of TRIDENT's files look for on `coords`."""
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
