"""Slides in DICOM: one slide is a series of files, a level or two each; OpenSlide reads it from any of them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from eosin.errors import EosinError

_MAGIC, _AT = b"DICM", 128
_INDEX = "DICOMDIR"
"""A table of contents that some exports add, in DICOM itself."""
_SERIES = b"\x20\x00\x0e\x00"
"""The tag of SeriesInstanceUID, (0020,000E)."""
_HEAD_BYTES = 1 << 20
"""The part of a file in which the tag is looked for: what describes the series comes before the pixels."""
_FIX = "give one file of the slide, or a folder that holds nothing but one slide"


def is_dicom(file: Path) -> bool:
    """Whether a file is DICOM, by its content."""
    try:
        with open(file, "rb") as stream:
            return stream.read(_AT + 4)[_AT:] == _MAGIC
    except OSError:
        return False


def is_dicom_folder(folder: Path) -> bool:
    """Whether a folder holds files of DICOM and nothing else; hidden files do not count."""
    files = _visible(folder)
    return bool(files) and all(file.is_file() and is_dicom(file) for file in files)


def slide_of_folder(folder: Path) -> Path:
    """A file of the only slide in a folder of DICOM, for OpenSlide to open.

    Raises
    ------
    EosinError
        No file that OpenSlide knows as a slide, or several slides.
    """
    series = series_of(_visible(folder))
    if not series:
        said = "holds DICOM files that OpenSlide does not know as a slide"
        raise EosinError(said, file=folder, fix="convert them, as by: wsidicomizer, or bfconvert IN OUT.ome.tif")
    if len(series) > 1:
        raise EosinError(f"holds {len(series)} slides in DICOM", file=folder, fix=_FIX)
    return series[0][0]


def series_of(files: Sequence[Path]) -> list[list[Path]]:
    """Files of DICOM slides by series, in the order of the files; what OpenSlide does not know is left out.

    OpenSlide is asked once a series: it looks through the whole folder.
    """
    found: list[list[Path]] = []
    marks: list[tuple[bytes, bytes]] = []
    for file in files:
        head = _head(file)
        at = next((i for i, pair in enumerate(marks) if any(mark in head for mark in pair)), None)
        if at is not None:
            found[at].append(file)
        elif (uid := _series_by_openslide(file)) is not None:
            marks.append(_marks(uid))
            found.append([file])
    return found


def _visible(folder: Path) -> list[Path]:
    try:
        names = sorted(os.listdir(folder))
    except OSError:
        return []
    return [folder / name for name in names if not name.startswith(".") and name.upper() != _INDEX]


def _head(file: Path) -> bytes:
    try:
        with open(file, "rb") as stream:
            return stream.read(_HEAD_BYTES)
    except OSError:
        return b""


def _marks(uid: str) -> tuple[bytes, bytes]:
    """How SeriesInstanceUID of this value is written where types are explicit, and where they are not."""
    value = uid.encode("ascii", "replace")
    value += b"\0" * (len(value) % 2)
    n = len(value)
    return _SERIES + b"UI" + n.to_bytes(2, "little") + value, _SERIES + n.to_bytes(4, "little") + value


def _series_by_openslide(file: Path) -> str | None:
    """SeriesInstanceUID of a file that OpenSlide knows as a DICOM slide, else None."""
    import openslide

    try:
        with openslide.OpenSlide(file) as slide:
            return slide.properties.get("dicom.SeriesInstanceUID")
    except (openslide.OpenSlideError, OSError):
        return None
