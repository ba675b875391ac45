"""Reader of `.h5ad` files: sections that eosin wrote, or any AnnData with raw counts and `obsm["spatial"]`.

A file that holds several libraries (`obs["library_id"]`, as scanpy and squidpy name them) is read as several sections.
"""

from __future__ import annotations

import copy
from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from eosin.config import need_known
from eosin.data.array_map import SAME
from eosin.data.footprint_table import areas_in
from eosin.data.foreign import counts_of, domains_of, on_tissue, patient_of
from eosin.data.foreign_scale import scale_of_anndata
from eosin.data.h5ad import is_in_um, libraries_in, obs_of, our_record, peek_h5ad, position_notes, read_h5ad, spatial
from eosin.data.libraries import LIBRARY, check_apart, library_of_spots, may_be_called, samples_in_one
from eosin.data.odd_positions import check_not_reduced, odd_axes, without_place
from eosin.data.picture_size import plain_ratio
from eosin.data.reader import READERS, Reader
from eosin.data.readers.native import own_section
from eosin.data.scale_facts import ScaleFacts
from eosin.data.section_parts import SectionParts, find_image, left_out
from eosin.data.uns_spatial import factors_of, normalise, reduced_picture, stated_number
from eosin.errors import EosinError
from eosin.types import Footprints, Image, Section

if TYPE_CHECKING:
    import h5py
    from anndata import AnnData


_SINGLE = "is_single"
"""CELLxGENE's, beside the libraries of `uns["spatial"]`: whether the file is of one section."""
_SEVERAL = f"uns['spatial']['{_SINGLE}'] says that it is of several sections: name their column of obs by --library"


class SingleFile(Reader):
    """One `.h5ad` file, or a folder of them."""

    name = "h5ad"
    platform = "various"
    library: str | None = None
    positions_um: bool = False
    looks_for = "one .h5ad file with obsm['spatial'], or a folder of such files"

    def recognise(self, path: Path) -> str | None:
        """Whether it is such a file, or how many of them a folder holds; none is opened."""
        if path.is_file():
            return "a single .h5ad file" if path.suffix == ".h5ad" else None
        n_files = len(_files(path))
        return f"{n_files} files *.h5ad" if n_files else None

    def names(self, path: Path) -> list[str]:
        """A section per file, or per library of a file with several."""
        return list(_sections(path, self.library))

    def read_section(self, path: Path, name: str, *, mpp: float | None = None) -> Section:
        """One file, or one library of it."""
        known = _sections(path, self.library, name)
        if name not in known:
            need_known(name, _sections(path, self.library), "section", file=path)
        file, library = known[name]
        adata = read_h5ad(file)
        record = our_record(adata, file)
        if record.get("kind") == "prediction":
            fix = "give a measured section here, and predictions to eosin score or eosin report"
            raise EosinError("is a prediction, not a measured section", file=file, fix=fix)
        if record.get("kind") == "section":
            return own_section(adata, record, file, mpp)
        adata, library, notes = _of_library(adata, library, self.library, file, mpp)
        parts = _foreign_parts(
            adata, record, file, mpp, name, library, positions_um=self.positions_um, is_told=self.library is not None
        )
        return replace(parts, notes=[*notes, *parts.notes]).section(self.naming)

    def told(self, *, library: str | None = None, positions_um: bool = False) -> SingleFile:
        """The same reader, told the column of `obs` that names libraries, or that positions are µm."""
        other = copy.copy(self)
        other.library, other.positions_um = library, positions_um
        return other


def _files(path: Path) -> list[Path]:
    return [path] if path.is_file() else sorted(f for f in path.glob("*.h5ad") if not f.name.startswith("."))


def _sections(path: Path, column: str | None, name: str | None = None) -> dict[str, tuple[Path, str | None]]:
    """Sections by name: the file each is in, and its library where the file has several.

    With a `name`, only files that may hold it are opened: `{name}.h5ad`, or `{file}.h5ad` of a name `{file}-{library}`.
    """
    sections: dict[str, tuple[Path, str | None]] = {}
    for file in _files(path):
        if name is not None and name != file.stem and not name.startswith(f"{file.stem}-"):
            continue
        libraries = peek_h5ad(file, partial(_libraries, column=column, path=file))
        for library in libraries if len(libraries) > 1 else [None]:
            section = file.stem if library is None else f"{file.stem}-{library}"
            if section in sections:
                problem = f"a section of it is called '{section}', and one of {sections[section][0].name} too"
                raise EosinError(problem, file=file, fix="give one of the files another name")
            sections[section] = file, library
    return sections


