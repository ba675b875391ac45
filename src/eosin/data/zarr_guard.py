"""Refuse a store that would fill the memory: arrays that declare far more than they hold."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from eosin.hdf5 import Declared


def check_zarr(group: Any, path: Path) -> None:
    """Check every array of an open zarr group."""
    import zarr

    declared = Declared(path)
    for name, member in group.members(max_depth=None):
        if isinstance(member, zarr.Array) and member.nbytes > 1_000_000:  # counting stored bytes walks the folder
            declared.add(name, member.nbytes, member.nbytes_stored())
