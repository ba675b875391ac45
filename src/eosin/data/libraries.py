"""Which spot of an AnnData is of which library: the column of `obs` that tells, and the refusal where none does.

A library is one section of tissue, as scanpy, squidpy and Space Ranger call it. `uns["spatial"]` names them; the column
that names the library of each spot is called as whoever joined the sections liked.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from eosin.data.missing import as_text, is_missing
from eosin.errors import EosinError

if TYPE_CHECKING:
    import pandas as pd

LIBRARY = "library_id"
"""The column by its usual name; it counts also where `uns["spatial"]` does not hold its values."""
BARCODE_CORE = r"(?:^|[^ACGT])([ACGT]{14,18}|s_\d+um_\d+_\d+)(?:[^ACGT\d]|$)"
"""The part of a barcode that the capture area gives; tools put samples' names before it and numbers behind it."""
_CORE = re.compile(BARCODE_CORE)
_MOST_REPEATED = 0.05
"""Share of spots that may lie where another lies before they are taken for spots of several libraries."""
_MOST_NUMBERS = 50
_SOMETHING_ELSE = re.compile(
    r"^(in_tissue|selected|array_row|array_col|row|col)$|cluster|leiden|louvain|k-?means|domain|cell_?type|annotation"
)
"""Columns that are no names of libraries, though their numbers may be those of libraries called 0, 1, 2."""
_SAME_PLACE = 1e-4
"""Of the section's extent: 0.65 µm in 6.5 mm."""


def library_of_spots(
    obs: pd.DataFrame, keys: Sequence[str], wanted: str | None, file: Path
) -> tuple[str | None, np.ndarray]:
    """The column of `obs` that names libraries, and the library of each spot.

    Parameters
    ----------
    obs
        The table of spots.
    keys
        Names of libraries in `uns["spatial"]`.
    wanted
        The column to take (`--library`); by default `library_id`, or the one whose values are among `keys`.
    file
        Named in errors.

    Returns
    -------
    str or None
        The column; None where no column tells.
    np.ndarray
        [s] texts; `""` where the column is empty.

    Raises
    ------
    EosinError
        The wanted column is not there or empty, or two columns fit and tell spots apart differently.
    """
    if wanted is not None:
        return wanted, _wanted(obs, wanted, file)
    fitting, numbered = {}, all(key.isdigit() for key in keys)
    for column in map(str, obs.columns):
        if _may_be_key(obs[column]) and not (numbered and _SOMETHING_ELSE.search(column.lower())):
            values = column_texts(obs[column])
            if (named := set(values) - {""}) and named <= set(keys):
                fitting[column] = values
    if fitting:
        chosen = LIBRARY if LIBRARY in fitting else max(fitting, key=lambda column: len(set(fitting[column])))
        other = next((c for c in fitting if c != LIBRARY and np.any(_parts(fitting[c], fitting[chosen]))), None)
        if chosen != LIBRARY and other is not None:
            problem = f"obs['{chosen}'] and obs['{other}'] both name libraries of uns['spatial'], and differ"
            raise EosinError(problem, file=file, fix=f"name one by --library, as --library {chosen}")
        return chosen, fitting[chosen]
    if LIBRARY in obs:
        return LIBRARY, column_texts(obs[LIBRARY])
    return None, np.full(len(obs), "", dtype=object)


def column_texts(column: pd.Series) -> np.ndarray:
    """[s] a column as texts, without spaces around them; `""` for what is missing."""
    codes, values = column.factorize()
    texts = np.array([*("" if is_missing(value) else as_text(value).strip() for value in values), ""], dtype=object)
    return texts[codes]  # a missing value has code -1


def _wanted(obs: pd.DataFrame, wanted: str, file: Path) -> np.ndarray:
    if wanted not in obs:
        listed = ", ".join(map(str, obs.columns[:12])) or "none"
        raise EosinError(f"has no column obs['{wanted}']", file=file, fix=f"its columns are {listed}")
    values = column_texts(obs[wanted])
    if not any(values):
        raise EosinError(f"obs['{wanted}'] is empty", file=file, fix="name another column by --library")
    return values


def _may_be_key(column: pd.Series) -> bool:
    """Whether a column may hold names: texts, categories, or few numbers."""
    return not isinstance(column.dtype, np.dtype) or column.dtype.kind in "OSU" or column.nunique() <= _MOST_NUMBERS


def _parts(values: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Which spots two columns put into libraries of different names; empty cells do not count."""
    return (values != others) & (values != "") & (others != "")


def check_apart(xy: np.ndarray, obs: pd.DataFrame, file: Path) -> None:
    """Refuse spots of several libraries that lie on one another, as if they were one section.

    Told by positions, by places on the array, and by barcodes, of which a capture area has each once.

    Parameters
    ----------
    xy
        Positions [s 2].
    obs
        The table of the same spots.

    Raises
    ------
    EosinError
        More than a twentieth of the spots share a place or a barcode with another.
    """
    n_spots = len(xy)
    for n_places, what in _distinct(xy, obs):
        if n_spots - n_places > max(_MOST_REPEATED * n_spots, 3):
            columns = _columns_that_part(obs)
            named = f", perhaps {' or '.join(columns)}" if columns else ""
            fix = f"name the column of obs that tells them apart by --library{named}; or give a file a section"
            problem = f"{n_spots} spots {what.format(n=n_places)}: spots of several libraries lie on one another"
            raise EosinError(problem, file=file, fix=fix)


def _distinct(xy: np.ndarray, obs: pd.DataFrame) -> list[tuple[int, str]]:
    """How many places, array positions and barcodes are different, and each in words."""
    found = []
    finite = xy[np.isfinite(xy).all(1)]
    extent = float(np.ptp(finite, axis=0).max()) if len(finite) else 0.0
    if extent > 0:
        places = np.round(finite / (_SAME_PLACE * extent)).astype(np.int64)
        found.append((len(np.unique(places, axis=0)) + len(xy) - len(finite), "lie at {n} places"))
    array = [column for column in ("array_row", "array_col") if column in obs and obs[column].nunique() > 2]
    if len(array) == 2:
        found.append((len(obs[array].drop_duplicates()), "have {n} places on the array"))
    cores = [match.group(1) for name in map(str, obs.index) if (match := _CORE.search(name))]
    if len(cores) == len(obs):
        found.append((len(set(cores)), "have {n} barcodes"))
    return found


def _columns_that_part(obs: pd.DataFrame) -> list[str]:
    """Columns of names that may tell libraries apart: each has 2 to 50 values, those that are called so come first."""
    likely = ("librar", "sample", "slide", "section", "batch", "donor", "patient", "orig")
    fitting = [
        column
        for column in map(str, obs.columns)
        if _may_be_key(obs[column]) and not _SOMETHING_ELSE.search(column.lower()) and 2 <= obs[column].nunique() <= 50
    ]
    called = [column for column in fitting if any(word in column.lower() for word in likely)]
    return (called or fitting)[:3]


def untold_samples(obs: pd.DataFrame) -> list[str]:
    """A note where a column that is called like a sample has several values and the file is taken for one section."""
    likely = re.compile(r"^(library|sample|slide|section|batch|orig)([ _.-]?(id|name|ident))?$")
    for column in map(str, obs.columns):
        if likely.search(column.strip().lower()) and len(names := set(column_texts(obs[column])) - {""}) > 1:
            listed = ", ".join(sorted(names)[:4])
            problem = f"obs['{column}'] has {len(names)} values ({listed}), and the file is taken for one section"
            return [f"{problem}: --library {column} parts them"]
    return []