def _libraries(file: h5py.File, column: str | None, path: Path) -> list[str]:
    """The libraries that the spots of an open file are of, in order."""
    if "obs" not in file:
        return []
    keys = libraries_in(file)

    only = column if column is not None and column in file["obs"] else None

    def may_name(name: str, stored: Any) -> bool:
        """Columns that may be the one; numbers are measures, unless libraries are called by numbers."""
        if only is not None or (column is None and not keys):
            return name == (only or LIBRARY)
        if not may_be_called(name, keys):
            return False
        return getattr(getattr(stored, "dtype", None), "kind", "O") != "f" or any(key.isdigit() for key in keys)

    _, of_spot = library_of_spots(obs_of(file, may_name), keys, column, path)
    return sorted(set(of_spot) - {""})


def _of_library(
    adata: AnnData, library: str | None, column: str | None, path: Path, mpp: float | None
) -> tuple[AnnData, str | None, list[str]]:
    """The spots of one library, its name where `uns["spatial"]` knows it, and a note on how it was told.

    A file of one library is taken whole.
    """
    keys, facts = normalise(adata)
    told_by, of_spot = library_of_spots(adata.obs, keys, column, path)
    if library is None:
        known = set(of_spot) - {""}
        if len(keys) > 1 and not known & set(keys):
            return adata, None, [f"{_untold(adata, path, mpp, 'no column tells whose a spot is')}: taken for one"]
        own = known & set(keys) if known else set(keys)
        notes = [] if np.all(facts.get(_SINGLE, True)) else [_SEVERAL]
        return adata, own.pop() if len(own) == 1 and len(known) <= 1 else None, notes
    notes = [] if told_by in (LIBRARY, column) else [f"obs['{told_by}'] tells the libraries of uns['spatial'] apart"]
    if len(keys) > 1 and library not in keys:
        notes.append(f"{_untold(adata, path, mpp, f'none is called {library}')}: scale factors are the first one's")
    notes += left_out(int((of_spot == "").sum()), len(of_spot), f"spots of the file have no obs['{told_by}']")
    return adata[np.flatnonzero(of_spot == library)].copy(), library, notes


def _untold(adata: AnnData, path: Path, mpp: float | None, why: str) -> str:
    """A note that it is not known which of several libraries in `uns["spatial"]` spots are of, and why.

    Libraries of another scale than the user gave are taken out of `adata`.

    Raises
    ------
    EosinError
        The libraries differ in scale, and the user gave none of theirs.
    """
    libraries = adata.uns["spatial"]
    listed = ", ".join(list(map(str, libraries))[:4])
    problem = f"uns['spatial'] names {len(libraries)} libraries ({listed}) and {why}"
    stated = {key: stated_number(factors_of(adata, key), "microns_per_pixel", path) for key in libraries}
    scales = sorted(scale for scale in stated.values() if scale is not None)
    if not scales or scales[-1] <= (1 + SAME) * scales[0]:
        return problem
    fitting = {key for key, scale in stated.items() if mpp is not None and scale and abs(mpp / scale - 1) <= SAME}
    if not fitting:
        problem = f"{problem}: they are of {scales[0]:g} to {scales[-1]:g} µm per pixel"
        fix = "name the column of obs that tells by --library, or give the scale of one of them by --mpp"
        raise EosinError(problem, file=path, fix=fix)
    adata.uns["spatial"] = {key: libraries[key] for key in libraries if key in fitting}
    return problem


