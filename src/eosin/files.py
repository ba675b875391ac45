"""Files that are either whole or absent: atomic writing, fingerprints, JSON."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import io
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from eosin.errors import EosinError

if TYPE_CHECKING:
    import h5py

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


@contextlib.contextmanager
def atomic_file(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; move it there when the block ends well, delete it when not.

    A reader therefore sees the old file or the new one, never a part. A full disk becomes an `EosinError`.
    """
    path = Path(path)
    partial = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.stem}-", suffix=path.suffix, dir=path.parent)
        os.close(handle)
        partial = Path(name)
        yield partial
        _flush(partial)
        partial.chmod(0o666 & ~_umask())  # mkstemp makes private files; results are for the whole lab
        partial.replace(path)
    except OSError as error:
        raise _explain(error, path) from error
    finally:
        if partial is not None:
            partial.unlink(missing_ok=True)


@contextlib.contextmanager
def explained(path: str | Path) -> Iterator[None]:
    """Turn an `OSError` of the block, which writes `path` by other means, into the `EosinError` that a user gets."""
    try:
        yield
    except OSError as error:
        raise _explain(error, Path(path)) from error


@contextlib.contextmanager
def atomic_hdf5(path: str | Path) -> Iterator[h5py.File]:
    """Yield an HDF5 file in memory; write it to `path`, whole or not at all, when the block ends well.

    In memory, because HDF5 that meets a full disk keeps the unwritten parts for later, reports them without an
    `OSError`, and brings the interpreter down when it ends.
    """
    import h5py

    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        yield file
    with atomic_file(path) as partial:
        partial.write_bytes(buffer.getbuffer())


@contextlib.contextmanager
def atomic_folder(path: str | Path) -> Iterator[Path]:
    """Yield a temporary folder beside `path` and exchange it for `path` when the block ends well."""
    path = Path(path)
    partial = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix=f".{path.name}-", dir=path.parent))
        yield partial
        for file in partial.rglob("*"):
            if file.is_file():
                _flush(file)
        partial.chmod(0o777 & ~_umask())
        old = path.with_name(f".{path.name}-old-{os.getpid()}")
        if path.exists():
            path.rename(old)
        partial.rename(path)
        shutil.rmtree(old, ignore_errors=True)
    except OSError as error:
        raise _explain(error, path) from error
    finally:
        if partial is not None:
            shutil.rmtree(partial, ignore_errors=True)


def write_json(path: str | Path, value: Any) -> None:
    """Write `value` as indented JSON, atomically. NaN and infinity are refused: they are not JSON."""
    with atomic_file(path) as partial:
        partial.write_text(json.dumps(value, indent=1, allow_nan=False) + "\n", encoding="utf-8")


def read_json(path: str | Path) -> Any:
    """Read a JSON file that eosin wrote; a missing or broken one is an `EosinError`."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise EosinError("no such file", file=path) from None
    except (OSError, ValueError) as error:
        raise EosinError(f"not readable as JSON ({error})", file=path) from error


def sha256_file(path: str | Path) -> str:
    """Hex SHA-256 of a file's bytes, read in pieces."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()


def fingerprint(*parts: Any) -> str:
    """Short SHA-256 (16 hex digits) over arrays, strings and JSON-able values, in order.

    Arrays count with dtype and shape, so that equal bytes of another meaning differ.
    """
    digest = hashlib.sha256()
    for part in parts:
        if isinstance(part, np.ndarray):
            digest.update(f"{part.dtype.str}{part.shape}".encode())
            digest.update(np.ascontiguousarray(part).tobytes())
        else:
            digest.update(json.dumps(part, sort_keys=True, default=str).encode())
        digest.update(b"\0")
    return digest.hexdigest()[:16]


def _flush(path: Path) -> None:
    """Force a file to disk, so that the rename never outlives the bytes."""
    with open(path, "rb") as file:
        os.fsync(file.fileno())


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _explain(error: OSError, path: Path) -> EosinError:
    if error.errno in _FULL:
        return EosinError(
            "the disk is full; nothing was written", file=path, fix="free some space or choose another --out"
        )
    return EosinError(f"cannot be written ({error.strerror or error})", file=path, fix="check the folder's permissions")
