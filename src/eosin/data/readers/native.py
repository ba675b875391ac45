"""The layout that eosin writes: `sections/{name}.h5ad`, `images/` and `index.json`.

Each section is a plain AnnData that scanpy opens: raw counts in `X`, centres in `obsm["spatial"]` (pixels of the full
image, x before y), and what AnnData has no place for in `uns["eosin"]`.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np

from eosin.data.footprint_table import get_footprints, put_footprints
from eosin.data.foreign import domains_of, gene_names
from eosin.data.h5ad import SCHEMA, get_positions, our_record, put_positions, read_h5ad, width_at, write_h5ad
from eosin.data.raw_counts import raw_counts
from eosin.data.reader import READERS, Reader, blame, log
from eosin.data.section_parts import SectionParts
from eosin.errors import EosinError
from eosin.slide import is_one_file, is_slide
from eosin.storage.files import atomic_file, read_json, write_json
from eosin.types import Features, Image, Section, check_mpp, first_repeat

if TYPE_CHECKING:
    from anndata import AnnData

_TURNED = "features_turned"
"""Table of `obsm` with features of turned tiles."""


def write_sections(sections: Sequence[Section], folder: str | Path, *, copy_images: bool = True) -> Path:
    """Write sections as a folder that `read` gives back equal.

    Images that lie outside `folder` are copied to `folder/images`; those inside, and slides of several files (MRXS,
    DICOM, OME-Zarr), stay where they are. `index.json`, written last, lists the sections and replaces an earlier
    list. Files that this call made are removed if it fails.

    Parameters
    ----------
    sections
        Sections with unique names.
    folder
        Made if absent; other files in it are left alone.
    copy_images
        If false, no image is copied; the files point to where the images are, relative to themselves.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    EosinError
        Names that repeat or cannot be file names, a missing image, a folder that cannot be written.
    """
    folder = Path(folder)
    names = [section.name for section in sections]
    if not names:
        raise EosinError("no sections to write", file=folder)
    if len(set(names)) != len(names):
        raise EosinError(f"two sections are called '{first_repeat(names)}'", file=folder, fix="give each its own name")
    for name in names:
        if not name or name.startswith(".") or set(name) & set('/\\:*?"<>|\0'):
            raise EosinError(f"section name '{name}' cannot be a file name", file=folder, fix="rename the section")
    made: list[Path] = []
    try:
        for section in sections:
            file = folder / "sections" / f"{section.name}.h5ad"
            image = None if section.image is None else section.image.path
            if image is not None and copy_images:
                image = _place_image(image, section.name, folder, made)
            _note_new(file, made)
            adata = section_to_anndata(section)
            if image is not None:  # relative, since the folder may be moved as a whole
                relative = os.path.relpath(image.resolve(), file.parent.resolve())
                adata.uns["eosin"]["image"] = Path(relative).as_posix()
            write_h5ad(adata, file)
        _note_new(folder / "index.json", made)
        write_json(folder / "index.json", {"schema": SCHEMA, "kind": "sections", "sections": names})
    except BaseException:
        _remove(made, folder)
        raise
    return folder


def _note_new(file: Path, made: list[Path]) -> None:
    if not file.exists():
        made.append(file)


def _remove(made: Sequence[Path], folder: Path) -> None:
    for file in made:
        file.unlink(missing_ok=True)
    for place in (folder / "sections", folder / "images", folder):
        if place.is_dir() and not any(place.iterdir()):
            place.rmdir()


def _place_image(source: Path, name: str, folder: Path, made: list[Path]) -> Path:
    """Where the image is within `folder`, copied there if it was elsewhere."""
    if not is_slide(source):
        raise EosinError(f"the image of section '{name}' is missing", file=source, fix="put it there")
    if not is_one_file(source) or source.resolve().is_relative_to(folder.resolve()):
        return source
    target = folder / "images" / f"{name}{source.suffix}"
    _note_new(target, made)
    with atomic_file(target) as partial:
        shutil.copyfile(source, partial)
    return target


def section_to_anndata(section: Section) -> AnnData:
    """A section as AnnData: counts in `X`, positions in `obsm`, and all the rest in `uns["eosin"]`."""
    import anndata
    import pandas as pd

    obs = pd.DataFrame(index=pd.Index(section.spots.ids, dtype=object))
    if section.domains is not None:
        obs["domain"] = pd.Categorical(section.domains)
    var = pd.DataFrame(index=pd.Index(section.genes or (), dtype=object))
    for column, names in (("gene_ids", section.ensembl), ("gene_symbols", section.symbols)):
        if names is not None:
            var[column] = list(names)
    adata = anndata.AnnData(X=section.counts, obs=obs, var=var)
    mpp = None if section.image is None else section.image.mpp
    put_positions(adata, section.spots.xy_um, mpp)
    put_footprints(adata, section.spots, mpp)
    record: dict[str, Any] = {
        "schema": SCHEMA,
        "kind": "section",
        "name": section.name,
        "patient": section.patient,
        "platform": section.platform,
        "unit": section.spots.unit,
        "diameter_um": float(section.spots.diameter_um),
        "spatial_unit": "um" if mpp is None else "px",
        "notes": json.dumps(list(section.notes)),
    }
    if section.image is not None:
        record |= {"mpp": float(section.image.mpp), "image": str(section.image.path)}
    if section.features is not None:
        adata.obsm["features"] = np.asarray(section.features.values)
        if section.features.turned is not None:  # as a plain table [s 7*f], which every tool can read
            adata.obsm[_TURNED] = section.features.turned.reshape(len(section), -1)
        record |= {"encoder": section.features.encoder, "features_key": section.features.key}
        record |= {"features_facts": json.dumps(dict(section.features.facts))}
        record |= {"features_licence": section.features.licence, "features_commercial": section.features.commercial}
        record |= {"features_blocks": ",".join(map(str, section.features.blocks))}
    adata.uns["eosin"] = record
    return adata


class Native(Reader):
    """A folder that `write_sections` made."""

    name = "eosin"
    platform = "various"
    looks_for = "sections/{name}.h5ad"

    def recognise(self, path: Path) -> str | None:
        """The number of section files; `index.json` is not opened."""
        n_files = len(list((path / "sections").glob("*.h5ad")))
        return f"{n_files} files in sections/*.h5ad" if n_files else None

    def names(self, path: Path) -> list[str]:
        """The sections that `index.json` lists; without it, all that have a file."""
        on_disk = sorted(file.stem for file in (path / "sections").glob("*.h5ad") if not file.name.startswith("."))
        index = path / "index.json"
        if not index.is_file():
            return on_disk
        listed = read_json(index)
        names = listed.get("sections") if isinstance(listed, dict) else None
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise EosinError("has no list of sections", file=index, fix="remove it to read all of sections/")
        if stray := sorted(set(on_disk) - set(names)):
            log.warning("%s: sections/%s.h5ad is not listed and is left out", index, stray[0])
        return names

    def read_section(self, path: Path, name: str, *, mpp: float | None = None) -> Section:
        """One section, equal to what was written."""
        file = path / "sections" / f"{name}.h5ad"
        adata = read_h5ad(file)
        return own_section(adata, our_record(adata, file, "section"), file, mpp)


def own_section(adata: AnnData, record: dict[str, Any], path: Path, mpp: float | None) -> Section:
    """The section in an AnnData that `write_sections` wrote; `record` is its `uns["eosin"]`."""
    missing = [key for key in ("name", "patient", "diameter_um") if key not in record]
    if missing:
        raise EosinError(f"uns['eosin'] lacks '{missing[0]}'", file=path, fix="write the section again")
    notes = _notes(record, path)
    stored = record.get("mpp")
    if mpp is not None and check_mpp(mpp, path) != stored and stored is not None:
        notes.append(f"{mpp:g} µm/px as given, the file says {stored:g}")
    scale = None if stored is None else (mpp if mpp is not None else stored)
    counts = genes = None
    if adata.n_vars:
        counts, count_notes = raw_counts(adata, path)
        notes, genes = notes + count_notes, gene_names(adata.var)
    with blame(path):
        image, features = _own_image(record, path, scale, notes), _features(adata, record)
    wider = scale / stored if scale is not None and stored is not None else 1.0
    return SectionParts(
        path,
        str(record["name"]),
        get_positions(adata, scale, path),
        width_at(record, scale),
        adata.obs_names,
        counts,
        genes,
        patient=str(record["patient"]),
        image=image,
        domains=domains_of(adata),
        platform=str(record.get("platform", "unknown")),
        features=features,
        notes=notes,
        footprints=get_footprints(adata, 1.0 if scale is None else scale, path, wider=wider),
    ).section()


def _notes(record: dict[str, Any], path: Path) -> list[str]:
    try:
        return [str(note) for note in json.loads(record.get("notes", "[]"))]
    except (TypeError, ValueError) as error:
        raise EosinError(f"uns['eosin']['notes'] is no JSON list ({error})", file=path) from error


def _own_image(record: dict[str, Any], path: Path, mpp: float | None, notes: list[str]) -> Image | None:
    if mpp is None or "image" not in record:
        return None
    file = Path(os.path.normpath(path.parent / PurePosixPath(str(record["image"]))))
    if not is_slide(file):
        notes.append(f"the image {file} is not there")  # not fatal: truth to score against needs none
    return Image(file, mpp)


def _features(adata: AnnData, record: dict[str, Any]) -> Features | None:
    if "features" not in adata.obsm or "features_key" not in record:
        return None
    values = np.asarray(adata.obsm["features"])
    turned = np.asarray(adata.obsm[_TURNED]) if _TURNED in adata.obsm else None
    if turned is not None and turned.size % max(1, values.size) == 0 and values.ndim == 2:
        turned = turned.reshape(len(values), -1, values.shape[1])  # else `Features` refuses it
    return Features(
        values,
        record.get("encoder", ""),
        record["features_key"],
        turned,
        licence=str(record.get("features_licence", "unknown")),
        commercial=bool(record.get("features_commercial", False)),
        blocks=tuple(int(width) for width in str(record.get("features_blocks", "")).split(",") if width),
        facts=_facts(record),
    )


def _facts(record: dict[str, Any]) -> dict[str, float]:
    """What the encoder measured on the slide; empty in files of earlier versions, and where it was altered."""
    try:
        return {str(name): float(value) for name, value in json.loads(record.get("features_facts", "{}")).items()}
    except (AttributeError, TypeError, ValueError):
        return {}


READERS.add(Native.name, Native())
