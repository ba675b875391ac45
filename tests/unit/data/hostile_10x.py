"""Ways in which a file of 10x's can be broken, and the one law: a section or an `EosinError`, nothing else."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np

from eosin.data import read
from eosin.errors import EosinError
from eosin.types import Section


def only_ours(path: Path, **how) -> list[Section] | EosinError:
    """What reading gives; any other exception gets through and fails the test."""
    try:
        return read(path, **how)
    except EosinError as error:
        assert "\n" not in str(error)
        return error


def cut(file: Path, share: float) -> None:
    """Keep the first part of a file."""
    data = file.read_bytes()
    file.write_bytes(data[: int(share * len(data))])


def external(file: Path, key: str, outside: Path) -> None:
    """Replace a dataset by a link to the same one in a file elsewhere."""
    with h5py.File(file, "a") as one, h5py.File(outside, "w") as other:
        one.copy(key, other, "taken")
        del one[key]
        one[key] = h5py.ExternalLink(str(outside), "/taken")


def raw_outside(file: Path, key: str, outside: Path) -> None:
    """Replace a dataset by one whose bytes HDF5 would take from a file elsewhere."""
    with h5py.File(file, "a") as one:
        old = one[key][:]
        del one[key]
        outside.write_bytes(old.tobytes())
        one.create_dataset(key, old.shape, old.dtype, external=[(str(outside), 0, h5py.h5f.UNLIMITED)])


def replaced(key: str, change: Callable[[np.ndarray], np.ndarray]) -> Callable[[Path], None]:
    def edit(file: Path) -> None:
        with h5py.File(file, "a") as one:
            old = one[key][:]
            del one[key]
            one[key] = change(old)

    return edit


def _one_too_large(indices: np.ndarray) -> np.ndarray:
    indices[3] = 10**6
    return indices


def _backwards(indptr: np.ndarray) -> np.ndarray:
    indptr[5] = indptr[-1]
    return indptr


def _claim(file: Path) -> None:
    """Ten billion values, none of them stored."""
    with h5py.File(file, "a") as one:
        for key in ("data", "indices"):
            del one[f"matrix/{key}"]
            one["matrix"].create_dataset(key, (10**10,), "i4", chunks=(1 << 20,), compression="gzip")


def _drop(key: str) -> Callable[[Path], None]:
    def edit(file: Path) -> None:
        with h5py.File(file, "a") as one:
            del one[key]

    return edit


H5_FAULTS: dict[str, tuple[Callable[[Path], object], str]] = {
    "a billion columns": (replaced("matrix/shape", lambda s: np.array([s[0], 10**9])), "declares a shape of"),
    "values that are not there": (_claim, "'matrix/data' declares 40 GB and holds 0 MB"),
    "a feature out of range": (replaced("matrix/indices", _one_too_large), "counts of feature 1000000, of 12"),
    "row ends that go back": (replaced("matrix/indptr", _backwards), "row ends do not agree"),
    "row ends that are short": (replaced("matrix/indptr", lambda p: p[:-1]), "row ends do not agree"),
    "two axes": (replaced("matrix/data", lambda d: d[:, None]), "is no list of values"),
    "text for numbers": (replaced("matrix/data", lambda d: d.astype("S")), "holds |S"),
    "fractions": (replaced("matrix/data", lambda d: d / 3), "values that are no counts"),
    "negative counts": (replaced("matrix/data", lambda d: -d), "values that are no counts"),
    "one barcode twice": (replaced("matrix/barcodes", lambda b: np.array([b[0], *b[:-1]])), "barcode occurs twice"),
    "barcodes of another sample": (replaced("matrix/barcodes", lambda b: np.char.add(b"x", b)), "no barcode of the"),
    "no features": (_drop("matrix/features"), "has no 'features'"),
    "no matrix": (_drop("matrix"), "has no 'matrix'"),
    "only antibodies": (
        replaced("matrix/features/feature_type", lambda t: np.array([b"Antibody Capture"] * len(t))),
        "no feature of type 'Gene Expression'",
    ),
    "names of another length": (replaced("matrix/features/name", lambda n: n[:3]), "not readable as a 10x matrix"),
    "zero bytes": (lambda file: file.write_bytes(b""), "is empty"),
    "text": (lambda file: file.write_text("<html>404</html>"), "is a web page"),
}


def claims(file: Path, size: str) -> None:
    """Another size line in a Matrix Market file."""
    lines = gzip.decompress(file.read_bytes()).decode().split("\n")
    at = next(i for i, line in enumerate(lines) if not line.startswith("%"))
    lines[at] = size
    file.write_bytes(gzip.compress("\n".join(lines).encode()))
