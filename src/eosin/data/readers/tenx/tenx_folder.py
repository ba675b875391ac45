"""What the readers of 10x Genomics have in common: spot positions, scale factors, patients."""

from __future__ import annotations

import gzip
import io
import json
from abc import abstractmethod
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from eosin.config import need_known
from eosin.data.patients_table import patient_of
from eosin.data.reader import Reader
from eosin.data.readers.tenx.samples import Sample, samples_under
from eosin.data.readers.tenx.tenx_matrix import AGAIN, reading
from eosin.data.section_parts import SectionParts
from eosin.data.uns_spatial import stated_number
from eosin.errors import EosinError
from eosin.storage.files import read_json
from eosin.types import Section

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ("barcode", "in_tissue", "array_row", "array_col", "pxl_row_in_fullres", "pxl_col_in_fullres")
_TIGHTEST_TABLE = 40
"""gzip packs tables of positions 3 to 6 to 1."""
_LONGEST_HEADING = 4096  # bytes
_FACTORS = ("_scalef", "_fullres", "microns_per_pixel", "bin_size_um")
"""How keys of numbers in `scalefactors_json.json` end."""
_MOST_JSON = 1 << 20  # bytes; scale factors are a few hundred


class TenxReader(Reader):
    """A platform of 10x Genomics: every section is a folder of outputs, alone or beside others in one folder."""

    @abstractmethod
    def samples_in(self, folder: Path) -> dict[str, Sample]:
        """The samples of this platform whose files lie in a folder, a single one as `""`; by names of files only."""

    @abstractmethod
    def read_outputs(self, sample: Sample, name: str, mpp: float | None) -> SectionParts:
        """What the outputs of a sample say of section `name`, its genes named; the patient is not among it."""

    def names(self, path: Path) -> list[str]:
        """The samples under `path`, called as their folders or by the prefix of their files."""
        return list(samples_under(path, self.samples_in))

    def read_section(self, path: Path, name: str, *, mpp: float | None = None) -> Section:
        """One sample, with its patient from `patients.csv` where that is there."""
        known = samples_under(path, self.samples_in)
        need_known(name, known, "section", file=path)
        parts = self.read_outputs(known[name], name, mpp)
        patient, notes = patient_of(path, name)
        return replace(parts, patient=patient, notes=[*parts.notes, *notes]).section()


def read_positions(file: Path) -> pd.DataFrame:
    """Table of `COLUMNS` with unique barcodes and finite numbers; with or without a heading, as versions differ.

    Raises
    ------
    EosinError
        The file is missing, cut short, or holds other columns or something other than numbers.
    """
    import pandas as pd

    with reading(file, "a table of positions"):
        source = _unpacked(file) if file.suffix == ".gz" else io.BytesIO(file.read_bytes())
        first = source.readline(_LONGEST_HEADING)
        source.seek(0)
        separator = "," if b"," in first else "\t" if b"\t" in first else ";"
        frame = pd.read_csv(source, sep=separator, header=None, dtype=str, keep_default_na=False)
    heading = list(frame.iloc[0].str.strip())
    if frame.shape[1] > len(COLUMNS) and set(COLUMNS) <= set(heading):  # a tool wrote row numbers beside them
        frame = frame.iloc[:, [heading.index(name) for name in COLUMNS]]
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


def _unpacked(file: Path) -> io.BytesIO:
    """A packed table in memory; refused where it unpacks to more than any table of numbers does."""
    most = _TIGHTEST_TABLE * file.stat().st_size + _MOST_JSON
    with gzip.open(file) as stream:
        text = stream.read(most + 1)
    if len(text) > most:
        raise EosinError(f"unpacks to over {most // 1_000_000} MB", file=file, fix=AGAIN)
    return io.BytesIO(text)


def check_positions(frame: pd.DataFrame, file: Path) -> pd.DataFrame:
    """The table with numbers for text; refuses what is none, and barcodes that occur twice."""
    import pandas as pd

    frame = frame.reset_index(drop=True)
    words = frame["in_tissue"].astype(str).str.strip().str.lower()
    frame["in_tissue"] = words.replace({"true": "1", "false": "0"})
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


def read_factors(sample: Sample | Path) -> dict[str, float]:
    """The numbers of `scalefactors_json.json` that are positive and finite; none if there is no file."""
    sample = Sample(sample) if isinstance(sample, Path) else sample
    file = sample.file("scalefactors_json.json")
    if file is None:
        return {}
    if file.suffix == ".gz":
        with reading(file, "JSON"), gzip.open(file) as stream:
            factors = json.loads(stream.read(_MOST_JSON))
    else:
        factors = read_json(file)
    if not isinstance(factors, dict):
        raise EosinError("holds no table of scale factors", file=file, fix=AGAIN)
    known = [key for key in factors if key.endswith(_FACTORS)]
    return {key: number for key in known if (number := stated_number(factors, key, file, "")) is not None}
