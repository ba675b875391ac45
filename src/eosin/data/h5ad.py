"""Reading and writing `.h5ad` files; every fault of a file is one error line that names it."""

from __future__ import annotations

import hashlib
import io
import os
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from eosin.data.odd_positions import check_type, no_positions
from eosin.data.position_columns import X_AND_Y_UM, position_columns
from eosin.data.uns_spatial import PARTS
from eosin.errors import EosinError
from eosin.row_blocks import row_blocks
from eosin.storage.files import atomic_file, new_hdf5
from eosin.storage.hdf5 import open_foreign
from eosin.storage.scratch import let_go

if TYPE_CHECKING:
    import h5py
    import pandas as pd
    from anndata import AnnData

T = TypeVar("T")

_BYTES_AT_ONCE = 1 << 24
_SEAL = b"\neosin seal sha256 "

SCHEMA = 1
"""Version of what eosin writes into `uns["eosin"]`; a file with a larger one is refused."""


def read_h5ad(path: str | Path) -> AnnData:
    """Open an `.h5ad` file in memory.

    Raises
    ------
    EosinError
        The file is missing, cut short, damaged, no AnnData, or leads into other files.
    """
    from anndata.io import read_h5ad as read_anndata

    path = Path(path)
    if not path.is_file():
        raise EosinError("no such file", file=path, fix="check the path")
    with _readable(path), _opened(path):
        return read_anndata(path)


def peek_h5ad(path: str | Path, look: Callable[[Any], T]) -> T:
    """What `look` finds in an `.h5ad` file, which it is handed open, so that the rest need not be read.

    Raises
    ------
    EosinError
        As `read_h5ad`.
    """
    path = Path(path)
    if not path.is_file():
        raise EosinError("no such file", file=path, fix="check the path")
    with _readable(path), _opened(path) as file:
        return look(file)


def kind_of(path: str | Path) -> str | None:
    """What eosin's record in an `.h5ad` says that the file is, `section` or `prediction`; the rest is not read.

    None where there is no record, `""` where a record does not say it.
    """
    return peek_h5ad(path, _kind_in)


def _kind_in(file: h5py.File) -> str | None:
    from anndata.io import read_elem

    record = file.get("uns/eosin")
    if record is None or (hasattr(record, "keys") and not len(record)):
        return None
    return str(_plain(read_elem(record["kind"]))) if hasattr(record, "keys") and "kind" in record else ""


def obs_of(file: h5py.File, wanted: Callable[[str, Any], bool] = lambda name, column: True) -> pd.DataFrame:
    """The table of spots of an open `.h5ad` file as anndata reads it, in the files of its old versions too.

    `wanted` says of a column's name and its array or group in the file whether it is read; in old files all are.
    """
    import h5py
    import pandas as pd
    from anndata.io import read_elem
    from anndata.io import read_h5ad as read_anndata

    obs = file["obs"]
    if isinstance(obs, h5py.Dataset):  # before anndata 0.7; its categories are in uns
        whole = read_anndata(file.filename, backed="r")
        try:
            return whole.obs
        finally:
            whole.file.close()
    if "__categories" in obs or "column-order" not in obs.attrs:  # anndata 0.7; its columns are codes
        return read_elem(obs)
    names = [str(name) for name in obs.attrs["column-order"] if name in obs and wanted(str(name), obs[name])]
    return pd.DataFrame({name: read_elem(obs[name]) for name in names})


def libraries_in(file: h5py.File) -> list[str]:
    """The libraries that `uns["spatial"]` of an open `.h5ad` file names; facts beside them (`is_single`) are none."""
    group = file.get("uns/spatial")
    if not hasattr(group, "keys") or PARTS & set(group):
        return []
    return [key for key in group if hasattr(group[key], "keys")]


def _opened(path: Path) -> AbstractContextManager[Any]:
    """The file opened for reading; the walk by another process is left out where our seal shows that it is whole."""
    return open_foreign(path, walk=not _check_seal(path))


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Turn what reading a damaged file raises into one line that names it."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # duplicate names are ours to judge
            yield
    except EosinError:
        raise
    # HDF5 raises OSError, KeyError or RuntimeError, and AnnData's decoders nearly anything, wherever the damage is.
    except Exception as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        fix = "the file is cut short, damaged or no .h5ad; write or download it again"
        raise EosinError(f"not readable as AnnData ({reason})", file=path, fix=fix) from error


def write_h5ad(adata: AnnData, path: str | Path, *, compress: bool = True) -> None:
    """Write `adata` to `path`, whole or not at all, and sealed so that `read_h5ad` notices an altered byte.

    `compress` suits counts; dense predictions shrink by a tenth and take ten times as long.
    """
    import h5py
    from anndata.io import write_elem

    # In memory first, as `atomic_hdf5`: HDF5 that meets a full disk brings the interpreter down.
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        write_elem(file, "/", adata, dataset_kwargs={"compression": "gzip", "compression_opts": 1} if compress else {})
    # Let go of the buffer in any case: Python 3.13 complains at its end of one that is still looked at.
    with buffer.getbuffer() as body, atomic_file(path) as partial, open(partial, "wb") as file:
        file.write(body)
        file.write(_SEAL + hashlib.sha256(body).digest())


