"""Reader of one `.h5ad` file: a section that eosin wrote, or any AnnData with raw counts and `obsm["spatial"]`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from eosin.data.h5ad import our_record, raw_counts, read_h5ad, spatial
from eosin.data.native import own_section
from eosin.data.readers import IMAGE_SUFFIXES, READERS, Reader, blame, merge_repeats, need_known
from eosin.data.scale import median_pitch
from eosin.errors import EosinError
from eosin.types import Image, Section, Spots, check_mpp

if TYPE_CHECKING:
    from anndata import AnnData


class SingleFile(Reader):
    """One `.h5ad` file: a section that eosin wrote, or any AnnData with counts and `obsm["spatial"]`."""

    name = "h5ad"
    platform = "various"
    looks_for = "one .h5ad file with obsm['spatial']"

    def recognise(self, path: Path) -> str | None:
        return "a single .h5ad file" if path.is_file() and path.suffix == ".h5ad" else None

    def names(self, path: Path) -> list[str]:
        return [path.stem]

    def read_section(self, path: Path, name: str, *, mpp: float | None = None) -> Section:
        need_known(name, self.names(path), "section", file=path)
        return read_section_file(path, mpp=mpp, name=name)


def read_section_file(path: str | Path, *, mpp: float | None = None, name: str | None = None) -> Section:
    """Read one `.h5ad` file of measured spots.

    Parameters
    ----------
    path
        A section that eosin wrote, or an AnnData with raw counts and `obsm["spatial"]` in pixels.
    mpp
        µm per pixel; needed where `uns["eosin"]["mpp"]` does not say it.
    name
        The section's name where the file has none.

    Raises
    ------
    EosinError
        The file is missing or broken, is a prediction, or its scale is unknown.
    """
    path = Path(path)
    adata = read_h5ad(path)
    record = our_record(adata, path)
    if record.get("kind") == "prediction":
        fix = "give a measured section here, and predictions to eosin score or eosin report"
        raise EosinError("is a prediction, not a measured section", file=path, fix=fix)
    if record.get("kind") == "section":
        return own_section(adata, record, path, mpp)
    return _foreign_section(adata, record, path, mpp, name or path.stem)


def _foreign_section(adata: AnnData, record: dict[str, Any], path: Path, mpp: float | None, name: str) -> Section:
    """A section from an AnnData that another tool wrote: the scale must be known, the rest is looked for."""
    scale = mpp if mpp is not None else record.get("mpp")
    if scale is None:
        fix = "give --mpp, the µm per pixel of the full-resolution image"
        raise EosinError("does not say the scale of obsm['spatial']", file=path, fix=fix)
    scale = check_mpp(scale, path)
    counts, notes = raw_counts(adata, path)
    counts, genes, more = merge_repeats(counts, list(map(str, adata.var_names)))
    xy_um = spatial(adata, path) * scale
    diameter_um = record.get("diameter_um") or foreign_diameter_px(adata) * scale
    notes += more
    if not diameter_um:
        pitch_um = median_pitch(xy_um)
        diameter_um = pitch_um / 2 if pitch_um > 0 else 100.0
        notes.append(f"spot diameter assumed to be half the pitch, {diameter_um:.3g} µm")
    images = [file for suffix in IMAGE_SUFFIXES if (file := path.with_suffix(suffix)).is_file()]
    if not images:
        notes.append("no image of the same name beside the file")
    patients = set(map(str, adata.obs["patient"])) if "patient" in adata.obs else set()
    with blame(path):
        return Section(
            name=name,
            patient=patients.pop() if len(patients) == 1 else name,
            spots=Spots(xy_um, diameter_um, tuple(adata.obs_names)),
            image=Image(images[0], scale) if images else None,
            counts=counts,
            genes=tuple(genes),
            domains=tuple(map(str, adata.obs["domain"])) if "domain" in adata.obs else None,
            notes=tuple(notes),
        )


def foreign_diameter_px(adata: AnnData) -> float:
    """`spot_diameter_fullres` of the first library in `uns["spatial"]`, in pixels; 0 where there is none."""
    libraries = adata.uns.get("spatial")
    if not isinstance(libraries, dict):
        return 0.0
    for library in libraries.values():
        factors = library.get("scalefactors", {}) if isinstance(library, dict) else {}
        value = factors.get("spot_diameter_fullres") if isinstance(factors, dict) else None
        if isinstance(value, (int, float, np.number)) and np.isfinite(value) and value > 0:
            return float(value)
    return 0.0


READERS.add(SingleFile.name, SingleFile())
