"""Refuse a zarr store of unknown origin that leads out of its folder, runs code, or would fill memory or time.

What a store says of its arrays may stand twice: beside each, and gathered at the root. Libraries read either, so that
both are checked, before anything else opens the store.
"""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

from eosin.errors import EosinError
from eosin.storage.hdf5 import Declared


def is_zarr_group(path: Path) -> bool:
    """Whether a folder is marked as a group of zarr, of version 2 or 3."""
    return any((path / mark).is_file() for mark in ("zarr.json", ".zgroup", ".zattrs"))


_FIX = "the store is damaged or hostile; write or download it again"
_INCOMPLETE = "the store is incomplete; write or download it again"
_SMALL = 1_000_000  # bytes; counting what is stored walks the folder
_MANY, _SPARSE = 10_000, 100
"""An array may have `_MANY` pieces, or `_SPARSE` for each that is there: looking for an absent piece takes time."""


def check_zarr(path: Path) -> None:
    """Check a store of zarr format 2 or 3.

    Raises
    ------
    EosinError
        A link or a name leads elsewhere; an array is a pickle; arrays declare far more than they hold.
    Exception
        What zarr raises where the store is damaged.
    """
    import zarr

    _check_links(path)
    _check_view(zarr.open_group(path, mode="r", use_consolidated=False), path)
    _check_view(zarr.open_group(path, mode="r"), path)


def _check_links(path: Path) -> None:
    """Refuse links: one to a folder can go round for ever, and any can lead out."""
    for folder, folders, files in os.walk(path):
        for name in (*folders, *files):
            if os.path.islink(inside := os.path.join(folder, name)):
                shown = os.path.relpath(inside, path)
                raise EosinError(f"'{shown}' is a link", file=path, fix="copy what it points to into the store")


def _check_view(group: Any, path: Path) -> None:
    """Check all arrays of a store as one of its two descriptions has them."""
    import zarr

    declared, members = Declared(path), dict(group.members(max_depth=None))
    for name, member in members.items():
        if ".." in Path(name).parts or Path(name).is_absolute():
            raise EosinError(f"names '{name}', which leads out of it", file=path, fix=_FIX)
        if isinstance(member, zarr.Array):
            _check_array(member, name, declared)
    for name, member in members.items():
        # newer anndata keeps names as a group of text and mask; a mask that hides nothing need not be written
        if isinstance(member, zarr.Array) and f"/{name}".endswith(("/_index", "/_index/values")):
            _check_whole(member, name, path)
        if {f"{name}/data", f"{name}/indices", f"{name}/indptr"} <= members.keys():
            _check_sparse(members, name, path)


def _check_array(array: Any, name: str, declared: Declared) -> None:
    """Refuse an array that is a pickle, is of an impossible shape, or declares far more than is there."""
    path, pieces = declared.path, array.shards or array.chunks
    check_array_kind(array, name, path)
    n_pieces = _n_pieces(array)
    if n_pieces > _MANY and n_pieces > _SPARSE * _n_files(path / name):
        raise EosinError(f"'{name}' declares {n_pieces} pieces that are not there", file=path, fix=_FIX)
    size = max(array.nbytes, array.dtype.itemsize * math.prod(pieces))  # a piece is made whole, however little is used
    if size > _SMALL:
        declared.add(name, size, array.nbytes_stored())


def check_array_kind(array: Any, name: str, path: Path) -> None:
    """Refuse an array that is a pickle or of an impossible shape; nothing of it is read.

    Parameters
    ----------
    array
        An open array of zarr.
    name, path
        What it is called, and its store, for the message.

    Raises
    ------
    EosinError
        It is either.
    """
    pieces = array.shards or array.chunks
    if "pickle" in str(array.metadata.to_dict()).lower():
        raise EosinError(f"'{name}' is a pickle, which is never opened", file=path, fix="write it as numbers or text")
    if min(array.shape, default=0) < 0 or min(pieces, default=1) < 1:
        raise EosinError(f"'{name}' has pieces of an impossible shape {pieces}", file=path, fix=_FIX)


def _check_whole(array: Any, name: str, path: Path) -> None:
    """Refuse names and counts of which a piece is missing: zarr would read it as empty names and as zeros."""
    if n_missing := _n_pieces(array) - _n_files(path / name):
        raise EosinError(f"'{name}' lacks {n_missing} of its {_n_pieces(array)} pieces", file=path, fix=_INCOMPLETE)


def _check_sparse(members: dict[str, Any], name: str, path: Path) -> None:
    """As `_check_whole`, of a sparse matrix; its row ends may lack some, which are 0 where the first rows are empty."""
    for part in ("data", "indices"):
        _check_whole(members[f"{name}/{part}"], f"{name}/{part}", path)
    if _n_pieces(members[f"{name}/data"]) and not _n_files(path / name / "indptr"):
        raise EosinError(f"'{name}/indptr' has no pieces", file=path, fix=_INCOMPLETE)


def _n_pieces(array: Any) -> int:
    """Pieces (shards, else chunks) that an array of this shape has when whole."""
    return math.prod(-(-whole // piece) for whole, piece in zip(array.shape, array.shards or array.chunks))


def _n_files(folder: Path) -> int:
    """Files below a folder that hold pieces of an array."""
    return sum(not file.startswith((".", "zarr.json")) for _, _, files in os.walk(folder) for file in files)
