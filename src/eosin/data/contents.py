"""What lies at a path that no reader knows, in words, and what to do: nothing unknown is called a damaged image."""

from __future__ import annotations

import itertools
import os
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

from eosin.data.other_platforms import other_outputs
from eosin.data.packed import is_packed, unpack_command
from eosin.errors import EosinError
from eosin.plurals import counted
from eosin.slide import is_slide_folder
from eosin.storage.zarr_guard import is_zarr_group

PICTURES = (".tif", ".tiff", ".svs", ".ndpi", ".mrxs", ".scn", ".bif", ".btf", ".jpg", ".jpeg", ".png", ".czi", ".dcm")
"""Suffixes of images of slides."""
_TABLES = (".csv", ".tsv", ".txt", ".parquet", ".xlsx")
_MOST_FILES, _DEEPEST, _MOST_FOLDERS = 20_000, 6, 200
_OF_OTHER_KIND = {
    ".mtx": "a matrix of counts",
    ".loom": "a loom file",
    ".rds": "an object of R",
    ".rdata": "objects of R",
    ".rda": "objects of R",
    ".robj": "objects of R",
    ".qs": "an object of R",
    ".qs2": "an object of R",
    ".h5seurat": "an object of Seurat",
    ".h5mu": "a MuData file",
    ".mat": "a file of MATLAB",
    ".cloupe": "a file of Loupe Browser",
    ".json": "JSON",
    ".geojson": "outlines",
    ".npz": "arrays of NumPy",
    ".npy": "an array of NumPy",
    ".pt": "a pickle, which is never opened",
    ".pkl": "a pickle, which is never opened",
    ".safetensors": "weights",
    ".pdf": "a document",
} | dict.fromkeys(_TABLES, "a table")
_INNER = frozenset(
    {"segmented_outputs", "binned_outputs", "spatial", "filtered_feature_bc_matrix", "raw_feature_bc_matrix"}
    | {"cell_feature_matrix", "st", "wsis", "metadata", "ST-cnts", "ST-imgs", "ST-spotfiles"}
)
"""Folders of an instrument or collection that hold a part of a sample."""
_OWN_FOLDERS = ("spatial.tar", "binned_outputs.tar", "segmented_outputs.tar")
"""Archives of 10x's that hold a folder of this name."""
_R = (".rds", ".rdata", ".rda", ".robj", ".qs", ".qs2", ".h5seurat")
_OBJECTS = (*_R, ".h5mu", ".loom", ".mat", ".cloupe")
_WAYS_OUT = dict.fromkeys(_R, "write it as .h5ad first (in R: zellkonverter or anndataR)") | {
    ".h5mu": "write its RNA as .h5ad first (mudata.read_h5mu(...)['rna'].write_h5ad(...))",
    ".cloupe": "give the outs/ of Space Ranger that it was made of",
    ".mat": "write it as .h5ad first, with raw counts in X and positions in obsm['spatial']",
    ".loom": "write it as .h5ad first (anndata.io.read_loom)",
    ".geojson": "give the image, and this file by --tissue",
    ".xlsx": "save it as .csv (CSV UTF-8) if it lists slides, else give the image or the folder of the counts",
}


def other_file(path: Path) -> EosinError | None:
    """The error of a file that by its name is neither an image nor measured sections; None where it may be one."""
    if (outputs := other_outputs([path.name], is_file=True)) is not None:
        return EosinError(outputs.problem, file=path, fix=outputs.fix)
    if is_packed(path):
        command = unpack_command(path, has_own_folder=_holds_a_store(path))
        return EosinError("is packed", file=path, fix=f"unpack it ({command}) and give what is in it")
    suffix = path.suffix.lower()
    if suffix not in _OF_OTHER_KIND:
        return None
    fix = _WAYS_OUT.get(suffix, "give the image, or the folder that holds the counts with their positions")
    return EosinError(f"is {_OF_OTHER_KIND[suffix]}, not an image", file=path, fix=fix)


def _holds_a_store(path: Path) -> bool:
    """Whether what is packed is one folder of zarr, and not what lies in such a folder."""
    if not path.name.lower().endswith(".zarr.zip"):
        return False
    try:
        with zipfile.ZipFile(path) as archive:
            return all(name.partition("/")[0].endswith(".zarr") for name in archive.namelist())
    except Exception:  # a damaged archive makes its parser raise anything
        return False


