"""The promises of a reader, checked by one function that plug-ins can run on their own data."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from eosin.data.reader import READERS, Reader
from eosin.errors import EosinError
from eosin.types import Section


def check_reader(reader: str | Reader, path: str | Path) -> None:
    """Run a reader on data of its layout and raise at the first promise it breaks.

    Parameters
    ----------
    reader
        A name in `READERS`, or the reader itself.
    path
        Data that it should read.

    Raises
    ------
    AssertionError
        With the promise in words.
    """
    reader, path = READERS[reader] if isinstance(reader, str) else reader, Path(path)
    _check_names(reader, path)
    for name in reader.names(path):
        _check_section(reader, path, name)
    _check_refusals(reader, path)
    json.dumps(reader.describe(path))


def _hold(promise: str, *, kept: bool) -> None:
    """Raise with the promise unless it is kept."""
    if not kept:
        raise AssertionError(promise)


def _check_names(reader: Reader, path: Path) -> None:
    for field in ("name", "platform", "looks_for"):
        _hold(
            f"`{field}` is a text", kept=isinstance(getattr(reader, field, None), str) and bool(getattr(reader, field))
        )
    reason, names = reader.recognise(path), reader.names(path)
    _hold("recognises its own layout, with a reason", kept=isinstance(reason, str) and bool(reason))
    _hold("finds sections", kept=len(names) > 0)
    _hold("section names are unique", kept=len(set(names)) == len(names))
    _hold("names come in the same order each time", kept=names == reader.names(path))


def _check_section(reader: Reader, path: Path, name: str) -> None:
    section = reader.read_section(path, name)
    _hold(f"'{name}' is read as a Section", kept=isinstance(section, Section))
    _hold(f"'{name}' names a patient", kept=bool(section.patient))
    _hold(f"'{name}' has counts", kept=section.counts is not None and section.counts.nnz > 0)
    _hold(f"'{name}' is the same when read again", kept=_same(section, reader.read_section(path, name)))
    try:
        half, whole = (reader.read_section(path, name, mpp=mpp).spots.xy_um for mpp in (0.5, 1.0))
    except EosinError as error:  # a scale that the file contradicts
        _hold(f"'{name}': a given scale is used, or refused by name", kept="--mpp" in str(error))
        return
    in_um = section.image is None and np.array_equal(half, whole)  # a file of µm has no scale to be given
    pooled = half.shape != whole.shape  # cells fall into other squares where their places are scaled
    _hold(f"'{name}': a given scale is used", kept=in_um or pooled or bool(np.allclose(2 * half, whole)))


def _same(first: Section, second: Section) -> bool:
    """Whether two readings of a section gave the same."""
    compared = [(section.fingerprint(), section.notes, section.domains) for section in (first, second)]
    return compared[0] == compared[1]


def _check_refusals(reader: Reader, path: Path) -> None:
    _hold("does not recognise what is not there", kept=reader.recognise(path / "absent") is None)
    for problem, call in (
        ("an unknown section", lambda: reader.read_section(path, "no such section")),
        ("an impossible scale", lambda: reader.read_section(path, reader.names(path)[0], mpp=1e6)),
    ):
        try:
            call()
        except EosinError as error:
            _hold(f"{problem}: the error names a file", kept=error.file is not None)
        else:
            raise AssertionError(f"{problem} is an EosinError")
