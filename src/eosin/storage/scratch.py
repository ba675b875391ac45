"""Tables that are too large for memory while they are made: arrays in a file without a name.

The system keeps their pages in memory for as long as there is room, and `let_go` takes them off the process. The file
has no name, so that nothing is left behind when the process ends, however it ends; its space is reserved when the table
is made, so that a full disk is an error then and no crash later.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import mmap
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from eosin.errors import EosinError

_IN_MEMORY = 1 << 25
"""Bytes up to which a table is an array in memory."""


def scratch_table(shape: Sequence[int], folder: str | Path | None = None, *, in_memory: int = _IN_MEMORY) -> np.ndarray:
    """A float32 table of zeros that may be larger than the memory; it is gone with its last view.

    Parameters
    ----------
    shape
        Its shape.
    folder
        Where its file is to be; by default the system's folder for such files (`TMPDIR`).
    in_memory
        Bytes up to which it is a common array.

    Raises
    ------
    EosinError
        The disk is full, or the folder cannot be written.
    """
    n_bytes = int(np.prod(shape, dtype=np.int64)) * 4
    if n_bytes <= in_memory:
        return np.zeros(tuple(shape), dtype=np.float32)
    place = Path(tempfile.gettempdir() if folder is None else folder)
    try:
        place.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(prefix=".eosin-scratch-", dir=place) as file:
            _reserve(file.fileno(), n_bytes)
            return np.memmap(file, dtype=np.float32, mode="w+", shape=tuple(shape))
    except OSError as error:
        problem = f"has no room for {n_bytes / 2**30:.1f} GiB of numbers in between ({error.strerror or error})"
        raise EosinError(problem, file=place, fix="free some space, or set TMPDIR to another folder") from error


def _reserve(handle: int, n_bytes: int) -> None:
    """Take the space of a file, where the system and the file system can."""
    try:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(handle, 0, n_bytes)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP):
            raise


def let_go(*arrays: np.ndarray | None) -> None:
    """Take the pages of tables that `scratch_table` made off the process; they stay in the file. Others are left."""
    for array in arrays:
        owner: object = array
        while isinstance(owner, np.ndarray) and owner.base is not None:
            owner = owner.base
        if isinstance(owner, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED") and hasattr(owner, "madvise"):
            owner.madvise(mmap.MADV_DONTNEED)


def hand_back_freed() -> None:
    """Hand back to the system what this process has freed; does nothing where that cannot be asked for.

    The C library keeps freed memory for later, in holes that the next, a little larger arrays do not fit in.
    """
    with contextlib.suppress(OSError, AttributeError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)
