"""What a cohort holds: one entry for each slide or section, of a folder or of a manifest. Nothing large is read."""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from eosin.data.contents import PICTURES
from eosin.data.file_names import begins_with
from eosin.data.manifest import manifest_rows, path_in
from eosin.data.missing import names_no_patient
from eosin.data.other_platforms import other_outputs
from eosin.data.reader import is_known, reader_for
from eosin.errors import EosinError
from eosin.options import LayoutOptions, ReadOptions
from eosin.plurals import counted
from eosin.shard import Shard
from eosin.slide import is_slide_folder
from eosin.slide.dicom import series_of
from eosin.types import check_mpp
from eosin.types.identifiers import first_repeat

log = logging.getLogger("eosin")
_PREVIEW = re.compile(r"(?P<slide>.+?)[-_. ](?:thumb(?:nail)?|label|macro|overview|preview|mask)", re.IGNORECASE)

MANIFESTS = (".csv", ".tsv", ".parquet")
"""Suffixes of tables of slides."""
Remarks = list[tuple[int, str]]
"""What a listing leaves out, with the level of the log."""


@dataclass(frozen=True)
class SlideEntry:
    """One slide or section of a cohort.

    Attributes
    ----------
    id
        What its outputs are called; unique in a cohort.
    path
        A bare image, a file of sections, a feature file, or a data folder.
    section
        Which section of a data folder or file of several; None for an image, or where there is only one.
    patient, mpp, reader
        As in `ReadOptions`; None where the manifest does not say them.
    points, tissue
        As in `LayoutOptions`, of this slide.
    """

    id: str
    path: Path
    section: str | None = None
    patient: str | None = None
    mpp: float | None = None
    reader: str | None = None
    points: Path | None = None
    tissue: Path | None = None

    def reading(self, common: ReadOptions) -> ReadOptions:
        """How it is read: what its entry says, else what all are told."""
        own = {name: getattr(self, name) for name in ("patient", "mpp", "reader") if getattr(self, name) is not None}
        return replace(common, **own)

    def layout(self, common: LayoutOptions) -> LayoutOptions:
        """How spots are laid on it: what its entry says, else what all are told."""
        own = {name: getattr(self, name) for name in ("points", "tissue") if getattr(self, name) is not None}
        return replace(common, **own)


def is_manifest(path: Path) -> bool:
    """Whether a file is, by its name, a table of slides."""
    return path.is_file() and path.suffix.lower() in MANIFESTS and other_outputs([path.name]) is None


def is_cohort(path: str | Path, reading: ReadOptions = ReadOptions(), *, several_of_data: bool = True) -> bool:
    """Whether a path holds several slides or sections: a manifest, a folder of slides, or data of several sections.

    Parameters
    ----------
    several_of_data
        Whether a data folder of several sections counts.
    """
    path = Path(path)
    if is_manifest(path):
        return reading.reader is None
    if not path.is_dir() or (reading.reader is None and is_slide_folder(path)):
        return False
    try:
        found, _ = _of_folder(path, reading)
        return len(found) > 1 and (several_of_data or any(entry.path != path for entry in found))
    except EosinError:
        return False


def entries_of(path: str | Path, reading: ReadOptions = ReadOptions()) -> list[SlideEntry]:
    """The entries of a manifest, or of a folder of slides or sections, in the order of the table or of names.

    Parameters
    ----------
    path
        A manifest (.csv, .tsv or .parquet with the column `path`, relative to the table, and maybe id, section,
        patient, mpp, reader, points, tissue); a data folder; or a folder whose files and folders are slides or data.
    reading
        The reader that all are told.

    Raises
    ------
    EosinError
        No slide is there; a manifest without paths, with an impossible value, or with one id twice.
    """
    path = Path(path)
    if is_manifest(path) and reading.reader is None:
        found = _of_manifest(path)
    elif reading.reader is None and is_slide_folder(path):
        found = [SlideEntry(as_id(_stem(path)), path)]
    else:
        found, remarks = _of_folder(path, reading)
        for level, remark in remarks:
            log.log(level, "%s: %s", path, remark)
    if not found:
        raise EosinError("holds no slide or section", file=path, fix="give a folder of slides, or a table with paths")
    ids = [entry.id for entry in found]
    if len(set(ids)) < len(ids):
        fix = "give the slides ids of their own in a manifest (columns path, id)"
        raise EosinError(f"two slides are called '{first_repeat(ids)}'", file=path, fix=fix)
    return found