def write_h5ad_in_blocks(
    adata: AnnData,
    path: str | Path,
    tables: Mapping[str, tuple[int, ...]],
    blocks: Iterable[tuple[slice, Mapping[str, np.ndarray]]],
) -> None:
    """Write an AnnData whose large tables are made some rows at a time, whole or not at all, and sealed.

    Parameters
    ----------
    adata
        All but these tables.
    path
        The file.
    tables
        Their shapes, by name in the file: `X`, `layers/std`, `obsm/draws`; float32.
    blocks
        Rows, and those of each table.
    """
    from anndata.io import write_elem

    with atomic_file(path) as partial:
        with new_hdf5(partial) as file:
            write_elem(file, "/", adata)
            for name, shape in tables.items():
                if name in file:  # that there is no X
                    del file[name]
                table = file.create_dataset(name, shape, np.float32)
                table.attrs["encoding-type"], table.attrs["encoding-version"] = "array", "0.2.0"
            for rows, parts in blocks:
                for name, values in parts.items():
                    file[name][rows] = values  # pyright: ignore[reportIndexIssue]
        digest = _digest(partial)
        with open(partial, "ab") as file:
            file.write(_SEAL + digest)


PlaceOf = Callable[[str, tuple[int, ...]], np.ndarray | None]


def read_rest_of_h5ad(
    path: str | Path, table_of: PlaceOf, wanted: Callable[[str], bool]
) -> tuple[AnnData, dict[str, np.ndarray]]:
    """An AnnData without its large tables; and those of them that are kept elsewhere.

    Parameters
    ----------
    path
        The file.
    table_of
        Where a table is to be put, by its name (`X`, or `obsm/draws`) and shape: an array of the same rows. None: the
        table is read as all others are.
    wanted
        Whether a layer is read, by its name.

    Raises
    ------
    EosinError
        As `read_h5ad`.
    """
    return peek_h5ad(path, lambda file: _rest_in(file, table_of, wanted))


def _rest_in(
    file: h5py.File, table_of: PlaceOf, wanted: Callable[[str], bool]
) -> tuple[AnnData, dict[str, np.ndarray]]:
    import anndata
    import h5py
    from anndata.io import read_elem

    kept: dict[str, np.ndarray] = {}
    for name in ("X", "obsm/draws"):
        table = file.get(name)
        place = table_of(name, table.shape) if isinstance(table, h5py.Dataset) else None
        if place is not None and isinstance(table, h5py.Dataset):
            per_row = table.dtype.itemsize * int(np.prod(table.shape[1:]))
            for rows in row_blocks(len(table), budget=_BYTES_AT_ONCE, per_row=per_row):
                place[rows] = table[rows]
                let_go(place)
            kept[name] = place
    parts: dict[str, Any] = {name: read_elem(file[name]) for name in ("obs", "var", "uns")}
    for group, needed in (("obsm", lambda name: f"obsm/{name}" not in kept), ("layers", wanted)):
        parts[group] = {str(name): read_elem(file[group][name]) for name in file.get(group, ()) if needed(name)}
    if "X" not in kept:
        parts["X"] = read_elem(file["X"])
    return anndata.AnnData(**parts), kept


def _digest(path: Path) -> bytes:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
    return digest.digest()


def _check_seal(path: Path) -> bool:
    """Whether a file ends with our seal; the digest in it must fit the file. Files without a seal are let through.

    HDF5 has no checksum over its own bookkeeping and can crash the process where that is damaged. It ignores bytes
    behind its end and cuts them off when it changes a file, so that the seal harms no other tool and never outlives
    an edit.
    """
    try:
        with open(path, "rb") as file:
            size = file.seek(0, os.SEEK_END)
            n_body = size - len(_SEAL) - hashlib.sha256().digest_size
            file.seek(max(n_body, 0))
            tail = file.read()
            if n_body < 0 or not tail.startswith(_SEAL):
                return False
            file.seek(0)
            digest = hashlib.sha256()
            while n_body > 0 and (piece := file.read(min(1 << 20, n_body))):
                digest.update(piece)
                n_body -= len(piece)
    except OSError as error:
        raise EosinError(f"cannot be read ({error.strerror})", file=path, fix="check the file's permissions") from error
    if tail[len(_SEAL) :] != digest.digest():
        raise EosinError("not readable: altered since it was written", file=path, fix="write or download it again")
    return True


