"""What the readers of 10x Genomics have in common: samples, spot positions, scale factors, images, patients."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from eosin.config import need_known
from eosin.data.reader import IMAGE_SUFFIXES, Reader
from eosin.data.readers.tenx.tenx_matrix import AGAIN, reading
from eosin.data.section_parts import SectionParts, find_image
from eosin.errors import EosinError
from eosin.storage.files import read_json
from eosin.types import Section

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ("barcode", "in_tissue", "array_row", "array_col", "pxl_row_in_fullres", "pxl_col_in_fullres")
_SUFFIXES = (*IMAGE_SUFFIXES, ".btf")
_NOT_THE_SLIDE = ("cytassist", "aligned", "detected", "hires", "lowres", "morphology", "fiducial")


class TenxReader(Reader):
    """A platform of 10x Genomics: every section is a folder of outputs, alone or beside others in one folder."""

    @abstractmethod
    def fits(self, folder: Path) -> bool:
        """Whether a folder looks like outputs of this platform; by the names of its files only."""

    @abstractmethod
    def read_outputs(self, folder: Path, name: str, mpp: float | None) -> SectionParts:
        """What the outputs in `folder` say of section `name`, its genes named; the patient is not among it."""

    def names(self, path: Path) -> list[str]:
        """The samples under `path`, called as their folders."""
        return list(samples(path, self.fits))

    def read_section(self, path: Path, name: str, *, mpp: float | None = None) -> Section:
        """One sample, with its patient from `patients.csv` where that is there."""
        folders = samples(path, self.fits)
        need_known(name, folders, "section", file=path)
        parts = self.read_outputs(folders[name], name, mpp)
        patient, notes = patient_of(path, name)
        return replace(parts, patient=patient, notes=[*parts.notes, *notes]).section()


def samples(path: Path, fits: Callable[[Path], bool]) -> dict[str, Path]:
    """Sections under `path` and the folder of each: `path` itself or its `outs/`, else those of its subfolders.

    A section is called as the folder that holds its `outs/`, or as its own folder.
    """
    alone = next((folder for folder in (path, path / "outs") if fits(folder)), None)
    if alone is not None:
        whole = path.resolve()
        return {(whole.parent if whole.name == "outs" else whole).name: alone}
    folders = {}
    for child in sorted(path.glob("*")):
        folder = next((folder for folder in (child, child / "outs") if fits(folder)), None)
        if folder is not None and not child.name.startswith("."):
            folders[child.name] = folder
    return folders


def find_matrix(folder: Path, of: str = "bc") -> tuple[Path, list[str]]:
    """The matrix of counts in a folder, filtered rather than raw, HDF5 rather than text; and a note on a raw one.

    `of` is what its columns are in its name: `bc` barcodes of spots or bins, `cell` cells.
    """
    for kind in ("filtered", "raw"):
        name = f"{kind}_feature_{of}_matrix"
        files = [file for file in sorted(folder.glob(f"*{name}.h5")) if not file.name.startswith(".")]
        if len(files) > 1:
            raise EosinError(f"{files[0].name} and {files[1].name} both fit", file=folder, fix="keep one")
        texts = [text] if (text := folder / name).is_dir() else []
        for matrix in (*files, *texts):
            return matrix, [] if kind == "filtered" else [f"counts are from {matrix.name}; there is no filtered one"]
    fix = "put Space Ranger's matrix there; of a download keep matrix and spatial/ together"
    raise EosinError(f"no filtered_feature_{of}_matrix.h5", file=folder, fix=fix)


def positions_file(folder: Path) -> Path:
    """The table of positions in `spatial/`, whatever its version calls it."""
    spatial = folder / "spatial"
    names = ("tissue_positions.csv", "tissue_positions_list.csv")
    file = next((file for name in names if (file := spatial / name).is_file()), None)
    if file is None:
        raise EosinError("no tissue_positions.csv", file=spatial, fix="copy all of Space Ranger's spatial/")
    return file


def read_positions(file: Path) -> pd.DataFrame:
    """Table of `COLUMNS` with unique barcodes and finite numbers; with or without a heading, as versions differ.

    Raises
    ------
    EosinError
        The file is missing, cut short, or holds other columns or something other than numbers.
    """
    import pandas as pd

    with reading(file, "a table of positions"):
        frame = pd.read_csv(file, header=None, dtype=str, keep_default_na=False)
    if frame.shape[1] != len(COLUMNS):
        fix = f"its columns are {', '.join(COLUMNS)}"
        raise EosinError(f"has {frame.shape[1]} columns, expected {len(COLUMNS)}", file=file, fix=fix)
    heading = list(frame.iloc[0].str.strip())
    if set(heading) & set(COLUMNS):
        if sorted(heading) != sorted(COLUMNS):
            unknown = next(name for name in heading if name not in COLUMNS or heading.count(name) > 1)
            raise EosinError(f"has a column '{unknown}'", file=file, fix=f"its columns are {', '.join(COLUMNS)}")
        frame = frame.iloc[1:].set_axis(heading, axis=1)
    else:
        frame = frame.set_axis(list(COLUMNS), axis=1)
    return check_positions(frame, file)


def check_positions(frame: pd.DataFrame, file: Path) -> pd.DataFrame:
    """The table with numbers for text; refuses what is none, and barcodes that occur twice."""
    import pandas as pd

    frame = frame.reset_index(drop=True)
    for column in COLUMNS[1:]:
        numbers = pd.to_numeric(frame[column], errors="coerce")
        if not np.isfinite(numbers).all():
            row = int(np.flatnonzero(~np.isfinite(numbers))[0])
            problem = f"'{frame[column].iloc[row]}' in column '{column}' of '{frame['barcode'].iloc[row]}' is no number"
            raise EosinError(problem, file=file, fix=AGAIN)
        frame[column] = numbers
    if frame["barcode"].duplicated().any():
        again = frame["barcode"][frame["barcode"].duplicated()].iloc[0]
        raise EosinError(f"barcode '{again}' occurs twice", file=file, fix="keep one of each")
    return frame


def read_factors(folder: Path) -> dict[str, float]:
    """The numbers of `spatial/scalefactors_json.json` that are positive and finite; none if there is no file."""
    file = folder / "spatial" / "scalefactors_json.json"
    if not file.is_file():
        return {}
    factors = read_json(file)
    if not isinstance(factors, dict):
        raise EosinError("holds no table of scale factors", file=file, fix=AGAIN)
    return {key: number for key, value in factors.items() if (number := positive(value)) is not None}


def positive(value: Any) -> float | None:
    """A finite positive number, or None for anything else."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(value) if np.isfinite(value) and value > 0 else None