def _of_data(path: Path, reading: ReadOptions) -> list[SlideEntry]:
    """The sections of a path, as its reader lists them."""
    names = reader_for(path, reading).names(path)
    return [SlideEntry(as_id(name), path, name) for name in names]


def _of_folder(folder: Path, reading: ReadOptions) -> tuple[list[SlideEntry], Remarks]:
    """The sections of a data folder of several, else what its files and folders are; and what is left out."""
    try:
        found = _of_data(folder, reading)
    except EosinError:
        if reading.reader is not None or not folder.is_dir():
            raise
        found = []
    if reading.reader is not None or not folder.is_dir():
        return found, []
    if len(found) > 1:
        ids = tuple(entry.id for entry in found)
        pictures = [child for child in _children(folder) if _is_picture(child)]
        beside = [child.name for child in pictures if not any(begins_with(_stem(child), name) for name in ids)]
        images = counted(len(beside), "image")
        if not beside:
            return found, []
        left_out = f"{images} beside the sections left out, first '{beside[0]}'; a manifest can name them"
        return found, [(logging.WARNING, left_out)]
    return _of_children(folder, reading)


def _of_children(folder: Path, reading: ReadOptions) -> tuple[list[SlideEntry], Remarks]:
    children, remarks = _one_file_a_slide(_children(folder))
    data = {child.name.partition(".")[0] for child in children if child.suffix.lower() == ".h5ad"}
    if previews := _previews(children):
        children = [child for child in children if child not in previews]
        said = f"{counted(len(previews), 'preview')} of slides left out: {', '.join(one.name for one in previews[:6])}"
        remarks.append((logging.INFO, said))
    found, unknown = [], []
    for child in children:
        if _is_picture(child) and child.name.partition(".")[0] in data:
            continue  # the image of a section's file
        entries = _of_child(child, reading)
        found += entries
        if not entries and not any(other.stem == child.name for other in children):  # a slide's own folder of tiles
            unknown.append(child.name)
    if unknown:
        left_out = f"{counted(len(unknown), 'folder')} that no reader knows left out: {', '.join(unknown[:6])}"
        remarks.append((logging.INFO, left_out))
    return found, remarks


def _previews(children: Sequence[Path]) -> list[Path]:
    """Pictures called as a slide beside them with a word for a preview or a mask behind: `A1_thumbnail.jpg`."""
    slides = {_stem(child) for child in children}
    named = ((child, _PREVIEW.fullmatch(_stem(child))) for child in children if child.is_file())
    return [child for child, match in named if match is not None and match["slide"] in slides]


def _one_file_a_slide(children: list[Path]) -> tuple[list[Path], Remarks]:
    """Children of which a slide in DICOM is one, its first file; and what is said of it."""
    files = [child for child in children if child.suffix.lower() == ".dcm" and child.is_file()]
    series = series_of(files)
    others = {file for slide in series for file in slide[1:]}
    if not others:
        return children, []
    said = f"{counted(len(files), 'file')} of DICOM are {counted(len(files) - len(others), 'slide')}"
    return [child for child in children if child not in others], [(logging.INFO, said)]


def _of_child(child: Path, reading: ReadOptions) -> list[SlideEntry]:
    """The entries of one file or folder of a cohort; what is damaged is one entry, which fails when it is read."""
    whole = SlideEntry(as_id(_stem(child)), child)
    if _is_picture(child):
        return [whole]
    if child.is_dir() and not is_known(child):
        return []
    try:
        entries = _of_data(child, reading)
    except EosinError:
        return [whole]
    if len(entries) == 1:  # called as its file or folder, since section names of vendors repeat
        return [replace(entries[0], id=whole.id)]
    return [replace(entry, id=as_id(f"{whole.id}-{entry.id}")) for entry in entries]


