"""Read feature files of eosin, TRIDENT, CLAM and the HEST benchmark, and check what they hold."""

from __future__ import annotations

import mmap
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from eosin.errors import EosinError
from eosin.features.turns import TURNS
from eosin.storage.disk_rows import DiskRows
from eosin.storage.hdf5 import open_foreign
from eosin.storage.lazy_rows import LazyRows

if TYPE_CHECKING:
    import h5py

FORMAT = "eosin-features-1"
"""Attribute `format` of the files that eosin writes."""
IN_MEMORY_BYTES = 1 << 30
"""Features of all sections that are read together, beyond which they stay in their files."""
_FIX = "delete it and encode again"


@dataclass(frozen=True)
class FeatureFile:
    """The content of a feature file.

    Attributes
    ----------
    values
        Features [s f] float32; `DiskRows` where they stay in the file.
    ids
        Names of the spots (s), or None where another tool wrote none.
    origins_px
        Top left of the tiles [s 2] float64, full-resolution pixels.
    centres_um
        Centres of the tiles [s 2] float64, µm, or None where another tool wrote none.
    attrs
        Attributes of the file and of `coords`, together.
    turned
        [s 7 f] float32: features of each tile under the `TURNS`; None where they were not read or are missing.
    readable
        bool [s]: False where the tile could not be read; its features are then 0.
    """

    values: np.ndarray | LazyRows
    ids: tuple[str, ...] | None
    origins_px: np.ndarray
    centres_um: np.ndarray | None
    attrs: Mapping[str, Any]
    turned: np.ndarray | None = None
    readable: np.ndarray = field(default_factory=lambda: np.ones(0, bool))


def read_features(path: str | Path, *, turned: bool = False, on_disk: bool = False) -> FeatureFile:
    """Read a feature file of eosin, TRIDENT (`features`, `coords`) or HEST (`embeddings`, `coords`, `barcodes`).

    Parameters
    ----------
    path
        The file.
    turned
        Also read the features of turned tiles, where they are there: seven times as much as the rest.
    on_disk
        Leave the features in the file, from where rows are read as they are asked for, and checked then. A file with
        turned tiles that are wanted, or whose table is no plain one, is read as a whole all the same.

    Raises
    ------
    EosinError
        No such file, truncated or damaged (checksums), or of another layout.
    """
    tables, attrs = _read_tables(path, turned=turned, on_disk=on_disk)
    values = tables.get("features", tables.get("embeddings"))
    if values is None or "coords" not in tables:
        raise EosinError("holds no 'features' (or 'embeddings') and 'coords'", file=path, fix=_FIX)
    coords = tables["coords"]
    if not all(np.issubdtype(part.dtype, np.number) for part in (values, coords)):
        raise EosinError("features or coords are no numbers", file=path, fix=_FIX)
    values = np.squeeze(values, 0) if values.ndim == 3 and len(values) == 1 else values  # CLAM has a leading axis
    if coords.ndim < 2 or coords.shape[-1] != 2:
        raise EosinError(f"coords have shape {coords.shape}", file=path, fix=_FIX)
    coords = coords.reshape(-1, 2)
    ids, centres = _ids(tables), tables.get("centres_um")
    if values.ndim != 2 or any(len(part) != len(values) for part in (coords, ids, centres) if part is not None):
        raise EosinError(f"features {values.shape} and coords {coords.shape} disagree", file=path, fix=_FIX)
    sevenfold = tables.get("turned") if "turns" in attrs else None
    if sevenfold is not None and sevenfold.shape != (len(values), len(TURNS), values.shape[1]):
        raise EosinError(f"features {values.shape} and turned {sevenfold.shape} disagree", file=path, fix=_FIX)
    if not all(np.isfinite(part).all() for part in (values, sevenfold) if isinstance(part, np.ndarray)):
        raise EosinError("features hold NaN or infinity", file=path, fix=_FIX)
    return FeatureFile(
        values=values if isinstance(values, LazyRows) else values.astype(np.float32, copy=False),
        ids=ids,
        origins_px=coords.astype(np.float64),
        centres_um=centres,
        attrs=attrs,
        turned=None if sevenfold is None else sevenfold.astype(np.float32, copy=False),
        readable=_readable(tables, len(values), path),
    )


