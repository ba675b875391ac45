"""Files that are either whole or absent: atomic writing, fingerprints, JSON."""

from __future__ import annotations

import contextlib
import errno
import glob
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
from eosin.storage.lazy_rows import LazyRows

if TYPE_CHECKING:
    import h5py

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


@contextlib.contextmanager
def atomic_file(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; move it to `path` when the block succeeds, delete it when it fails.

    A reader therefore sees the old file or the new one, never a part of it.

    Raises
    ------
    EosinError
        The disk is full, or the folder cannot be written.
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


def remove_partial_files(path: Path) -> None:
    """Remove what processes left that were killed while they wrote `path`; only the holder of its lock may."""
    pattern = f".{glob.escape(path.stem)}-????????{path.suffix}"  # as `atomic_file` names them
    for partial in path.parent.glob(pattern):
        partial.unlink(missing_ok=True)
    name = glob.escape(path.name)
    for pattern in (f".{name}-????????", f".{name}-old-*"):  # as `atomic_folder` does
        for partial in path.parent.glob(pattern):
            if partial.is_dir():
                shutil.rmtree(partial, ignore_errors=True)


@contextlib.contextmanager
def explained(path: str | Path) -> Iterator[None]:
    """Turn an `OSError` of a block that writes `path` without `atomic_file` into the `EosinError` that a user gets."""
    try:
        yield
    except OSError as error:
        raise _explain(error, Path(path)) from error


@contextlib.contextmanager
def atomic_hdf5(path: str | Path) -> Iterator[h5py.File]:
    """Yield an HDF5 file that appears at `path` when the block succeeds, or not at all.

    When the disk is full, HDF5 keeps the unwritten parts for later, reports no `OSError`, and crashes the interpreter
    when it exits. So failed writes are hidden from it (`_Unfailing`) and raised here.

    Raises
    ------
    EosinError
        The disk is full, or the folder cannot be written.
    """
    with atomic_file(path) as partial, new_hdf5(partial) as file:
        yield file


@contextlib.contextmanager
def new_hdf5(path: Path) -> Iterator[h5py.File]:
    """Yield a new HDF5 file at a path of `atomic_file`, which is complete behind the block.

    Raises
    ------
    OSError
        Something could not be written.
    """
    import h5py

    with _Unfailing(path) as raw:
        with h5py.File(raw, "w") as file:
            yield file
        raw.settle()


class _Unfailing(io.RawIOBase):
    """A new file that accepts every write: from the first failed write on it drops them; `settle` raises that error."""

    def __init__(self, path: Path):
        super().__init__()
        self._file = open(path, "w+b", buffering=0)  # noqa: SIM115  (closed by `close`)
        self._place = 0
        self._problem: OSError | None = None

    def settle(self) -> None:
        """Raise the error of the first write that failed, if one did."""
        if self._problem is not None:
            raise self._problem

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move to a byte of the file and return it."""
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: os.fstat(self._file.fileno()).st_size}
        self._place = start[whence] + offset
        return self._place

    def tell(self) -> int:
        """Current position, bytes."""
        return self._place

    def write(self, data: Any) -> int:
        """Write bytes, or drop them after a failed write; returns their number in both cases."""
        rest = memoryview(data).cast("B")
        size = len(rest)
        try:
            self._file.seek(self._place)
            while len(rest) and self._problem is None:
                rest = rest[self._file.write(rest) :]
        except OSError as error:
            self._problem = error
        self._place += size
        return size

    def readinto(self, buffer: Any) -> int:
        """Fill `buffer` from the file; bytes that were dropped, or lie beyond the end, read as 0."""
        whole, n = memoryview(buffer).cast("B"), 0
        try:
            self._file.seek(self._place)
            n = self._file.readinto(whole) or 0
        except OSError as error:
            self._problem = self._problem or error
        whole[n:] = bytes(len(whole) - n)
        self._place += len(whole)
        return len(whole)

    def truncate(self, size: int | None = None) -> int:
        """Cut or extend the file to `size` bytes; without effect after a failed write."""
        size = self._place if size is None else size
        try:
            if self._problem is None:
                self._file.truncate(size)
        except OSError as error:
            self._problem = error
        return size

    def readable(self) -> bool:
        """True: the file can be read."""
        return True

    def writable(self) -> bool:
        """True: the file can be written."""
        return True

    def seekable(self) -> bool:
        """True: `seek` works."""
        return True

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        super().close()


@contextlib.contextmanager
def atomic_folder(path: str | Path) -> Iterator[Path]:
    """Yield a temporary folder beside `path`; put it in the place of `path` when the block succeeds.

    Raises
    ------
    EosinError
        The disk is full, or the folder cannot be written.
    """
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
        try:
            partial.rename(path)
        except BaseException:
            if old.exists():
                old.rename(path)
            raise
        shutil.rmtree(old, ignore_errors=True)
    except OSError as error:
        raise _explain(error, path) from error
    finally:
        if partial is not None:
            shutil.rmtree(partial, ignore_errors=True)


def write_json(path: str | Path, value: Any) -> None:
    """Write `value` as indented JSON, atomically.

    Raises
    ------
    EosinError
        The file cannot be written.
    ValueError
        The value holds NaN or infinity, which are not JSON.
    """
    with atomic_file(path) as partial:
        partial.write_text(json.dumps(value, indent=1, allow_nan=False) + "\n", encoding="utf-8")


def read_json(path: str | Path) -> Any:
    """The value in a JSON file.

    Raises
    ------
    EosinError
        The file is missing, or is not JSON.
    """
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise EosinError("no such file", file=path) from None
    except (OSError, ValueError) as error:
        raise EosinError(f"not readable as JSON ({error})", file=path) from error


def sha256_file(path: str | Path) -> str:
    """SHA-256 of a file's bytes (64 hex digits), read in pieces of 1 MiB."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()


def fingerprint(*parts: Any) -> str:
    """First 16 hex digits of the SHA-256 of arrays, tables on disk, strings and JSON-able values, in order.

    The dtype and shape of an array count, so that the same bytes with another meaning give another hash.
    """
    digest = hashlib.sha256()
    for part in parts:
        if isinstance(part, np.ndarray | LazyRows):
            digest.update(f"{part.dtype.str}{part.shape}".encode())
            for rows in part.blocks() if isinstance(part, LazyRows) else [...]:
                digest.update(np.ascontiguousarray(part[rows]).reshape(-1).view(np.uint8).data)  # no copy
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
    if error.filename is not None and not _belongs_to(error.filename, path):
        source = os.fsdecode(error.filename)
        if error.errno == errno.ENOENT:
            return EosinError("no such file", file=source, fix=f"{path} is made from it: check its path")
        return EosinError(f"cannot be read ({error.strerror or error})", file=source, fix="check its permissions")
    return EosinError(f"cannot be written ({error.strerror or error})", file=path, fix="check the folder's permissions")


def _belongs_to(name: Any, path: Path) -> bool:
    """Whether an error's file is what was to be written: `path`, its folders, or a temporary or hidden file of it."""
    if not isinstance(name, str | bytes | os.PathLike):
        return True
    place, path = Path(os.fsdecode(name)).absolute(), path.absolute()
    hidden = str(path.with_name(f".{path.stem}"))
    return place in (path, *path.parents) or str(place).startswith((str(path), hidden))