def _is_picture(path: Path) -> bool:
    return is_slide_folder(path) if path.is_dir() else path.suffix.lower() in PICTURES


def _children(folder: Path) -> list[Path]:
    """Files and folders that may be slides or data: images, `.h5ad`, `.h5`, and folders; hidden ones are not."""
    known = (*PICTURES, ".h5ad", ".h5", ".zarr")
    return [
        child
        for child in sorted(folder.iterdir())
        if not child.name.startswith(".") and (child.is_dir() or child.suffix.lower() in known)
    ]


def _of_manifest(path: Path) -> list[SlideEntry]:
    rows = manifest_rows(path)
    entries = [_of_row(told, line, path) for line, told in rows]
    _check_repeated(entries, [line for line, _ in rows], path)
    log.info("%s: %s", path, counted(len(entries), "slide"))
    return entries


def _check_repeated(entries: Sequence[SlideEntry], lines: Sequence[int], manifest: Path) -> None:
    """Refuse what is listed as of two patients, and warn of what is listed twice; several cores of an image may be."""
    first: dict[tuple[object, ...], int] = {}
    for i, entry in enumerate(entries):
        j = first.setdefault((entry.path.resolve(), entry.section, entry.points, entry.tissue), i)
        if j == i or entry.id == entries[j].id:
            continue
        twice = f"lines {lines[j]} and {lines[i]} are of the same slide, {entry.path.name}"
        if None not in (entry.patient, entries[j].patient) and entry.patient != entries[j].patient:
            problem = f"{twice}, and name patients '{entries[j].patient}' and '{entry.patient}'"
            raise EosinError(problem, file=manifest, fix="mend the path, or the patient")
        log.warning("%s: %s", manifest, twice)


def _of_row(told: dict[str, str], number: int, manifest: Path) -> SlideEntry:
    """One line of a manifest; its paths are relative to the manifest."""
    if "path" not in told:
        raise EosinError(f"line {number} has no path", file=manifest, fix="give one, or leave the line out")
    mpp = None
    if "mpp" in told:
        try:
            mpp = float(told["mpp"])
        except ValueError:
            mpp = math.nan
        try:
            check_mpp(mpp, "")
        except EosinError:
            fix = "write 0.5, not 0,5, in the column mpp" if "," in told["mpp"] else "mend the column mpp"
            problem = f"line {number}: {told['mpp']} µm per pixel is impossible"
            raise EosinError(problem, file=manifest, fix=fix) from None
    slide = path_in(manifest, told["path"])
    given_id = told.get("id")
    if given_id is not None and given_id != as_id(given_id):
        raise EosinError(
            f"line {number}: '{given_id}' cannot name a file", file=manifest, fix=f"call it as '{as_id(given_id)}'"
        )
    own = given_id or as_id("-".join(filter(None, [_stem(slide), told.get("section")])))
    files = {name: path_in(manifest, told[name]) for name in ("points", "tissue") if name in told}
    patient = None if names_no_patient(told.get("patient")) else told["patient"]
    return SlideEntry(own, slide, told.get("section"), patient, mpp, told.get("reader"), **files)


def _stem(path: Path) -> str:
    """A file's name without what tells its format."""
    is_image = not path.is_dir() or (path.suffix.lower() == ".zarr" and is_slide_folder(path))
    return re.sub(r"(\.ome)?\.[A-Za-z0-9]{1,6}$", "", path.name) if is_image else path.name


def as_id(name: str) -> str:
    """A name that any file system takes."""
    kept = re.sub(r"[^\w.+=@()\[\] -]", "_", name).strip(" .")
    return kept[:150] or "slide"


def of_shard(entries: Sequence[SlideEntry], shard: str | None) -> list[SlideEntry]:
    """Every N-th of the entries, from the i-th on, for `i/N`; all without a shard.

    Raises
    ------
    EosinError
        Not of the form i/N with 1 <= i <= N.
    """
    return list(entries) if shard is None else Shard.parse(shard).part(entries)
