"""Reader of `.h5ad` files: sections that eosin wrote, or any AnnData with raw counts and `obsm["spatial"]`.

A file that holds several libraries (`obs["library_id"]`, as scanpy and squidpy name them) is read as several sections.
"""

from __future__ import annotations

import contextlib
import copy
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from eosin.config import need_known
from eosin.data.footprint_table import areas_in
from eosin.data.foreign import counts_of, domains_of, on_tissue, patient_of
from eosin.data.foreign_scale import ForeignScale, ScaleFacts, factors_of, reduced_picture, scale_of_anndata
from eosin.data.h5ad import libraries_in, obs_of, our_record, peek_h5ad, position_notes, read_h5ad, spatial
from eosin.data.libraries import LIBRARY, check_apart, library_of_spots, untold_samples
from eosin.data.missing import positive_number
from eosin.data.picture_size import plain_ratio
from eosin.data.reader import READERS, Reader
from eosin.data.readers.native import own_section
from eosin.data.section_parts import SectionParts, find_image, left_out
from eosin.errors import EosinError
from eosin.types import Footprints, Image, Section

if TYPE_CHECKING:
    import h5py
    from anndata import AnnData

_MOST_WITHOUT = 0.05
"""Share of spots that may have no position."""


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
        adata, library, notes = _of_library(adata, library, self.library, file)
        parts = _foreign_parts(adata, record, file, mpp, name, library, positions_um=self.positions_um)
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
                problem = f"has a section '{section}', and so has {sections[section][0].name}"
                raise EosinError(problem, file=file, fix="call one of the files otherwise")
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
        return getattr(getattr(stored, "dtype", None), "kind", "O") != "f" or any(key.isdigit() for key in keys)

    _, of_spot = library_of_spots(obs_of(file, may_name), keys, column, path)
    return sorted(set(of_spot) - {""})


def _of_library(
    adata: AnnData, library: str | None, column: str | None, path: Path
) -> tuple[AnnData, str | None, list[str]]:
    """The spots of one library, its name where `uns["spatial"]` knows it, and a note on how it was told.

    A file of one library is taken whole.
    """
    uns = adata.uns.get("spatial")
    keys = list(uns) if isinstance(uns, dict) else []
    told_by, of_spot = library_of_spots(adata.obs, keys, column, path)
    if library is None:
        known = set(of_spot) - {""}
        untold = len(keys) > 1 and not known & set(keys)
        listed = ", ".join(map(str, keys[:4]))
        note = (
            f"uns['spatial'] names {len(keys)} libraries ({listed}) and no column tells whose a spot is: taken for one"
        )
        notes = [note] if untold else untold_samples(adata.obs) if told_by is None else []
        return adata, known.pop() if len(known) == 1 and known <= set(keys) else None, notes
    notes = [] if told_by in (LIBRARY, column) else [f"obs['{told_by}'] tells the libraries of uns['spatial'] apart"]
    notes += left_out(int((of_spot == "").sum()), len(of_spot), f"spots of the file have no obs['{told_by}']")
    return adata[np.flatnonzero(of_spot == library)].copy(), library, notes


def _foreign_parts(
    adata: AnnData,
    record: dict[str, Any],
    path: Path,
    mpp: float | None,
    name: str,
    library: str | None,
    *,
    positions_um: bool,
) -> SectionParts:
    """A section from an AnnData that another tool wrote: the scale must be known, the rest is looked for."""
    adata, notes = on_tissue(adata)
    notes += position_notes(adata)
    adata, xy, place_notes = _with_positions(adata, spatial(adata, path))
    check_apart(xy, adata.obs, path)
    uns = adata.uns.get("spatial")
    only = next(iter(uns)) if isinstance(uns, dict) and len(uns) == 1 else None
    file, file_notes = _image_file(path, name, library or only)
    ratio, ratio_notes = _ratio_to_stored(file, adata, library)
    if library is None and mpp is None:
        _need_one_scale(adata, path)
    facts = ScaleFacts(adata, xy, path, record, factors_of(adata, library))
    scale, scale_notes = _scale(facts, None if mpp is None else mpp * ratio, file, positions_um=positions_um)
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
        notes=[
            *notes,
            *place_notes,
            *count_notes,
            *scale.notes,
            *scale_notes,
            *ratio_notes,
            *patient_notes,
            *file_notes,
            *image_notes,
        ],
        footprints=None if areas is None else Footprints(areas),
        is_image_of_positions=mpp is not None or bool(scale_notes) or reduced_picture(adata, library) is not None,
    )


