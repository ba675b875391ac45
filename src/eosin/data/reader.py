"""What every reader of measured sections offers, and the functions that choose one and run it."""

from __future__ import annotations

import contextlib
import copy
import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import numpy as np

from eosin.config import Registry, need_known
from eosin.data.contents import no_reader_fits
from eosin.data.gene_overlap import overlap_note, shared_genes
from eosin.data.repeated_sections import repeated_note
from eosin.errors import EosinError
from eosin.genes.columns import AS_GIVEN, Naming, naming_of
from eosin.genes.name_table import read_gene_table
from eosin.genes.renaming import rename, rename_by_own
from eosin.options import ReadOptions, takes_options
from eosin.plurals import counted
from eosin.progress import task
from eosin.types import Section

log = logging.getLogger("eosin")

IMAGE_SUFFIXES = (
    *(".tif", ".tiff", ".ome.tif", ".ome.tiff", ".btf", ".ome.btf", ".svs", ".ndpi", ".mrxs", ".scn", ".bif"),
    *(".jpg", ".jpeg", ".png", ".webp", ".jp2", ".czi", ".dcm", ".ome.zarr", ".zarr"),
)
"""Files, and folders of OME-Zarr, that may be a slide's image; whether they open is for `eosin.slide` to say."""


class Reader(ABC):
    """Turns one layout of files on disk into `Section` records.

    Attributes
    ----------
    name
        How the user asks for it, as `legacy-st`.
    platform
        The measuring platform it stands for, or `"various"`.
    looks_for
        The files by which it is recognised, in words; printed when nothing fits.
    evidence
        What its sections are, in words, as `count tables in ST-cnts/`: `recognise` puts their number before it.
    naming
        What genes are to be called, and what becomes of two columns of one name: handed to `SectionParts.section`.
        The function `read` renames what a reader leaves.
    """

    name: str
    platform: str
    looks_for: str
    evidence: str = "sections"
    naming: Naming = AS_GIVEN

    def recognise(self, path: Path) -> str | None:
        """Why `path` is of this layout, in words, or `None`: the number of its sections, unless a reader says more.

        Looks at the names of files only, never at large contents.
        """
        n_sections = len(self.names(path))
        return f"{n_sections} {self.evidence}" if n_sections else None

    @abstractmethod
    def names(self, path: Path) -> list[str]:
        """The sections under `path`, in order; none where it is of another layout."""

    @abstractmethod
    def read_section(self, path: Path, name: str, *, mpp: float | None = None) -> Section:
        """Read one section; `mpp` (µm per pixel at full resolution) beats what the files say.

        Made by `eosin.data.section_parts.SectionParts`.

        Raises
        ------
        EosinError
            A file is missing, cut short or holds something else; the error names the file.
        """

    def pooled(self, bin_um: float) -> Reader:
        """The same reader with spots of another width: squares of `bin_um` µm. Only where spots can be made wider."""
        fix = f"leave it out, or give data of {' or '.join(_overriding('pooled'))}"
        raise EosinError(f"reader '{self.name}' reads spots as they are and cannot take --bin-um {bin_um:g}", fix=fix)

    def in_cells(self) -> Reader:
        """The same reader with cells as units. Only where files hold cells."""
        fix = f"leave it out, or give data of {' or '.join(_overriding('in_cells'))}"
        raise EosinError(
            f"reader '{self.name}' reads units as its files have them and cannot take --unit cells", fix=fix
        )

    def told(self, *, library: str | None = None, positions_um: bool = False) -> Reader:
        """The same reader, told which column names libraries, or that positions are µm. Only where files leave it open.

        Raises
        ------
        EosinError
            Its files say themselves which spot is whose and in which unit.
        """
        flag = f"--library {library}" if library is not None else "--positions-um"
        raise EosinError(f"reader '{self.name}' cannot take {flag}", fix="leave it out; it is for AnnData (.h5ad)")

    def calling(self, naming: Naming) -> Self:
        """The same reader, which calls genes by `naming`."""
        other = copy.copy(self)
        other.naming = naming
        return other

    def describe(self, path: Path) -> dict[str, Any]:
        """What is worth telling of the whole folder beside its sections (JSON-able)."""
        return {}


READERS: Registry[Reader] = Registry("reader")


def _overriding(method: str) -> list[str]:
    """The readers that have a method of their own in the place of one that refuses."""
    return [name for name in READERS if getattr(type(READERS[name]), method) is not getattr(Reader, method)]


def recognise(path: str | Path, reader: str | None = None) -> tuple[Reader, str]:
    """The reader for `path` and the reason in words.

    Parameters
    ----------
    path
        A folder or file of measured sections.
    reader
        A name in `READERS`, to insist on one.

    Raises
    ------
    EosinError
        Nothing is there, no reader fits, several fit, or the named one does not.
    """
    path = Path(path)
    if not path.exists():
        raise EosinError("no such file or folder", file=path, fix="check the path")
    if reader is not None:
        chosen = READERS[reader]
        reason = chosen.recognise(path)
        if reason is None:
            raise EosinError(f"not laid out for reader '{reader}'", file=path, fix=f"it looks for {chosen.looks_for}")
        return chosen, reason
    fitting = [(READERS[name], why) for name in READERS if (why := READERS[name].recognise(path)) is not None]
    if not fitting:
        known = "; ".join(f"{name}: {READERS[name].looks_for}" for name in READERS)
        raise no_reader_fits(path, is_known, known)
    if len(fitting) > 1:
        names = " and ".join(f"'{one.name}'" for one, _ in fitting)
        raise EosinError(f"readers {names} both fit", file=path, fix="name one by --reader")
    return fitting[0]