def no_reader_fits(path: Path, fits: Callable[[Path], bool], known: str) -> EosinError:
    """The error of a path that no reader knows: what is there, what is missing, and what to do.

    Parameters
    ----------
    fits
        Whether a reader knows another path.
    known
        The known layouts, in words.
    """
    if path.is_file():
        error = other_file(path)
        if error is not None:
            return EosinError(f"no reader fits: it {error.problem}", file=path, fix=error.fix)
        if path.suffix.lower() in (".h5", ".hdf5"):
            fix = "give the folder that holds it with the positions of its spots, as spatial/"
            return EosinError("no reader fits: it is a file of its own, without positions", file=path, fix=fix)
        return EosinError("no reader fits", file=path, fix=f"known layouts are {known}")
    if is_slide_folder(path):
        problem = "no reader fits: it is the image of a slide, without counts"
        return EosinError(problem, file=path, fix=f"known layouts are {known}")
    if (outside := _holder(path, fits)) is not None:
        problem = "no reader fits: it is a part of a sample"
        return EosinError(problem, file=path, fix=f"give the folder that holds all of it: {outside}")
    if stores := [place for place in (path, *sorted(path.glob("*.zarr"))) if _is_anndata_store(place)]:
        fix = f"write it as .h5ad: anndata.read_zarr('{stores[0]}').write_h5ad('{stores[0].stem}.h5ad')"
        return EosinError("no reader fits: an AnnData in zarr is not read", file=stores[0], fix=fix)
    if stores := [place for place in (path, *sorted(path.glob("*.zarr"))) if _is_store_without_table(place)]:
        fix = "count its points in its shapes (sdata.aggregate), and write the table into the store"
        problem = "no reader fits: a SpatialData store without a table of counts and the shapes that it annotates"
        return EosinError(problem, file=stores[0], fix=fix)
    found = _Found(path)
    outputs = other_outputs(file.name for file in found.files)
    if outputs is not None and not _fitting(path, fits):
        return EosinError(f"no reader fits: it {outputs.problem}", file=path, fix=outputs.fix)
    objects = [file for file in found.files if file.suffix.lower() in _OBJECTS]
    if objects and len(objects) == len(found.files):
        what, fix = (table[objects[0].suffix.lower()] for table in (_OF_OTHER_KIND, _WAYS_OUT))
        return EosinError(f"no reader fits: it holds {what} ({objects[0].name})", file=path, fix=fix)
    if not found.files:
        return EosinError("no reader fits", file=path, fix=f"known layouts are {known}")
    return EosinError(f"no reader fits: it holds {found}", file=path, fix=_way_out(path, found, fits, known))


def _way_out(path: Path, found: _Found, fits: Callable[[Path], bool], known: str) -> str:
    fitting = _fitting(path, fits)
    packed = [file for file in found.packed if not any(folder in file.parents for folder in fitting)]
    if packed:
        others = f" (and {len(packed) - 1} more)" if len(packed) > 1 else ""
        own = [file for file in packed if any(word in file.name for word in _OWN_FOLDERS)]
        alone = len({file.parent for file in own}) == len(own)  # else they would be mixed
        return f"unpack {unpack_command(packed[0], has_own_folder=alone and packed[0] in own)}{others}"
    if fitting:
        names = [str(folder.relative_to(path)) for folder in fitting]
        return f"give one of the folders in it: {', '.join(names[:6])}" + (", ..." if len(names) > 6 else "")
    if any(file.name.startswith("aggr_tissue_positions") for file in found.positions):
        return "put aggregation.csv of spaceranger aggr beside the matrix: it names the libraries, in their order"
    if found.matrices and not found.positions:
        return "put the positions of the spots beside the matrix, as spatial/tissue_positions.csv"
    if found.positions and not found.matrices:
        return "put the matrix of counts beside the positions, as filtered_feature_bc_matrix.h5"
    if found.matrices and found.positions:
        return (
            "put matrix and positions of a sample into one folder, as S1/filtered_feature_bc_matrix.h5 and S1/spatial/"
        )
    if found.pictures and not found.objects:
        return "they are slides, without counts: give one of them, or the folder to eosin encode or eosin predict"
    return f"known layouts are {known}"