def _scale(
    facts: ScaleFacts, mpp: float | None, image: Path | None, *, positions_um: bool
) -> tuple[ForeignScale, list[str]]:
    """The scale of the positions: told, or by the file; else that which the image beside it says, with a note."""
    try:
        return scale_of_anndata(facts, mpp, positions_um=positions_um), []
    except EosinError:
        from eosin.slide import scale_of  # image libraries load only where a file is asked

        own = None
        if image is not None and mpp is None and not positions_um:
            with contextlib.suppress(EosinError):
                own = scale_of(image)
        if own is None or image is None:
            raise
        return scale_of_anndata(facts, own, positions_um=False), [f"{own:.4g} µm per pixel, as {image.name} says"]


def _with_positions(adata: AnnData, xy: np.ndarray) -> tuple[AnnData, np.ndarray, list[str]]:
    """The spots that have a position, as long as few have none; what many lack is for the record to refuse."""
    finite = np.isfinite(xy).all(1)
    n_without = int((~finite).sum())
    if not 0 < n_without <= _MOST_WITHOUT * len(xy):
        return adata, xy, []
    return adata[np.flatnonzero(finite)].copy(), xy[finite], left_out(n_without, len(xy), "spots have no position")


def _image_file(path: Path, name: str, library: str | None) -> tuple[Path | None, list[str]]:
    """The image of the section's name, or of its library's, beside the file; and a note where there is none.

    A library's name that several files hold, as `slice1`, does not say whose image it is.
    """
    stems = [stem for stem in (name, library) if stem and not set(stem) & set("/\\\0")]
    file = find_image(path.with_name(stem) for stem in stems)
    if file is None:
        return None, ["no image of the same name beside the file"]
    own = find_image([path.with_name(name)]) if name in stems else None
    if library is None or file == own:
        return file, []
    others = [other.name for other in _files(path.parent) if other != path and library in _keys_of(other)]
    if others:
        return None, [f"{file.name} is left out: {others[0]} has a library '{library}' as well; call it {name}"]
    return file, []


def _keys_of(path: Path) -> list[str]:
    """Names of libraries in another file; none where it cannot be read."""
    try:
        return peek_h5ad(path, libraries_in)
    except EosinError:
        return []


def _need_one_scale(adata: AnnData, path: Path) -> None:
    """Refuse spots of which nobody says whose they are, where libraries are of different scales."""
    libraries = adata.uns.get("spatial")
    factors = [factors_of(adata, key) for key in libraries] if isinstance(libraries, dict) else []
    for fact in ("microns_per_pixel", "spot_diameter_fullres"):
        values = [value for each in factors if (value := positive_number(each.get(fact))) is not None]
        if values and max(values) > 1.01 * min(values):
            problem = f"no column tells whose a spot is, and the libraries of uns['spatial'] differ in {fact}"
            raise EosinError(
                problem, file=path, fix="name the column of obs that tells by --library, or give a file each"
            )


def _ratio_to_stored(file: Path | None, adata: AnnData, library: str | None) -> tuple[float, list[str]]:
    """How many times larger the image is than the picture of the positions, by the reduced one in `uns["spatial"]`."""
    reduced = reduced_picture(adata, library)
    if file is None or reduced is None:
        return 1.0, []
    from eosin.slide import size_px_of  # image libraries load only where a file is asked

    try:
        size_px = size_px_of(file)
    except EosinError:
        return 1.0, []  # whoever encodes it says what is wrong with it
    (height, width), factor = reduced
    return plain_ratio(file, size_px, (width / factor, height / factor), factor)


def _image(file: Path | None, scale: float | None) -> tuple[Image | None, list[str]]:
    if file is None:
        return None, []
    if scale is None:
        return None, [f"{file.name} is left out: positions are µm, and the image's scale is not said (--mpp)"]
    return Image(file, scale), []


READERS.add(SingleFile.name, SingleFile())