def _foreign_parts(
    adata: AnnData,
    record: dict[str, Any],
    path: Path,
    mpp: float | None,
    name: str,
    library: str | None,
    *,
    positions_um: bool,
    is_told: bool,
) -> SectionParts:
    """A section from an AnnData that another tool wrote: the scale must be known, the rest is looked for.

    `is_told` says that the user named the column of libraries.
    """
    adata, notes = on_tissue(adata)
    xy = spatial(adata, path)
    notes += [*position_notes(adata), *odd_axes(adata, xy, path)]
    adata, xy, place_notes = _with_positions(adata, xy, path)
    check_apart(xy, adata.obs, path)
    place_notes += samples_in_one(xy, adata.obs, path, is_told=is_told)
    file = _image_file(path, name, library)
    reduced = reduced_picture(adata, path, library)
    if not (positions_um or record.get("spatial_unit") == "um" or is_in_um(adata, path)):
        check_not_reduced(xy, reduced, path)
    ratio, ratio_notes = _ratio_to_stored(file, reduced)
    facts = ScaleFacts(adata, xy, path, record, factors_of(adata, library), file, ratio)
    scale = scale_of_anndata(facts, None if mpp is None else mpp * ratio, positions_um=positions_um)
    counts, genes, count_notes = counts_of(adata, path)
    areas = areas_in(adata)
    image, image_notes = _image(file, None if scale.mpp is None else scale.mpp / ratio)
    patient, patient_notes = patient_of(adata, name)
    return SectionParts(
        path,
        name,
        xy * scale.unit_um,
        scale.diameter_um,
        adata.obs_names,
        counts,
        genes,
        patient=patient,
        image=image,
        domains=domains_of(adata),
        platform=scale.platform,
        notes=[*notes, *place_notes, *count_notes, *scale.notes, *ratio_notes, *patient_notes, *image_notes],
        footprints=None if areas is None else Footprints(areas),
        is_image_of_positions=mpp is not None or reduced is not None,
    )


def _with_positions(adata: AnnData, xy: np.ndarray, path: Path) -> tuple[AnnData, np.ndarray, list[str]]:
    """The spots that have a position, as long as few have none; what many lack is for the record to refuse."""
    nowhere = without_place(xy, path)
    if not nowhere.any():
        return adata, xy, []
    notes = left_out(int(nowhere.sum()), len(xy), "spots have no position")
    return adata[np.flatnonzero(~nowhere)].copy(), xy[~nowhere], notes


def _image_file(path: Path, name: str, library: str | None) -> Path | None:
    """The image of the section's name (the file's, where it holds one section), or the library's, beside the file.

    Raises
    ------
    EosinError
        It is called as the library, and another file beside has one of that name: tools call many `slice1`.
    """
    own, libraries = (
        [path.with_name(stem) for stem in stems if stem and not set(stem) & set("/\\\0")]  # no file may be called so
        for stems in ([name], [library])
    )
    if (file := find_image(own)) is not None or (file := find_image(libraries)) is None or library is None:
        return file
    others = (other for other in _files(path.parent) if other.name != path.name)
    other = next((other for other in others if other.stem == library or library in _libraries_beside(other)), None)
    if other is None:
        return file
    problem = f"is called as library '{library}' of {path.name}, which {other.name} has too: whose it is is not known"
    raise EosinError(problem, file=file, fix=f"call it as its section, such as {name}{file.name[len(library) :]}")


def _libraries_beside(file: Path) -> tuple[str, ...]:
    """The libraries that another file names; none where it cannot be read, which its own section says."""
    try:
        return _libraries_at(file, file.stat().st_mtime_ns)
    except (EosinError, OSError):
        return ()


@lru_cache(maxsize=1024)
def _libraries_at(file: Path, changed_ns: int) -> tuple[str, ...]:  # noqa: ARG001  asked of every file by all others
    return tuple(peek_h5ad(file, libraries_in)) + tuple(peek_h5ad(file, partial(_libraries, column=None, path=file)))


def _ratio_to_stored(file: Path | None, reduced: tuple[tuple[int, int], float] | None) -> tuple[float, list[str]]:
    """How many times larger the image is than the picture of the positions, by the reduced one in `uns["spatial"]`."""
    if file is None or reduced is None:
        return 1.0, []
    from eosin.slide import size_px_of  # image libraries load only where a file is asked

    try:
        size_px = size_px_of(file)
    except EosinError:
        return 1.0, []  # whoever encodes it says what is wrong with it
    (height, width), factor = reduced
    way_out = "the section then has none"
    return plain_ratio(file, size_px, (width / factor, height / factor), factor, without=way_out)


def _image(file: Path | None, scale: float | None) -> tuple[Image | None, list[str]]:
    if file is None:
        return None, ["no image of the same name beside the file"]
    if scale is None:
        return None, [f"{file.name} is left out: positions are µm, and the image's scale is not said (--mpp)"]
    return Image(file, scale), []


READERS.add(SingleFile.name, SingleFile())