def _holder(path: Path, fits: Callable[[Path], bool]) -> Path | None:
    """The folder that a reader knows and of whose sample this one holds a part."""
    place = path.resolve()
    while place.name in _INNER or place.parent.name in _INNER:
        place = place.parent
        if place.name not in _INNER and fits(place):
            return place
    return None


def _is_store_without_table(path: Path) -> bool:
    elements = [name for name in ("images", "labels", "points", "shapes", "tables") if (path / name).is_dir()]
    return is_zarr_group(path) and bool(elements) and not {"tables", "shapes"} <= set(elements)


def _is_anndata_store(path: Path) -> bool:
    return is_zarr_group(path) and (path / "obs").is_dir() and (path / "var").is_dir()


def _fitting(path: Path, fits: Callable[[Path], bool]) -> list[Path]:
    """The folders within that a reader knows, of the first level on which there are any."""
    level = [path]
    for _ in range(_DEEPEST):
        level = [inner for folder in level for inner in sorted(folder.glob("*")) if inner.is_dir()]
        level = [folder for folder in level if not folder.name.startswith(".")][:_MOST_FOLDERS]
        if fitting := [folder for folder in level if fits(folder)]:
            return fitting
    return []


class _Found:
    """What lies in a folder and those within, by the names of files.

    Attributes
    ----------
    files, packed, matrices, positions, pictures, objects
        All files; packed ones; matrices of counts; tables of positions; pictures; `.h5ad` files.
    """

    def __init__(self, folder: Path):
        self.files = list(itertools.islice(_files(folder), _MOST_FILES))
        named = [(file, file.name.lower().removesuffix(".gz")) for file in self.files]
        self.matrices = [file for file, name in named if _is_matrix(name)]
        self.positions = [file for file, name in named if "tissue_positions" in name or name == "cells.parquet"]
        self.pictures = [file for file, name in named if name.endswith((*PICTURES, ".zarr"))]
        self.objects = [file for file, name in named if name.endswith((".h5ad", ".rds"))]
        self.packed = [
            file for file in self.files if is_packed(file) and not file.name.lower().endswith((*_READ_PACKED,))
        ]

    def __str__(self) -> str:
        said = [
            f"{self._matrices()} ({_size(self.matrices)})" if self.matrices else "",
            f"positions of {counted(len(self.positions), 'sample')}" if self.positions else "",
            counted(len(self.objects), "file") + " of R or AnnData" if self.objects else "",
            counted(len(self.packed), "packed file") if self.packed else "",
            counted(len(self.pictures), "picture") if self.pictures else "",
        ]
        there = ", ".join(filter(None, said)) or counted(len(self.files), "file") + " of no kind that eosin knows"
        return there if self.pictures else f"{there}; no picture"

    def _matrices(self) -> str:
        return "1 matrix of counts" if len(self.matrices) == 1 else f"{len(self.matrices)} matrices of counts"


def _size(files: list[Path]) -> str:
    n_bytes = sum(file.stat().st_size for file in files)
    return f"{n_bytes / 1e9:.1f} GB" if n_bytes >= 1e9 else f"{n_bytes / 1e6:.1f} MB"


_READ_PACKED = (".csv.gz", ".tsv.gz", ".mtx.gz", ".json.gz", ".txt.gz")
"""Read as they are."""


def _is_matrix(name: str) -> bool:
    return name.endswith("matrix.mtx") or (name.endswith(".h5") and "matri" in name) or name.endswith("_count.csv")


def _files(folder: Path) -> Iterator[Path]:
    """Files in a folder and those within, not too deep, and OME-Zarr; links to folders are not followed."""
    root = len(folder.parts)
    for place, folders, names in os.walk(folder):
        stores = [Path(place) / name for name in sorted(folders) if name.endswith(".zarr")]
        folders[:] = sorted(name for name in folders if not name.startswith(".") and not name.endswith(".zarr"))
        if len(Path(place).parts) - root >= _DEEPEST:
            folders.clear()
        yield from filter(is_slide_folder, stores)
        yield from (
            file for name in sorted(names) if not name.startswith(".") and (file := Path(place) / name).is_file()
        )