def find_slide(folder: Path, name: str) -> tuple[Path | None, list[str]]:
    """The full-resolution image, which Space Ranger does not copy into its outputs.

    A file of the section's name, beside the sample, in it, or in its `outs/`; else the only image in the sample or its
    `outs/`. Notes say why there is none.
    """
    sample = folder.parent if folder.name == "outs" else folder
    inside = [sample] if sample == folder else [sample, folder]
    if (file := find_image([place / name for place in (*inside, sample.resolve().parent)], _SUFFIXES)) is not None:
        return file, []
    images = [file for place in inside for file in sorted(place.glob("*")) if _may_be_slide(file)]
    if len(images) == 1:
        return images[0], []
    if images:
        return None, [f"{len(images)} images lie beside the counts and none is called {name}.tif"]
    return None, [f"no full-resolution image, as {name}.tif beside the counts"]


def _may_be_slide(file: Path) -> bool:
    name = file.name.lower()
    is_image = name.endswith(_SUFFIXES) and not name.startswith(".") and file.is_file()
    return is_image and not any(word in name for word in _NOT_THE_SLIDE)


def patient_of(path: Path, name: str) -> tuple[str, list[str]]:
    """The patient of a section from `patients.csv` (columns section, patient) in the data folder.

    10x's files do not name patients. Without the table each section is its own patient, and a note says so, since
    splits that leave patients out rely on it.
    """
    import pandas as pd

    file = path / "patients.csv"
    if not file.is_file():
        return name, ["the files name no patient: the section counts as its own (patients.csv would tell)"]
    with reading(file, "a table of patients"):
        table = pd.read_csv(file, dtype=str, keep_default_na=False)
    if not {"section", "patient"} <= set(table.columns):
        raise EosinError("lacks a column 'section' or 'patient'", file=file, fix="its columns are section, patient")
    patients = dict(zip(table["section"], table["patient"]))
    if not patients.get(name):
        raise EosinError(f"names no patient for section '{name}'", file=file, fix=f"add a line {name},PATIENT")
    return patients[name], []