def stay_on_disk(n_spots: int, width: int) -> bool:
    """Whether features of so many spots would take too much memory."""
    return n_spots * width * np.dtype(np.float32).itemsize > IN_MEMORY_BYTES


def read_attributes(path: str | Path) -> tuple[dict[str, Any], int]:
    """Attributes of a feature file and of its `coords`, and its number of features (0 without any); reads no table.

    Raises
    ------
    EosinError
        No such file, or one that is no HDF5.
    """
    with _opened(path) as file:
        values = file.get("features", file.get("embeddings"))
        return _attributes(file), values.shape[-1] if getattr(values, "shape", ()) else 0


def table_size(path: str | Path) -> tuple[int, int]:
    """Spots and features in a feature file (0 and 0 without a plain table); reads no table.

    Raises
    ------
    EosinError
        No such file, or one that is no HDF5.
    """
    with _opened(path) as file:
        shape = getattr(file.get("features", file.get("embeddings")), "shape", ())
    return (int(shape[0]), int(shape[1])) if len(shape) == 2 else (0, 0)


def _attributes(file: h5py.File) -> dict[str, Any]:
    return {**(file["coords"].attrs if "coords" in file else {}), **file.attrs}


def _read_tables(path: str | Path, *, turned: bool, on_disk: bool) -> tuple[dict[str, Any], dict[str, Any]]:
    """All datasets of a file by name (`turned` if wanted), and the attributes of the file and of `coords`.

    With `on_disk` the features stay in the file, where they are a plain table and no turned ones are wanted.
    """
    import h5py

    with _opened(path) as file:
        datasets = {name: item for name, item in file.items() if isinstance(item, h5py.Dataset)}
        left = {
            name
            for name in ("features", "embeddings")
            if on_disk and name in datasets and _is_table(datasets[name]) and not (turned and "turned" in datasets)
        }
        tables: dict[str, Any] = {
            name: np.asarray(item)
            for name, item in datasets.items()
            if name not in left and (turned or name != "turned")
        }
        attrs = _attributes(file)
    return tables | {name: DiskRows(path, name) for name in left}, attrs


def _is_table(dataset: h5py.Dataset) -> bool:
    return len(dataset.shape) == 2 and len(dataset) > 0 and np.issubdtype(dataset.dtype, np.number)


@contextmanager
def _opened(path: str | Path) -> Iterator[h5py.File]:
    """An open feature file; what goes wrong with it in the block becomes the error that a user gets."""
    if not Path(path).is_file():
        raise EosinError("no such feature file", file=path, fix="encode first")
    try:
        with open_foreign(path, walk=not _is_own(path)) as file:
            yield file
    except (OSError, RuntimeError, KeyError, TypeError, ValueError) as error:
        raise EosinError(f"not readable as a feature file ({error})", file=path, fix=_FIX) from error


def _is_own(path: str | Path) -> bool:
    """Whether a file holds the name of our format: ours have checksums, so that they need no slow check for damage."""
    if not Path(path).stat().st_size:
        return False
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return content.find(FORMAT.encode()) >= 0


def _readable(tables: Mapping[str, np.ndarray], n: int, path: str | Path) -> np.ndarray:
    """Which of `n` tiles could be read, bool [n]; all, where the file does not say."""
    flags = tables.get("readable")
    if flags is None:
        return np.ones(n, bool)
    if flags.shape != (n,) or flags.dtype != bool:
        raise EosinError(f"'readable' is {flags.dtype} {flags.shape} for {n} tiles", file=path, fix=_FIX)
    return flags


def _ids(tables: Mapping[str, np.ndarray]) -> tuple[str, ...] | None:
    """Names of the spots, or None where the file has none."""
    names = tables.get("barcodes", tables.get("barcode"))
    if names is None:
        return None
    return tuple(n.decode() if isinstance(n, bytes) else str(n) for n in names.ravel())