def reader_for(path: str | Path, reading: ReadOptions) -> Reader:
    """The reader for `path` as the options ask for it: which sections there are may depend on them.

    Raises
    ------
    EosinError
        As `recognise`, and for an option that the reader has no use for.
    """
    chosen, _ = recognise(path, reading.reader)
    chosen = chosen if reading.bin_um is None else chosen.pooled(reading.bin_um)
    chosen = chosen.in_cells() if reading.unit == "cells" else chosen
    if reading.library is None and not reading.positions_um:
        return chosen
    return chosen.told(library=reading.library, positions_um=reading.positions_um)


def is_known(path: Path) -> bool:
    """Whether a reader knows a path; what is damaged there is for reading to say."""
    try:
        return any(READERS[name].recognise(path) is not None for name in READERS)
    except EosinError:
        return True


@takes_options()
def read(path: str | Path, *, reading: ReadOptions = ReadOptions()) -> list[Section]:
    """Read measured sections.

    Parameters
    ----------
    path
        Folder or file in a known layout.

    Raises
    ------
    EosinError
        As `recognise`, the reader and `eosin.genes.renaming.rename`, and for a section that is not there.
    """
    path = Path(path)
    found = _read(path, reading)
    _log_notes(path, found)
    return found


def _read(path: Path, reading: ReadOptions) -> list[Section]:
    """The sections; what is wrong between them is logged, their notes are not."""
    chosen = reader_for(path, reading)
    chosen = chosen.calling(naming_of(reading.gene_names if reading.gene_table is None else None, reading.duplicates))
    call = _renaming(reading)
    known = chosen.names(path)
    if not known:
        raise EosinError("holds no sections", file=path, fix=f"reader '{chosen.name}' looks for {chosen.looks_for}")
    wanted = list(known if reading.sections is None else reading.sections)
    for name in wanted:
        need_known(name, known, "section", file=path)
    if len(set(wanted)) != len(wanted):
        raise EosinError("a section is asked for twice", file=path, fix="name each section once")
    found = []
    with task("read sections", len(wanted), "sections") as tick:
        for name in wanted:
            found.append(call(chosen.read_section(path, name, mpp=reading.mpp)).said_to_be_of(reading.patient))
            tick()
    note, is_warning = overlap_note(found)
    if note is not None:
        log.log(logging.WARNING if is_warning else logging.INFO, "%s: %s", path, note)
    if (twice := repeated_note(found)) is not None:
        log.warning("%s: %s", path, twice)
    return found


def _log_notes(path: Path, sections: Sequence[Section]) -> None:
    """One line: the note itself where there is one, or all sections have it; else how many, and each with `-v`."""
    notes = [(section.name, note) for section in sections for note in section.notes]
    different = list(dict.fromkeys(note for _, note in notes))
    if len(different) == 1:
        names = [name for name, _ in notes]
        log.info("%s: %s", ", ".join(names[:4]) + (", ..." if len(names) > 4 else ""), different[0])
        return
    if different:
        told = counted(len({name for name, _ in notes}), "section")
        log.info("%s: %d notes on %s; to see them: eosin info, or -v", path, len(notes), told)
    for name, note in notes:
        log.debug("%s: %s", name, note)


def _renaming(reading: ReadOptions) -> Callable[[Section], Section]:
    """What calls a section's genes as asked for, where its reader has not done so, and says what has no such name."""
    names, duplicates = reading.gene_names, reading.duplicates
    if reading.gene_table is not None:
        table = read_gene_table(reading.gene_table)
        return lambda section: rename(section, table, names or "symbol", duplicates=duplicates)
    if names is not None:
        return lambda section: rename_by_own(section, names, duplicates=duplicates)
    return lambda section: section


@takes_options()
def describe(path: str | Path, *, reading: ReadOptions = ReadOptions()) -> dict[str, Any]:
    """What is in `path`, JSON-able: reader, reason, and per section spots, genes, molecules, scale and notes."""
    chosen, reason = recognise(path, reading.reader)
    sections = _read(Path(path), replace(reading, reader=chosen.name))
    facts = {"path": str(path), "reader": chosen.name, "reason": reason, **chosen.describe(Path(path))}
    if (shared := shared_genes(sections)) is not None:
        facts["genes_in_all"] = shared
    return {**facts, "sections": [_describe(section) for section in sections]}


def _describe(section: Section) -> dict[str, Any]:
    image, footprints = section.image, section.spots.footprints
    outlines = None if footprints is None else footprints.outlines
    return {
        "name": section.name,
        "patient": section.patient,
        "platform": section.platform,
        "spots": len(section),
        "unit": None if footprints is None else section.spots.unit,
        "genes": 0 if section.genes is None else len(section.genes),
        "total_counts": 0 if section.counts is None else int(section.counts.sum(dtype=np.float64)),
        "diameter_um": section.spots.diameter_um,
        "outlines": None if outlines is None else int(outlines.drawn.sum()),
        "mpp": None if image is None else image.mpp,
        "image": None if image is None else str(image.path),
        "domains": 0 if section.domains is None else len(set(section.domains)),
        "notes": list(section.notes),
    }


@contextlib.contextmanager
def blame(file: str | Path) -> Iterator[None]:
    """Add `file` to an `EosinError` of a record that cannot know where its values came from."""
    try:
        yield
    except EosinError as error:
        if error.file is not None:
            raise
        raise EosinError(error.problem, file=file, fix=error.fix) from error
