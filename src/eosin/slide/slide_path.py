"""Which paths are slides: a file, or a folder that is one slide (OME-Zarr, DICOM). Nothing large is read."""

from __future__ import annotations

from pathlib import Path

from eosin.errors import EosinError
from eosin.slide.dicom import is_dicom_folder
from eosin.slide.ngff import MARKS, is_ome_zarr

_FIX = "give the path of an image file"
_MANY_FILES = (".mrxs", ".dcm", ".vms", ".vmu")
"""Suffixes of files that hold a part of a slide, whose other parts lie beside them."""


def is_slide(path: Path) -> bool:
    """Whether a slide may lie at a path: any file, or a folder that is one slide."""
    return path.is_file() or is_slide_folder(path)


def is_slide_folder(path: Path) -> bool:
    """Whether a folder is one slide: an OME-Zarr, or files of DICOM and nothing else."""
    return path.is_dir() and (is_ome_zarr(path) or is_dicom_folder(path))


def is_one_file(path: Path) -> bool:
    """Whether a slide is one file, which can be copied without others."""
    return path.is_file() and path.suffix.lower() not in _MANY_FILES


def need_slide(path: Path) -> Path:
    """The path, if a slide may lie there.

    Raises
    ------
    EosinError
        Nothing lies there, or a folder that is no slide; the message says which of those in it are.
    """
    if is_slide(path):
        return path
    if not path.is_dir():
        raise EosinError("not a file" if path.exists() else "no such image", file=path, fix=_FIX)
    try:
        within = sorted(child.name for child in path.iterdir() if is_slide_folder(child))
    except OSError as error:
        raise EosinError(f"cannot be read ({error.strerror})", file=path, fix="check its permissions") from error
    if within:
        raise EosinError("a folder, not an image", file=path, fix=f"give one in it, as {path / within[0]}")
    if any((path / mark).is_file() for mark in (*MARKS, ".zgroup")):
        fix = "give the group in it whose attributes have 'multiscales', or an image file"
        raise EosinError("a zarr store that is no OME-Zarr image", file=path, fix=fix)
    raise EosinError("a folder, not an image", file=path, fix=_FIX)


def state_of(path: Path) -> tuple[int, int]:
    """Time of change (ns) and size of a file, or of what describes a folder of zarr; of another folder, its own."""
    files = [path / mark for mark in MARKS] if path.is_dir() else []
    state = next((file for file in files if file.is_file()), path).stat()
    return state.st_mtime_ns, state.st_size