def our_record(adata: AnnData, path: str | Path, kind: str | None = None) -> dict[str, Any]:
    """`uns["eosin"]` of an AnnData, or an empty dict where there is none.

    Parameters
    ----------
    kind
        Require this kind of file (`"section"` or `"prediction"`).
    """
    record = adata.uns.get("eosin", {})
    if not isinstance(record, dict):
        raise EosinError("uns['eosin'] is not a record of eosin", file=path, fix="remove it or write the file again")
    stored = {key: _plain(value) for key, value in record.items()}
    if several := next((key for key, value in stored.items() if isinstance(value, np.ndarray)), None):
        problem = f"uns['eosin']['{several}'] holds {np.size(stored[several])} values and not one"
        raise EosinError(problem, file=path, fix="remove uns['eosin'], or write the file again")
    schema = stored.get("schema", SCHEMA)
    if not isinstance(schema, int) or schema > SCHEMA:
        raise EosinError(f"written in format {schema}, this eosin knows up to {SCHEMA}", file=path, fix="update eosin")
    if kind is not None and stored.get("kind") != kind:
        raise EosinError(f"is no {kind} that eosin wrote", file=path, fix=f"give a {kind} written by eosin")
    return stored


def spatial(adata: AnnData, path: str | Path) -> np.ndarray:
    """`obsm["spatial"]` [s 2] float64, in the file's own unit (pixels of the full image, x before y)."""
    if "spatial" not in adata.obsm:
        raise no_positions(adata, path)
    try:
        stored = np.asarray(_x_before_y(adata.obsm["spatial"], path))
        check_type(stored, path)
        xy = stored.astype(np.float64)
    except (TypeError, ValueError) as error:
        fix = "store numbers there, with a point and no comma"
        raise EosinError(f"obsm['spatial'] is not numeric ({error})", file=path, fix=fix) from error
    if xy.ndim != 2 or xy.shape[1] < 2:
        raise EosinError(f"obsm['spatial'] has shape {xy.shape}", file=path, fix="give two columns, x and y")
    return xy[:, :2]


def is_in_um(adata: AnnData, path: str | Path) -> bool:
    """Whether positions are µm by the columns they are in: those of `obsm["spatial"]`, or equal ones of `obs`."""
    columns = position_columns(getattr(adata.obsm["spatial"], "columns", ()))
    if columns is not None and columns.in_um:
        return True
    given = spatial(adata, path)
    for pair in X_AND_Y_UM:
        if set(pair) <= set(adata.obs):
            own = np.asarray(adata.obs[list(pair)].apply(_numbers), dtype=np.float64)
            if own.shape == given.shape and np.allclose(own, given, rtol=1e-4, atol=0.01):
                return True
    return False


def _numbers(column: pd.Series) -> pd.Series:
    import pandas as pd

    return pd.to_numeric(column, errors="coerce")


def position_notes(adata: AnnData) -> list[str]:
    """A note where the names of the columns of `obsm["spatial"]` do not say which is x."""
    columns = position_columns(getattr(adata.obsm["spatial"], "columns", ()))
    return [] if columns is None or not columns.note else [columns.note]


def _x_before_y(table: Any, path: str | Path) -> Any:
    """A table's columns of x and y by their names, an array as it is.

    Raises
    ------
    EosinError
        The names do not tell them: by their order alone, x and y would be exchanged unseen.
    """
    columns = getattr(table, "columns", None)
    if columns is None:
        return table
    if (chosen := position_columns(columns)) is None:
        listed = ", ".join(map(str, columns[:6])) + (", ..." if len(columns) > 6 else "")
        problem = f"the columns of obsm['spatial'] ({listed}) do not say which two are x and y in pixels"
        raise EosinError(problem, file=path, fix="call them x and y, or leave these two only, as an array, x before y")
    return table[[chosen.x, chosen.y]]


def put_positions(adata: AnnData, xy_um: np.ndarray, mpp: float | None) -> None:
    """Store positions: pixels in `obsm["spatial"]` (µm where there is no image) and µm in `obsm["xy_um"]`.

    Both, because dividing by µm/px and multiplying again loses the last bit, and fingerprints are of exact values.
    """
    adata.obsm["spatial"] = np.array(xy_um, dtype=np.float64) / (1.0 if mpp is None else mpp)
    adata.obsm["xy_um"] = np.array(xy_um, dtype=np.float64)


def get_positions(adata: AnnData, mpp: float | None, path: str | Path) -> np.ndarray:
    """Positions [s 2] in µm; `obsm["spatial"]` decides, `obsm["xy_um"]` gives the exact value where they agree."""
    xy_um = spatial(adata, path) * (1.0 if mpp is None else mpp)
    exact = adata.obsm.get("xy_um")
    if exact is not None and np.shape(exact) == xy_um.shape and np.allclose(exact, xy_um, rtol=1e-9, atol=1e-6):
        return np.asarray(exact, dtype=np.float64)
    return xy_um


def width_at(record: Mapping[str, Any], scale: float | None) -> Any:
    """The spots' width that a record of eosin holds, µm: another scale than its own changes it as it does distances.

    Whatever else the record holds in its place is returned as it is, for `Spots` to refuse; None without one.
    """
    width, stored = record.get("diameter_um"), record.get("mpp")
    numbers = all(isinstance(value, int | float) for value in (width, stored, scale))
    return width * scale / stored if numbers and stored and scale != stored else width  # pyright: ignore


def _plain(value: Any) -> Any:
    """NumPy scalars, and arrays of one, as Python's own."""
    is_one = isinstance(value, np.generic) or (isinstance(value, np.ndarray) and value.size == 1)
    return value.item() if is_one else value
